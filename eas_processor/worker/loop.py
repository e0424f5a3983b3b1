"""A worker's life: say hello, load the processor, answer calls until the host closes the wall.

Short calls run one after another in the thread that reads the socket: handing a 30 µs call to a
thread costs more than the call. Once calls prove long, they go to `concurrency` threads, so that
TensorFlow runs them side by side; should they become short again, they come back.
"""

import ctypes
import gc
import importlib
import json
import math
import os
import platform
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from types import ModuleType

from eas_processor.errors import Code, ServingError
from eas_processor.worker import frames
from eas_processor.worker.frames import HEADER, Content, Kind
from eas_processor.worker.processor import Answer

RECV_BYTES = 1 << 18
SHORT_CALL_S = 0.0005  # a call under this is run by the reader itself
JUDGED_CALLS = 8  # the shortest of so many recent calls tells what kind the model is
FLUSH_S = 0.0005  # answers that are done wait at most so long for the ones after them
AWAKE_S = 0.0002  # calls further apart than this are slept between
CLOSE_READS = 8  # so many must have followed each other closely first
MESSAGE_CHARS_MAX = 1024
PR_SET_PDEATHSIG = 1
# Plain numbers: looking up a member of an enum costs more than using it.
PROCESS, ANSWER, OK, BINARY = map(int, (Kind.PROCESS, Kind.ANSWER, Code.OK, Content.BINARY))


def main(fd):
    """Run the worker on the inherited socket `fd`; ends the process."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fd)
    _die_with_host()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _serve(sock)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the host is gone: so is the reason to be here
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # TensorFlow's threads may still run; nobody waits for them any more


def _serve(sock):
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
            Loop(sock, decoder, processor, load["config"]["concurrency"]).run()


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
    started = time.time()
    try:
        processor = _instantiate(load["entry"], load["paths"], load["packages"])
        processor.initialize(load["model_dir"], load["config"])
        loaded = {
            "versions": {str(name): str(text) for name, text in processor.versions().items()},
            # a plug-in may skip our constructor
            "notes": [str(note) for note in getattr(processor, "notes", [])],
            "load_s": round(time.time() - started, 3),
        }
    except ServingError as error:
        sock.sendall(frames.encode(Kind.FAILED, _text(error.message), code=error.code))
        return None
    except BaseException as error:  # a plug-in may raise SystemExit at import, too
        traceback.print_exc()
        sock.sendall(frames.encode(Kind.FAILED, _text(_name(error)), code=Code.INTERNAL))
        return None
    sock.sendall(frames.encode(Kind.LOADED, json.dumps(loaded).encode("utf-8")))
    gc.collect()
    if hasattr(gc, "freeze"):  # Python 3.7: never scan TensorFlow's million objects again
        gc.freeze()
    return processor


def _instantiate(entry, paths, packages):
    """paths go on sys.path; packages (name → folder) are bound without it, see __main__."""
    sys.path[:0] = paths
    for name, folder in packages.items():
        package = ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package
    module, _, attribute = entry.partition(":")
    return getattr(importlib.import_module(module), attribute)()


def _name(error):
    """The first line that tells a reader what happened: `ValueError: …`."""
    text = str(error).strip().split("\n")[0]
    return type(error).__name__ + (": " + text if text else "")


def _text(message):
    return message[:MESSAGE_CHARS_MAX].encode("utf-8", "replace")


class Loop(object):
    """Reads calls, runs them, writes answers."""

    def __init__(self, sock, decoder, processor, concurrency):
        self._sock = sock
        self._decoder = decoder
        self._processor = processor
        self._concurrency = concurrency
        self._done = []  # encoded answers of short calls, not yet sent
        self._flushed_at = 0.0
        self._recent_s = [math.inf] * JUDGED_CALLS  # unknown: long until seen to be short
        self._calls = 0
        self._close_reads = 0  # how many of the last reads came soon after the answer before
        self._send_lock = threading.Lock()
        self._long = None  # queue of the threads, once there are any

    def run(self):
        """Until the host closes the socket. Raises FrameError if that was inside a frame."""
        # One buffer for all reads: a new one of this size each time would keep malloc busy.
        buffer = bytearray(RECV_BYTES)
        view = memoryview(buffer)
        while True:
            count = self._receive_into(buffer)
            if not count:
                return self._decoder.close()
            now = time.perf_counter()
            self._close_reads = self._close_reads + 1 if now - self._flushed_at < AWAKE_S else 0
            self._flushed_at = now
            for frame in self._decoder.feed(bytes(view[:count])):
                if min(self._recent_s) > SHORT_CALL_S and self._concurrency > 1:
                    self._hand_over(frame)
                else:
                    self._done.append(self._answer(frame))
                    if time.perf_counter() - self._flushed_at > FLUSH_S:
                        self._flush()
            self._flush()

    def _receive_into(self, buffer):
        """How many bytes the host sent; 0 once it has closed.

        Waking a process that sleeps can take longer than a small model takes to run. So while calls
        follow each other closely the next is awaited awake, for AWAKE_S at the most.
        """
        if self._close_reads >= CLOSE_READS:
            until = self._flushed_at + AWAKE_S
            while time.perf_counter() < until:
                try:
                    return self._sock.recv_into(buffer, 0, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    os.sched_yield()  # whoever else wants this core comes first
        return self._sock.recv_into(buffer)

    def _flush(self):
        if self._done:
            answers = b"".join(self._done)
            self._done = []
            with self._send_lock:
                self._sock.sendall(answers)
        self._flushed_at = time.perf_counter()

    def _hand_over(self, frame):
        if self._long is None:
            self._long = queue.Queue()
            for number in range(self._processor.threads_max or self._concurrency):
                name = "call-%d" % number
                threading.Thread(target=self._run_long, name=name, daemon=True).start()
        self._long.put(frame)

    def _run_long(self):
        while True:
            answer = self._answer(self._long.get())
            try:
                with self._send_lock:
                    self._sock.sendall(answer)
            except OSError:
                return  # the reader sees the end, too, and ends the process

    def _answer(self, frame):
        """Run one call; its answer as an encoded frame. Never raises."""
        kind, _, _, id, deadline_us, payload = frame
        if deadline_us and deadline_us < time.monotonic() * 1e6:
            return frames.encode(
                Kind.ANSWER, b"deadline passed", id, Code.DEADLINE_EXCEEDED, Content.TEXT
            )
        code, content = OK, BINARY
        started = time.perf_counter()
        try:
            if kind == PROCESS:
                body = self._processor.process(payload)
            else:
                body = self._processor.describe(payload.decode("utf-8"))
            if not isinstance(body, bytes):
                body, content = _unwrap(body)
            if len(body) > frames.PAYLOAD_BYTES_MAX:
                raise ValueError("process() returned %d bytes" % len(body))
        except BaseException as error:  # SystemExit would silently end one of the threads
            code, content, body = _failure(error)
        ran_s = time.perf_counter() - started
        if code == OK and kind == PROCESS:  # a refusal says nothing of how long a run takes
            self._calls += 1
            self._recent_s[self._calls % JUDGED_CALLS] = ran_s
        return HEADER.pack(len(body), ANSWER, code, content, id, int(ran_s * 1e6)) + body


def _failure(error):
    """The code, content and body that tell the client of what `process` raised."""
    if isinstance(error, ServingError) and 0 < int(error.code) < 256:
        return int(error.code), Content.TEXT, _text(str(error.message))
    if isinstance(error, MemoryError):
        return Code.RESOURCE_EXHAUSTED, Content.TEXT, b"out of memory"
    traceback.print_exception(type(error), error, error.__traceback__)
    return Code.INTERNAL, Content.TEXT, _text(_name(error))


def _unwrap(value):
    """The body and content of what a processor gave that is not plain bytes."""
    if isinstance(value, Answer):
        if not isinstance(value.body, bytes):
            return _unwrap(value.body)[0], Content(value.content)
        return value.body, Content(value.content)
    if isinstance(value, str):
        return value.encode("utf-8"), Content.TEXT
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value), Content.BINARY
    raise TypeError("process() returned %s, not bytes" % type(value).__name__)
