"""Models that are odd in what they say, call or lack: answered rightly, or told in clear words."""

import numpy as np
from in_runtime import models, serving_requests
from in_runtime.requests import answer, refused, request
from in_runtime.serving_requests import CONTENT, TYPED

from eas_processor.errors import Code, StartError
from eas_processor.worker.frames import Kind
from processors.tensorflow.api import tf, tf1

VALUES = [1.0, 2.0, 3.0]
EAS = request({"x": ("DT_FLOAT", [3], VALUES)})
SERVING = serving_requests.request({"x": serving_requests.floats(VALUES)})


def served(write, **more):
    """A processor of one model. write(x): its signature, of its one input."""
    folder = models.new_folder() + "/1"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None], name="x")
        models.save(session, folder, {"serving_default": write(x)}, **more)
    return models.serve(folder, batching={"rows_max": None, "batch_rows_max": 8})


def check_an_output_is_sent_in_the_dtype_that_it_has(_):
    def write(x):
        signature = models.signature({"x": x}, {"fed": x, "half": tf.cast(x / 2, tf.float64)})
        signature.outputs["fed"].dtype = 2  # double, which it is not
        signature.outputs["half"].dtype = 3  # nor is this one an int32
        return signature

    processor = served(write)
    outputs = answer(processor.process(EAS))
    assert outputs["fed"] == ("DT_FLOAT", [3], VALUES)
    assert outputs["half"] == ("DT_DOUBLE", [3], [0.5, 1.0, 1.5])
    for flags in (TYPED, CONTENT):
        outputs = serving_requests.answer(processor.predict(SERVING, flags))
        assert outputs["fed"].tolist() == VALUES
        assert outputs["half"].tolist() == [0.5, 1.0, 1.5]


def check_a_signature_without_outputs_is_refused_alone_and_joined(_):
    processor = served(lambda x: models.signature({"x": x}, {}))
    words = "Must specify at least one target to fetch or execute."
    for call in ((processor.process, EAS), (processor.predict, SERVING, TYPED)):
        error = refused(*call)
        assert (error.code, error.message) == (Code.INVALID_ARGUMENT, words)
    told = processor.many([(int(Kind.PREDICT), SERVING, TYPED)] * 3)
    assert [error.message for error in told] == [words] * 3


def check_a_python_function_is_told_at_the_load(_):
    def write(x):
        doubled = tf1.py_func(lambda value: value * 2, [x], tf.float32)
        return models.signature({"x": x}, {"y": doubled})

    processor = served(write)
    # When it is called it may still be there, in this process.
    (note,) = [note for note in processor.notes if "Python functions" in note]
    assert "PyFunc" in note


def check_what_python_says_of_where_it_failed_is_no_part_of_the_words(_):
    def fails(value):
        raise ValueError("no such callback")

    kept = []

    def write(x):
        kept.append(fails)
        return models.signature({"x": x}, {"y": tf1.py_func(fails, [x], tf.float32)})

    processor = served(write)
    for call in ((processor.process, EAS), (processor.predict, SERVING, TYPED)):
        error = refused(*call)
        assert "no such callback" in error.message or "not found" in error.message, error.message
        assert "Traceback" not in error.message and ".py" not in error.message, error.message


def check_an_op_that_fails_at_the_load_is_told_in_its_own_words(_):
    folder = models.new_folder() + "/1"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None], name="x")
        signature = models.signature({"x": x}, {"y": x + np.float32(1)})
        failing = tf1.Assert(tf.constant(False), ["never so"])
        models.save(session, folder, {"serving_default": signature}, main_op=failing)
    error = refused(models.serve, folder)
    assert isinstance(error, StartError)
    assert "assertion failed: [never so]" in error.message, error.message
