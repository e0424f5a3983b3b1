"""Ops that fail and quote what came, which need not be text: told as their own failure."""

import numpy as np
from in_runtime import models, serving_requests
from in_runtime.requests import answer, refused, request

from eas_processor.errors import Code
from eas_processor.worker.frames import Kind
from processors.tensorflow.api import tf, tf1

BYTES = b"no \xff\xfe number \x80"
TEXT = "no \ufffd\ufffd number \ufffd"


def served(numbers):
    """numbers(x): the outputs for words."""
    folder = models.new_folder() + "/1"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.string, [None], name="x")
        models.save(session, folder, {"serving_default": models.signature({"x": x}, numbers(x))})
    return models.serve(folder, batching={"rows_max": None, "batch_rows_max": 8})


def read_as_numbers(x):
    return {"y": tf1.string_to_number(x)}


def read_as_numbers_after_a_loop(x):
    last = tf1.while_loop(lambda n: n < 3.0, lambda n: n + 1, [tf.constant(0.0)])
    return {"y": tf1.string_to_number(x) + last - 3.0}


def words(*values):
    return request({"x": ("DT_STRING", [len(values)], list(values))})


def is_told(error):
    assert error.code == Code.INVALID_ARGUMENT and TEXT in error.message, error.message


def is_told_alone_and_joined(processor):
    good = words(b"2.5", b"-1")
    for _ in range(3):
        is_told(refused(processor.process, words(b"1", BYTES)))
        assert answer(processor.process(good))["y"][2] == [2.5, -1.0]
        told = processor.many([(int(Kind.PROCESS), body, 0) for body in (good, words(BYTES), good)])
        is_told(told[1])
        assert [answer(one)["y"][2] for one in told[::2]] == [[2.5, -1.0]] * 2


def check_an_op_may_quote_bytes_that_are_no_text(_):
    is_told_alone_and_joined(served(read_as_numbers))


def check_so_may_one_of_a_graph_whose_runs_have_deadlines(_):
    is_told_alone_and_joined(served(read_as_numbers_after_a_loop))


def check_what_cannot_be_unpacked_is_the_clients_mistake(_):
    decode = tf1.decode_compressed if hasattr(tf1, "decode_compressed") else tf.io.decode_compressed
    processor = served(lambda x: {"y": decode(x, "ZLIB")})
    error = refused(processor.process, words(b"is not packed"))
    assert error.code == Code.INVALID_ARGUMENT, (error.code, error.message)
    body = serving_requests.request({"x": np.array([b"is not packed"], object)})
    error = refused(processor.predict, body, serving_requests.TYPED)
    assert error.code in (Code.DATA_LOSS, Code.INVALID_ARGUMENT), (error.code, error.message)


def check_whatever_else_is_decoded_is_as_strict_as_before(_):
    served(read_as_numbers)
    seen = []

    def look(values):
        try:
            seen.append(values[0].decode("utf-8"))
        except UnicodeDecodeError as error:
            seen.append(error)
        return values

    with tf.Graph().as_default(), tf1.Session() as session:
        session.run(tf1.py_func(look, [tf.constant([BYTES])], tf.string))
    assert isinstance(seen[0], UnicodeDecodeError), seen
    for decode in (BYTES.decode, lambda: str(BYTES, "ascii"), lambda: b"\x00\xd8".decode("utf-16")):
        try:
            decode()
        except UnicodeDecodeError:
            pass
        else:
            raise AssertionError("bytes that are no text were decoded")
