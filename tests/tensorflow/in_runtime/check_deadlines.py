"""Runs that would not end are left at the deadline of their call; what comes after them runs."""

import time

from in_runtime import models, serving_requests
from in_runtime.requests import answer, refused, request
from in_runtime.serving_requests import TYPED
from in_runtime.skipping import Skip

from eas_processor.errors import TOO_LATE, Code
from eas_processor.worker import deadline
from eas_processor.worker.frames import Kind
from processors.tensorflow.api import VERSION, tf, tf1

LEFT_S = 0.5
LATE_S_MAX = 10.0  # on a busy machine
FEW, MANY = [3.0], [1e30]


def eas(values):
    return request({"x": ("DT_FLOAT", [len(values)], values)})


def serving(values):
    return serving_requests.request({"x": serving_requests.floats(values)})


def served(write):
    folder = models.new_folder() + "/1"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None], name="x")
        models.save(session, folder, {"serving_default": models.signature({"x": x}, write(x))})
    return models.serve(folder, batching={"rows_max": None, "batch_rows_max": 8})


def counted_up(x):
    """x rounds of a loop, as a value for each row."""
    rounds = tf.reduce_max(x)
    last = tf1.while_loop(lambda n: n < rounds, lambda n: n + 1, [tf.constant(0.0)])
    return {"y": tf.zeros_like(x) + last}


def counted_up_in_a_function(x):
    @tf.function
    def count(x):
        n = tf.constant(0.0)
        while n < tf.reduce_max(x):
            n += 1.0
        return tf.zeros_like(x) + n

    return {"y": count(x)}


def taken_from_a_queue(x):
    """Nobody else puts anything in; below 10 the run itself does."""
    queue = tf1.FIFOQueue(10, [tf.float32], shapes=[[]], name="queue")
    is_small = tf.reduce_max(x) < 10.0
    put = tf.cond(is_small, lambda: with_(queue.enqueue(1.0)), lambda: tf.constant(0.0))
    with tf.control_dependencies([put]):
        return {"y": tf.zeros_like(x) + queue.dequeue() + 2.0}


def with_(operation):
    with tf.control_dependencies([operation]):
        return tf.constant(0.0)


def is_left_in_time(processor):
    """In both dialects, alone and joined; and the model still answers."""
    for call, body in ((processor.process, eas), (lambda p: processor.predict(p, TYPED), serving)):
        began = time.time()
        deadline.begin(int((time.monotonic() + LEFT_S) * 1e6))
        error = refused(call, body(MANY))
        assert (error.code, error.message) == (Code.DEADLINE_EXCEEDED, TOO_LATE)
        assert LEFT_S * 0.9 < time.time() - began < LATE_S_MAX
        error = refused(call, body(FEW))  # whose time is over before it begins
        assert error.code == Code.DEADLINE_EXCEEDED
    began = time.time()
    deadline.begin(int((time.monotonic() + LEFT_S) * 1e6))
    told = processor.many([(int(Kind.PROCESS), eas(values), 0) for values in (FEW, MANY)])
    assert [error.code for error in told] == [Code.DEADLINE_EXCEEDED] * 2
    assert time.time() - began < LATE_S_MAX
    for at_us in (0, int((time.monotonic() + 60) * 1e6)):
        deadline.begin(at_us)
        assert answer(processor.process(eas(FEW)))["y"][2] == [3.0]
        told = processor.many([(int(Kind.PROCESS), eas(FEW), 0)] * 3)
        assert [answer(one)["y"][2] for one in told] == [[3.0]] * 3
    deadline.begin(0)


def check_a_loop_is_left_at_the_deadline(_):
    if VERSION.startswith("1.12."):
        raise Skip("TensorFlow 1.12 does not leave loops")
    is_left_in_time(served(counted_up))


def check_a_loop_in_a_function_is_left_at_the_deadline(_):
    if VERSION.startswith("1."):
        raise Skip("functions of this kind came with TensorFlow 2")
    is_left_in_time(served(counted_up_in_a_function))


def check_a_queue_that_stays_empty_is_left_at_the_deadline(_):
    is_left_in_time(served(taken_from_a_queue))


def check_other_outputs_than_ever_before_are_still_given(_):
    """TensorFlow keeps what it prepares for a run with a deadline, so not all can have one."""

    def write(x):
        last = counted_up(x)["y"]
        return {"y%d" % n: last + n for n in range(7)}

    processor = served(write)
    for chosen in range(1, 1 << 7):
        names = ["y%d" % n for n in range(7) if chosen >> n & 1]
        outputs = answer(
            processor.process(request({"x": ("DT_FLOAT", [1], FEW)}, output_filter=names))
        )
        assert {name: value[2] for name, value in outputs.items()} == {
            name: [3.0 + int(name[1:])] for name in names
        }
    if not VERSION.startswith("1.12."):  # what could be left still can
        deadline.begin(int((time.monotonic() + LEFT_S) * 1e6))
        refusal = refused(processor.process, request({"x": ("DT_FLOAT", [1], MANY)}))
        assert refusal.message == TOO_LATE
        deadline.begin(0)
