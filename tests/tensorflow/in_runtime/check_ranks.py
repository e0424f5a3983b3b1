"""An image without the dimension of the batch is refused, by us where TensorFlow would abort."""

import numpy as np
from in_runtime import models, serving_requests
from in_runtime.requests import answer, floats, refused, request

from eas_processor.errors import Code
from processors.tensorflow.api import IS_1, tf, tf1

IMAGES = np.arange(96, dtype=np.float32).reshape(2, 4, 4, 3) / 96
KERNEL = np.ones((2, 2, 3, 1), np.float32)


def convolved(x):
    return tf1.nn.conv2d(x / 2.0 + 1.0, KERNEL, strides=[1, 1, 1, 1], padding="VALID")


def served(shape, compute):
    folder = models.new_folder() + "/1"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, shape, name="x")
        models.save(
            session, folder, {"serving_default": models.signature({"x": x}, {"y": compute(x)})}
        )
    return models.serve(folder)


def is_refused_and_goes_on(processor):
    wanted = answer(processor.process(request({"x": floats(IMAGES)})))["y"]
    for image in (IMAGES[0], IMAGES[0, 0], IMAGES[None]):
        for call, body in (
            (processor.process, request({"x": floats(image)})),
            (
                lambda body: processor.predict(body, serving_requests.TYPED),
                serving_requests.request({"x": serving_requests.floats(image)}),
            ),
        ):
            error = refused(call, body)
            assert error.code == Code.INVALID_ARGUMENT, (error.code, error.message)
    assert answer(processor.process(request({"x": floats(IMAGES)})))["y"] == wanted


def check_an_image_without_a_batch_is_refused(_):
    is_refused_and_goes_on(served([None, 4, 4, 3], convolved))


def check_so_it_is_where_a_function_convolves(_):
    if not IS_1:
        is_refused_and_goes_on(served([None, 4, 4, 3], tf.function(convolved)))


def check_a_sequence_without_a_batch_is_refused(_):
    def convolved_in_one(x):
        return tf1.nn.conv1d(x, KERNEL[0], stride=1, padding="VALID")

    processor = served([None, 4, 3], convolved_in_one)
    error = refused(processor.process, request({"x": floats(IMAGES[0, 0])}))
    assert error.code == Code.INVALID_ARGUMENT, (error.code, error.message)


def check_what_the_graph_shapes_itself_may_come_in_any_shape(_):
    processor = served([None, 4, 4, 3], lambda x: convolved(tf.reshape(x, [-1, 4, 4, 3])))
    whole = answer(processor.process(request({"x": floats(IMAGES)})))["y"]
    flat = answer(processor.process(request({"x": floats(IMAGES.reshape(2, 48))})))["y"]
    assert flat == whole
    processor = served([None, 1], lambda x: x / 2.0 + 2.0)
    assert answer(processor.process(request({"x": floats(IMAGES[0, 0, 0])})))["y"][1] == [3]


def check_what_is_broadcast_into_images_may_have_any_rank(_):
    def scaled(x, s):
        return tf1.nn.conv2d(x * s, KERNEL, strides=[1, 1, 1, 1], padding="VALID")

    for compute in (scaled,) if IS_1 else (scaled, tf.function(scaled)):
        folder = models.new_folder() + "/1"
        with tf.Graph().as_default(), tf1.Session() as session:
            x = tf1.placeholder(tf.float32, [None, 4, 4, 3], name="x")
            s = tf1.placeholder(tf.float32, [1], name="s")
            signature = models.signature({"x": x, "s": s}, {"y": compute(x, s)})
            models.save(session, folder, {"serving_default": signature})
        processor = models.serve(folder)
        two = np.float32([2.0])
        wanted = answer(processor.process(request({"x": floats(IMAGES), "s": floats(two)})))["y"]
        for shape in ((), (1, 1, 1, 1), (3,)):
            scale = floats(np.full(shape, 2.0, np.float32))
            got = answer(processor.process(request({"x": floats(IMAGES), "s": scale})))["y"]
            assert got == wanted, shape
        error = refused(processor.process, request({"x": floats(IMAGES[0]), "s": floats(two)}))
        assert error.code == Code.INVALID_ARGUMENT, (error.code, error.message)
