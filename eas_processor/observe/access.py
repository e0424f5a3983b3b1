"""The access log: one line for each request, JSON or readable. Off unless it is asked for.

Never a body, a token or a query (people put tokens there). Lines are gathered and a thread writes
them, so that a slow disk or a reader that has stopped reading holds up no request; what cannot be
written in time is dropped, and how much was is said in the log.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import threading
import time

import msgspec
import structlog

from eas_processor.errors import ConfigError
from eas_processor.observe.exchange import Exchange, trace_context

STANDARD_ERROR = "-"
STANDARD_ERROR_NUMBER = 2
GATHER_BYTES = 64 * 1024  # handed to the thread when so much is there, or at the next tick
WAITING_BYTES_MAX = 8 * 1024 * 1024  # gathered but not yet written
CLOSE_TIMEOUT_S = 2.0
CLOCK_LOOK_S = 1.0  # how often the time of day is looked at
TEXT_CHARS_MAX = 256  # of each text that a client chose

log = structlog.get_logger("access")

_encode = msgspec.json.Encoder().encode
_TEXT_FIELDS = ("queue_ms", "run_ms", "client", "service", "version", "dialect", "request_id",
                "trace_id")  # fmt: skip


class AccessLog:
    """Writes exchanges to a file, or to standard error if target is "-".

    sample: the part of all requests that is written, 0 to 1. style: json, text, or auto (text on a
    terminal). Raises ConfigError if the file cannot be opened.
    """

    def __init__(self, target: str, sample: float = 1.0, style: str = "auto") -> None:
        self._sample = sample
        self._file = _File(target)
        as_text = style == "text" or (style == "auto" and os.isatty(self._file.number))
        self._render = _text if as_text else _json
        self._clock = _Clock(local=as_text)
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._waiting_bytes = 0
        self._dropped = 0
        self._batches: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="access log", daemon=True)
        self._thread.start()

    def write(self, exchange: Exchange) -> None:
        """Note a request. Called on the event loop; never waits."""
        if self._sample < 1.0 and random.random() >= self._sample:
            return
        if self._waiting_bytes + self._gathered_bytes > WAITING_BYTES_MAX:
            self._dropped += 1
            return
        line = self._render(_line(exchange, self._clock.stamp(exchange.started_s)))
        self._gathered.append(line)
        self._gathered_bytes += len(line)
        if self._gathered_bytes > GATHER_BYTES:
            self._hand_on()

    def tick(self) -> None:
        """Hand on what was gathered; called a few times a second."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting_bytes -= self._written.get_nowait()
        if self._gathered:
            self._hand_on()
        if self._dropped and not self._waiting_bytes:
            log.warning("access log was too slow: lines dropped", lines=self._dropped)
            self._dropped = 0

    def close(self) -> None:
        """Write what is left, waiting for it no longer than CLOSE_TIMEOUT_S."""
        self._hand_on()
        self._batches.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _hand_on(self) -> None:
        self._batches.put(b"".join(self._gathered))
        self._waiting_bytes += self._gathered_bytes
        self._gathered = []
        self._gathered_bytes = 0

    def _write_all(self) -> None:
        failing = False
        while (batch := self._batches.get()) is not None:
            try:
                self._file.write(batch)
                failing = False
            except OSError as error:
                if not failing:
                    log.error("access log not written", reason=error.strerror or str(error))
                failing = True
            self._written.put(len(batch))
        self._file.close()


class _File:
    """A file to append to, opened anew when it was moved away or removed (logrotate)."""

    def __init__(self, target: str) -> None:
        self._path = "" if target == STANDARD_ERROR else os.path.abspath(target)
        try:
            self.number = self._open()
        except OSError as error:
            raise ConfigError(f"access log: {target} cannot be written: {error.strerror}") from None

    def _open(self) -> int:
        if not self._path:
            return STANDARD_ERROR_NUMBER
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._path, flags, 0o640)

    def write(self, data: bytes) -> None:
        if self._path and self._moved():
            fresh = self._open()
            os.close(self.number)
            self.number = fresh
        view = memoryview(data)
        while view:
            view = view[os.write(self.number, view) :]

    def _moved(self) -> bool:
        try:
            named = os.stat(self._path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(named, os.fstat(self.number))

    def close(self) -> None:
        if self._path:
            os.close(self.number)


class Line(msgspec.Struct, omit_defaults=True):
    """What a line tells, in this order; texts of which there is nothing to say are left out."""

    time: str
    method: str
    path: str
    status: int | str
    ms: float
    bytes_in: int
    bytes_out: int
    queue_ms: float
    run_ms: float
    client: str = ""
    service: str = ""
    version: str = ""
    dialect: str = ""
    request_id: str = ""
    trace_id: str = ""


class _Clock:
    """Times of day, from times on CLOCK_MONOTONIC."""

    def __init__(self, local: bool) -> None:
        self._zone = time.localtime if local else time.gmtime
        self._format = "%H:%M:%S" if local else "%Y-%m-%dT%H:%M:%S"
        self._end = "" if local else "Z"
        self._epoch_s = 0.0
        self._looked_at_s = float("-inf")
        self._second = -1
        self._text = ""  # of that second: most requests share it with the one before

    def stamp(self, monotonic_s: float) -> str:
        """To the millisecond: the local time for people, else UTC as in ISO 8601."""
        if monotonic_s >= self._looked_at_s + CLOCK_LOOK_S:  # it may have been set meanwhile
            self._looked_at_s = time.monotonic()
            self._epoch_s = time.time() - self._looked_at_s
        millis = int((self._epoch_s + monotonic_s) * 1000)
        second = millis // 1000
        if second != self._second:
            self._second = second
            self._text = time.strftime(self._format, self._zone(second))
        return f"{self._text}.{millis % 1000:03d}{self._end}"


def _line(exchange: Exchange, stamp: str) -> Line:
    context = trace_context(exchange.traceparent) if exchange.traceparent else None
    return Line(
        time=stamp,
        method=exchange.method,
        path=exchange.path.partition("?")[0][:TEXT_CHARS_MAX],
        status=exchange.status,
        ms=round((exchange.ended_s - exchange.started_s) * 1000, 3),
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        queue_ms=round(exchange.queue_s * 1000, 3),
        run_ms=exchange.run_us / 1000,
        client=exchange.client,
        service=exchange.service,
        version=exchange.version,
        dialect=exchange.dialect,
        request_id=exchange.request_id[:TEXT_CHARS_MAX],
        trace_id=context.trace_id if context else "",
    )


def _json(line: Line) -> bytes:
    return _encode(line) + b"\n"


def _text(line: Line) -> bytes:
    words = (
        f"{line.time} {line.method} {line.path} {line.status} {line.ms:.1f} ms, "
        f"{line.bytes_in} B in, {line.bytes_out} B out"
    )
    words += "".join(f" {name}={value}" for name in _TEXT_FIELDS if (value := getattr(line, name)))
    if not words.isprintable():  # a client chose some of this: it must not steer the terminal
        words = "".join(c if c.isprintable() else "?" for c in words)
    return words.encode() + b"\n"
