"""A worker's life: say hello, load the processor, answer calls until the host closes the wall.

Short calls run one after another in the thread that reads the socket: handing a 30 µs call to a
thread costs more than the call. Once calls prove long, they go to `concurrency` threads, so that
TensorFlow runs them side by side; should they become short again, they come back. Those of a
processor whose calls may not end never do. A processor that joins is given what came in one read,
or what waited for a thread, together.
"""

import base64
import ctypes
import gc
import importlib
import json
import math
import os
import platform
import signal
import socket
import sys
import threading
import time
from types import ModuleType

from eas_processor.errors import TOO_LATE, Code, ServingError
from eas_processor.worker import deadline, frames, output
from eas_processor.worker.answers import encode, encode_all, first_line, is_late, is_success, text
from eas_processor.worker.awake import AWAKE_S, CLOSE_EVENTS, CLOSE_S
from eas_processor.worker.frames import BATCH_SHIFT, SHARED, Frame, Kind
from eas_processor.worker.shared import Mapped
from eas_processor.worker.waiting import Waiting
from eas_processor.worker.walls import RECV_BYTES, Wall, Walls

SHORT_CALL_S = 0.0005  # a call under this is run by the reader itself
JUDGED_CALLS = 8  # the shortest of so many recent calls tells what kind the model is
FLUSH_S = 0.0005  # answers that are done wait at most so long for the ones after them
FEW_CALLS = 4  # reads of as many calls or more share the cost of a wake-up
PR_SET_PDEATHSIG = 1
# Plain numbers: looking up a member of an enum costs more than using it.
PROCESS, PREDICT, PROFILE = map(int, (Kind.PROCESS, Kind.PREDICT, Kind.PROFILE))
RUNS = (PROCESS, PREDICT)


def main(fd, door_fd=None):
    """Run the worker on the inherited socket `fd`; ends the process.

    door_fd: where walls of the host's other processes come in, if it has some; see `walls`.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fd)
    _die_with_host()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _serve(sock, door_fd)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the host is gone: so is the reason to be here
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # whatever a processor has made of it
            pass
    os._exit(0)  # TensorFlow's threads may still run; nobody waits for them any more


def _serve(sock, door_fd):
    hello = {
        "protocol": frames.PROTOCOL_VERSION,
        "pid": os.getpid(),
        "python": platform.python_version(),
    }
    sock.sendall(frames.encode(Kind.HELLO, json.dumps(hello).encode("utf-8")))
    decoder = frames.FrameDecoder()
    load = _await_load(sock, decoder)
    if load is not None:
        processor = _load(sock, load)
        if processor is not None:
            wall = Wall(sock, decoder)
            if door_fd is not None:
                door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=door_fd)
                wall = Walls(wall, door, frames.FrameDecoder)
            Loop(wall, processor, load["config"]).run()


def _die_with_host():
    """Ask the kernel to end this process with its parent, also while it is inside a C call."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        pass  # not Linux: end of file on the socket is noticed between calls


def _await_load(sock, decoder):
    while True:
        data = sock.recv(RECV_BYTES)
        if not data:
            return None
        for frame in decoder.feed(data):
            if frame.kind != Kind.LOAD:
                raise frames.FrameError("a call before LOAD: kind %d" % frame.kind)
            return json.loads(frame.payload.decode("utf-8"))


def _load(sock, load):
    """Import and initialise the processor; tell the host how that went. None if it failed."""
    started = time.monotonic()
    try:
        processor = _instantiate(load["entry"], load["paths"], load["packages"])
        processor.initialize(load["model_dir"], load["config"])
        loaded = {
            "threads": _threads(processor, load["config"]),
            "joins": bool(getattr(processor, "joins", False)),
            "signatures": base64.b64encode(processor.signatures()).decode("ascii"),
            "versions": {str(name): str(version) for name, version in processor.versions().items()},
            # a plug-in may skip our constructor
            "notes": [str(note) for note in getattr(processor, "notes", [])],
            "load_s": round(time.monotonic() - started, 3),
        }
    except ServingError as error:
        sock.sendall(frames.encode(Kind.FAILED, text(error.message), code=error.code))
        return None
    except BaseException as error:  # a plug-in may raise SystemExit at import, too
        output.report(error)
        sock.sendall(frames.encode(Kind.FAILED, text(first_line(error)), code=Code.INTERNAL))
        return None
    sock.sendall(frames.encode(Kind.LOADED, json.dumps(loaded).encode("utf-8")))
    gc.collect()
    if hasattr(gc, "freeze"):  # Python 3.7: never scan TensorFlow's million objects again
        gc.freeze()
    return processor


def _threads(processor, config):
    return processor.threads_max or config["concurrency"]


def _instantiate(entry, paths, packages):
    """paths go on sys.path; packages (name → folder) are bound without it, see __main__."""
    sys.path[:0] = paths
    for name, folder in packages.items():
        package = ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package
    module, _, attribute = entry.partition(":")
    return getattr(importlib.import_module(module), attribute)()


class Loop(object):
    """Reads calls, runs them, writes answers."""

    def __init__(self, wall, processor, config):
        self._wall = wall
        self._processor = processor
        batching = config.get("batching") or {}
        self._joins = bool(getattr(processor, "joins", False))
        self._calls_max = batching.get("calls_max", 1) if self._joins else 1
        self._timeout_s = batching.get("timeout_us", 0) / 1e6
        self._threads = _threads(processor, config)
        self._may_hand_over = config["concurrency"] > 1
        self._may_not_end = bool(getattr(processor, "may_not_end", False))
        self._mapped = Mapped()
        self._takes_views = bool(getattr(processor, "takes_views", False))
        self._done = []  # encoded answers of short calls, not yet sent
        self._flushed_at = 0.0
        self._recent_s = [math.inf] * JUDGED_CALLS  # unknown: long until seen to be short
        self._calls = 0
        self._close_reads = 0  # how many of the last reads came soon after the answer before
        self._send_lock = threading.Lock()
        self._long = None  # the calls for the threads, once there are any

    def run(self):
        """Until the host closes the socket. Raises FrameError if that was inside a frame."""
        while True:
            is_awake = self._close_reads >= CLOSE_EVENTS
            calls = self._wall.receive(self._flushed_at + AWAKE_S if is_awake else 0.0)
            if calls is None:
                return
            now = time.perf_counter()
            close_s = AWAKE_S if is_awake else CLOSE_S
            is_close = now - self._flushed_at < close_s and len(calls) < FEW_CALLS
            self._close_reads = self._close_reads + 1 if is_close else 0
            self._flushed_at = now
            if any(frame.flags & SHARED for frame in calls):
                calls = [frame for frame in map(self._with_body, calls) if frame is not None]
            are_long = self._may_not_end or min(self._recent_s) > SHORT_CALL_S
            if are_long and self._may_hand_over:
                for frame in calls:
                    self._hand_over(frame)
            elif self._calls_max > 1:
                for first in range(0, len(calls), self._calls_max):
                    self._done.extend(self._answer_many(calls[first : first + self._calls_max]))
                    self._flush_if_due()
            else:
                for frame in calls:
                    self._done.append(self._answer(frame))
                    self._flush_if_due()
            self._flush()

    def _with_body(self, frame):
        """The frame with its body, from where that lies in shared memory; None if that is gone."""
        kind, code, flags, id, aux, payload = frame
        if not flags & SHARED:
            return frame
        try:
            body = self._mapped.body(payload)
        except OSError as error:  # its owner has just ended: no reason to follow
            words = "the request's memory cannot be read: %s" % error.strerror
            self._done.append(encode(id, ServingError(Code.INTERNAL, words), 0))
            return None
        if not self._takes_views:
            body = bytes(body)
        return Frame(kind, code, flags & ~SHARED, id, aux, body)

    def _flush(self):
        if self._done:
            answers, self._done = self._done, []
            with self._send_lock:
                self._wall.send(answers)
        self._flushed_at = time.perf_counter()

    def _flush_if_due(self):
        if time.perf_counter() - self._flushed_at > FLUSH_S:
            self._flush()

    def _hand_over(self, frame):
        if self._long is None:
            self._long = Waiting(self._threads, self._calls_max, self._timeout_s)
            for number in range(self._threads):
                name = "call-%d" % number
                threading.Thread(target=self._run_long, name=name, daemon=True).start()
        self._long.put(frame)

    def _run_long(self):
        while True:
            calls = self._long.take()
            started = time.perf_counter()
            answers = self._answer_many(calls)
            self._long.done(len(calls), time.perf_counter() - started)
            try:
                with self._send_lock:
                    self._wall.send(answers)
            except OSError:
                return  # the reader sees the end, too, and ends the process

    def _answer_many(self, calls):
        """Run calls together where the processor joins; their answers as encoded frames."""
        if self._may_not_end:
            groups = deadline.together(calls)
            if len(groups) > 1:
                return [answer for group in groups for answer in self._answer_many(group)]
        now_us = time.monotonic() * 1e6
        joined = [f for f in calls if f.kind in RUNS and not 0 < f.aux < now_us]
        if len(joined) < 2:
            return [self._answer(frame) for frame in calls]
        started = time.perf_counter()
        deadline.begin(max(f.aux for f in joined) if all(f.aux for f in joined) else 0)
        try:
            asked = [(frame.kind, frame.payload, frame.flags) for frame in joined]
            values = self._processor.many(asked)
            if len(values) != len(asked):
                raise ValueError("many() gave %d answers to %d calls" % (len(values), len(asked)))
        except BaseException as error:
            values = [error] * len(joined)
        ran_s = time.perf_counter() - started
        aux = int(ran_s * 1e6) | len(joined) << BATCH_SHIFT
        answers = encode_all([frame.id for frame in joined], values, aux)
        good = sum(map(is_success, answers))  # refusals tell nothing of a run's length
        if good:
            self._note(ran_s / good)
        if len(joined) < len(calls):
            ran = {frame.id for frame in joined}
            answers += [self._answer(frame) for frame in calls if frame.id not in ran]
        return answers

    def _note(self, ran_s):
        self._calls += 1
        self._recent_s[self._calls % JUDGED_CALLS] = ran_s

    def _answer(self, frame):
        """Run one call; its answer as an encoded frame. Never raises."""
        kind, _, flags, id, deadline_us, payload = frame
        if is_late(frame):
            return encode(id, ServingError(Code.DEADLINE_EXCEEDED, TOO_LATE), 0)
        started = time.perf_counter()
        deadline.begin(deadline_us)
        try:
            if kind == PROCESS:
                value = self._processor.process(payload)
            elif kind == PREDICT:
                value = self._processor.predict(payload, flags)
            elif kind == PROFILE:
                value = self._processor.profile(json.loads(payload.decode()) if payload else None)
            else:
                value = self._processor.describe(payload.decode("utf-8"))
        except BaseException as error:  # SystemExit would silently end one of the threads
            value = error
        ran_s = time.perf_counter() - started
        batch = 0 if kind == PROFILE else 1
        answer = encode(id, value, int(ran_s * 1e6) | batch << BATCH_SHIFT)
        if kind in RUNS and is_success(answer):  # a refusal tells nothing of a run's length
            self._note(ran_s)
        return answer
