"""Models that TensorFlow Serving's users have: tf.Examples in strings, tables, text."""

import numpy as np
from in_runtime import models
from in_runtime.requests import refused
from in_runtime.serving_requests import CONTENT, TYPED, answer, floats, protos, request

from eas_processor.errors import Code
from processors.tensorflow.api import tf1


def check_examples_are_parsed_by_the_model_for_classify_regress_and_predict(_):
    processor = models.serve(models.half_plus_two(models.new_folder() + "/1"))
    examples = np.array([models.example(x=1, x2=7), models.example(x=5)], object)
    for signature, output, wanted in (
        ("regress_x_to_y", "outputs", [[2.5], [4.5]]),
        ("regress_x_to_y2", "outputs", [[3.5], [5.5]]),
        ("regress_x2_to_y3", "outputs", [[6.5], [3.0]]),
        ("classify_x_to_y", "scores", [[2.5], [4.5]]),
    ):
        got = answer(processor.predict(request({"inputs": examples}, signature), TYPED))
        assert got[output].tolist() == wanted, (signature, got)
    got = answer(processor.predict(request({"inputs": examples}, "classify_x_to_y_with_label"), 0))
    assert got["classes"].tolist() == [[b"label"], [b"label"]]
    for value in (2.0, [2.0], [[2.0], [4.0]]):
        got = answer(processor.predict(request({"x": floats(value)}), TYPED))["y"]
        assert got.tolist() == (np.array(value) / 2 + 2).tolist()


def check_an_example_that_lacks_a_feature_is_the_clients_mistake(_):
    processor = models.serve(models.half_plus_two(models.new_folder() + "/1"))
    values = [
        (models.example(x2=1), "x"),
        (b"no example", "no example"),
        (b"no \xff\xfe text", "no \ufffd\ufffd text"),
    ]
    for value, word in values:
        body = request({"inputs": np.array([value], object)}, "regress_x_to_y")
        error = refused(processor.predict, body, TYPED)
        assert error.code == Code.INVALID_ARGUMENT and word in error.message, error.message


def check_a_table_answers_for_words(_):
    folder = models.new_folder() + "/1"
    models.table(folder)
    processor = models.serve(folder)
    words = np.array([b"drei", b"eins", b"vier", b"eins\0"], object)
    for flags, field in ((TYPED, "int64_val"), (CONTENT, "tensor_content")):
        body = processor.predict(request({"words": words}), flags)
        assert answer(body)["ids"].tolist() == [2, 0, -1, -1]
        assert len(getattr(protos(body)["ids"], field))


def check_an_answer_is_what_a_direct_session_run_answers(_):
    folder = models.new_folder() + "/1"
    wanted = models.softmax(folder, ["serving_default"])
    processor = models.serve(folder)
    for _again in range(3):  # parsed, then read by the layout of the one before
        for flags in (TYPED, CONTENT):
            body = processor.predict(request({"images": models.IMAGES}), flags)
            got = answer(body)["scores"]
            assert got.shape == wanted.shape and got.tobytes() == wanted.tobytes()
            proto = protos(body)["scores"]
            assert (len(proto.float_val), len(proto.tensor_content)) == (
                (0, 80) if flags == CONTENT else (20, 0)
            )
    other = models.IMAGES[::-1]
    again = answer(processor.predict(request({"images": other}), TYPED))["scores"]
    np.testing.assert_allclose(again, wanted[::-1], rtol=1e-6)  # rows may add up in another order


def check_an_input_in_content_of_another_size_is_refused(_):
    folder = models.new_folder() + "/1"
    models.softmax(folder, ["serving_default"])
    processor = models.serve(folder)
    good = request({"images": models.IMAGES})
    processor.predict(good, TYPED)
    proto = tf1.make_tensor_proto(models.IMAGES)
    proto.tensor_shape.dim[0].size = 3
    error = refused(processor.predict, request({"images": proto}), TYPED)
    assert error.code == Code.INVALID_ARGUMENT
    assert "'images'" in error.message and "48 bytes" in error.message, error.message
