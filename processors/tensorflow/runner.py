"""Runs parts of a loaded graph: one prepared callable for each set of fed and fetched tensors.

A prepared callable costs a tenth of `Session.run`. It runs in the thread that calls it unless the
session has a pool between ops; it takes and gives ndarrays, so that arrays of several requests can
be joined before it and split after it. Graphs that may not end by themselves run by `bounded`.
"""

import contextlib
import threading

import numpy as np

from eas_processor.errors import Code, ServingError
from tensorflow.core.protobuf import config_pb2

from . import bounded
from .api import OpError

CALLABLES_MAX = 64  # a client's choice of outputs must not fill the memory
IN_CALLERS_THREAD = -1
SESSIONS_POOL = 0

TRACEBACK = "\nTraceback (most recent call last)"  # of a Python function that an op calls
# 2.x tells first where in the user's program the node was made; its last line begins so.
GRAPH_ERROR = "Graph execution error:"
ORIGINS = (GRAPH_ERROR, "<stack traces unavailable>", "Node: ")

# What these mean to a client of a service is not what an op means by them: the service is there,
# is ready, lets the client in.
INTERNAL_TO_CLIENTS = frozenset(
    [
        Code.CANCELLED,
        Code.DEADLINE_EXCEEDED,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.UNAUTHENTICATED,
        Code.UNAVAILABLE,
    ]
)


class OpFailure(ServingError):
    """An op failed: the code and words for EAS clients, and TensorFlow's own."""

    def __init__(self, code, message):
        """code: TensorFlow's; message: all that it says, several lines."""
        try:
            code = Code(code)
        except ValueError:
            code = Code.UNKNOWN
        message = message.split(TRACEBACK)[0]
        self.own = (code, message.strip() or "no message")
        if code in INTERNAL_TO_CLIENTS:
            code = Code.INTERNAL
        elif code == Code.DATA_LOSS:  # what an op decodes is what the client sent
            code = Code.INVALID_ARGUMENT
        super(OpFailure, self).__init__(code, "TensorFlow: " + first_line(message))


def failure_of(error):
    """The OpFailure of an OpError."""
    message = error.message or str(error)
    # 1.12 keeps bytes that are no text as half surrogates.
    return OpFailure(
        error.error_code, message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


class Runner(object):
    """Callables of one session."""

    def __init__(self, session, pool=IN_CALLERS_THREAD, pools=None, rank_bound=frozenset()):
        """pools: of `bounded`, for runs that may not end by themselves; None: they all do.

        rank_bound: of `ranks`.
        """
        self.rank_bound = rank_bound
        self._session = session
        self._pool = pool
        self._pools = pools
        self._lock = threading.Lock()
        self._prepared = {}
        self._bounded = {}  # of those TensorFlow keeps its part for ever, so we do

    def prepare(self, feeds, fetches):
        """A function from a list of ndarrays (one for each of `feeds`) to a list of ndarrays.

        feeds, fetches: tensor names, each list without duplicates.
        """
        key = (tuple(feeds), tuple(fetches))
        with self._lock:
            run = self._bounded.get(key) or self._prepared.get(key)
            if run is not None:
                return run
            if self._pools is not None and len(self._bounded) < CALLABLES_MAX:
                with contextlib.suppress(KeyError, TypeError, ValueError):  # of names: told below
                    run = self._bounded[key] = self._make(feeds, fetches, self._bounded_call)
                    return run
            run = self._make(feeds, fetches, self._callable)
            if len(self._prepared) >= CALLABLES_MAX:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[key] = run
            return run

    def _make(self, feeds, fetches, make_call):
        places = {name: place for place, name in enumerate(feeds)}
        computed = [name for name in fetches if name not in places]
        if not computed:
            return lambda arrays: [arrays[places[name]] for name in fetches]
        try:
            call = make_call(feeds, computed)
        except OpError as error:
            raise failure_of(error) from error

        def run(arrays):
            try:
                values = call(*arrays)
            except OpError as error:
                raise failure_of(error) from error
            for place, value in enumerate(values):
                if type(value) is not np.ndarray:
                    values[place] = _array(value)
            return values

        if len(computed) == len(fetches):
            return run
        return _with_fed(run, [places.get(name) for name in fetches])

    def _bounded_call(self, feeds, fetches):
        return bounded.run_of(self._session, feeds, fetches, self._pools)

    def _callable(self, feeds, fetches):
        options = config_pb2.CallableOptions()
        options.feed.extend(feeds)
        options.fetch.extend(fetches)
        options.run_options.inter_op_thread_pool = self._pool
        return self._session._make_callable_from_options(options)


def _with_fed(run, places):
    """TensorFlow will not fetch what is fed: take those from the arguments (place, or None)."""

    def run_and_pick(arrays):
        computed = iter(run(arrays))
        return [next(computed) if place is None else arrays[place] for place in places]

    return run_and_pick


def _array(value):
    """A result without dimensions, which TensorFlow gives as a plain Python or numpy scalar."""
    if isinstance(value, bytes):
        array = np.empty((), object)
        array[()] = value
        return array
    return np.asarray(value)


def first_line(text):
    """What happened, without the trace; of several root errors the first one."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if lines and lines[0].startswith(GRAPH_ERROR):
        ends = [place for place, line in enumerate(lines) if line.startswith(ORIGINS)]
        lines = lines[ends[-1] + 1 :] or lines
    for line in lines[:3]:
        if line.startswith("(0) "):
            return line[4:]
    return lines[0] if lines else "no message"
