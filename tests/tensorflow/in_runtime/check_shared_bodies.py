"""Requests in memory that is shared with the host: read where they lie, and never written to."""

import mmap
import os

import numpy as np
from in_runtime import models, requests

from eas_processor.worker.shared import PLACE, Mapped
from processors.tensorflow.api import tf, tf1

ALIGNMENT = 64
IMAGE = np.linspace(-1, 1, 64 * 1024, dtype=np.float32).reshape(1, -1)
# Ops that TensorFlow lets write their result over their input where it may.
OPS = {
    "relu": (tf.nn.relu, lambda x: np.maximum(x, 0)),
    "plus": (lambda x: tf.add(x, 1.0), lambda x: x + 1),
    "square": (tf.square, np.square),
    "same": (tf.identity, lambda x: x),
}


class Slot(object):
    """Memory of the host's, written as `pool.bodies` does: with the body's end aligned."""

    def __init__(self, size):
        self._file = os.open(
            os.path.join(models.new_folder(), "slot"), os.O_RDWR | os.O_CREAT, 0o600
        )
        os.ftruncate(self._file, size)
        self.memory = mmap.mmap(self._file, size)

    def put(self, body):
        start = -len(body) % ALIGNMENT
        self.memory[start : start + len(body)] = body
        return PLACE.pack(1, os.getpid(), self._file, len(self.memory), start, len(body))


def folder_with(op):
    folder = models.new_folder() + "/1"
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf1.placeholder(tf.float32, [None, IMAGE.shape[1]])
        made = {"serving_default": models.signature({"images": images}, {"scores": op(images)})}
        models.save(session, folder, made)
    return folder


def check_numbers_are_right_and_the_memory_stays_as_it_was(_):
    slot, mapped = Slot(1 << 20), Mapped()
    for name, (op, expected) in OPS.items():
        processor = models.serve(folder_with(op))
        for turn in range(4):  # the first request is parsed, later ones are read as it was
            image = IMAGE * (turn + 1)
            body = requests.request({"images": requests.floats(image)})
            place = slot.put(body)
            answer = processor.process(mapped.body(place))
            scores = np.array(requests.answer(answer)["scores"][2], np.float32)
            np.testing.assert_array_equal(scores, expected(image)[0], err_msg=name)
            assert bytes(mapped.body(place)) == body, name


def check_the_numbers_lie_where_tensorflow_takes_them_as_they_are(_):
    processor = models.serve(folder_with(tf.nn.relu))
    slot, mapped = Slot(1 << 20), Mapped()
    body = requests.request({"images": requests.floats(IMAGE)})
    for _turn in range(2):
        processor.process(mapped.body(slot.put(body)))
    layout = processor._eas.layout(mapped.body(slot.put(body)))
    (array,) = layout.arrays(mapped.body(slot.put(body)))
    assert array.ctypes.data % ALIGNMENT == 0 and not array.flags.writeable
