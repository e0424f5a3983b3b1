"""Runs that end with the deadline of the call, for graphs that may not end by themselves.

A prepared callable has one timeout for all its runs. A run with options of its own takes 1 to 3 µs
more, as long as it may stay in the caller's thread. There a queue that stays empty can be left, but
no loop: that can be in a pool's thread alone. In a pool with a single thread, nobody else's at the
time, a loop takes as long as in the caller's and the way there about 0.1 ms; in one pool for all, a
few loops would keep other runs from beginning. TensorFlow 1.12 does not leave loops.
"""

import collections

import numpy as np

from eas_processor.errors import TOO_LATE, Code, ServingError
from eas_processor.worker import deadline
from tensorflow.core.protobuf import config_pb2

from .api import OpError, tf, tf_session

WRONG_DTYPE = "Expects arg["  # how TensorFlow begins to say so


class Pools(object):
    """The pools of a session by number. own: those of one thread; shared: for when all are taken.

    The shared one may also be -1, for the caller's thread.
    """

    def __init__(self, shared, own=()):
        self._shared = shared
        self._free = collections.deque(own)

    def take(self):
        """A pool for one run."""
        try:
            return self._free.pop()
        except IndexError:
            return self._shared

    def give_back(self, pool):
        """The run has ended."""
        if pool != self._shared:
            self._free.append(pool)


def run_of(session, feeds, fetches, pools):
    """A function from ndarrays, one for each of `feeds`, to what TensorFlow gives for `fetches`.

    Raises OpError, as the function does, which also raises ServingError once the deadline has
    passed.
    """
    session._extend_graph()
    fed = [session.graph.get_tensor_by_name(name) for name in feeds]
    inputs = [tensor._as_tf_output() for tensor in fed]
    outputs = [session.graph.get_tensor_by_name(name)._as_tf_output() for name in fetches]

    def run_within(left_s, arrays):
        pool = pools.take()
        buffer = None
        try:
            timeout_ms = 0 if left_s is None else 1 + int(left_s * 1e3)
            options = config_pb2.RunOptions(inter_op_thread_pool=pool, timeout_in_ms=timeout_ms)
            buffer = tf_session.TF_NewBufferFromString(options.SerializeToString())
            return tf_session.TF_SessionRun_wrapper(
                session._session, buffer, dict(zip(inputs, arrays)), outputs, [], None
            )
        finally:
            if buffer is not None:
                tf_session.TF_DeleteBuffer(buffer)
            pools.give_back(pool)

    def run(*arrays):
        left_s = deadline.left_s()
        if left_s is not None and left_s <= 0:
            raise ServingError(Code.DEADLINE_EXCEEDED, TOO_LATE)
        try:
            return run_within(left_s, arrays)
        except OpError as error:
            if error.error_code == Code.DEADLINE_EXCEEDED and (deadline.left_s() or 0) < 0:
                raise ServingError(Code.DEADLINE_EXCEEDED, TOO_LATE) from error
            raise

    _optimise(run_within, fed)
    return run


def _optimise(run_within, fed):
    """Let TensorFlow make now what otherwise the first run would wait for.

    It does so before it looks at what it is fed, and with a wrong dtype goes no further.
    """
    if not fed:
        return
    wrong = [np.zeros(0, np.int8 if tensor.dtype == tf.bool else np.bool_) for tensor in fed]
    try:
        run_within(None, wrong)
    except OpError as error:
        if not (error.message or "").startswith(WRONG_DTYPE):
            raise
