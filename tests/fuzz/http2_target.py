"""One HTTP/2 connection, fed with anything, cut anywhere, by clients of every temper.

The first byte of an input says how client and application behave, the second how the stream is
cut; the rest follows the preface. Whatever it is: what is sent are whole frames, an answer is its
head, its body, its trailers, and then nothing more, within the connection's window; no request is
handed over twice; and nothing of it stays in memory's books.
"""

import struct
import time
from collections.abc import Callable
from typing import Any

import hpack

from eas_processor.http2 import frames
from eas_processor.http2.blocks import block
from eas_processor.http2.connection import Http2Connection
from eas_processor.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)
from eas_processor.http2.lifetime import Connections
from eas_processor.http2.outlet import Stream
from eas_processor.http2.upkeep import Bounds
from tests.fuzz.target import Target
from tests.http.fakes import Transport

LATER, IS_TIGHT, LEAVES, TAKES_SLOWLY, WITH_TLS = (1 << bit for bit in range(5))
TIGHT = Bounds(streams_max=3, fields_bytes_max=300, held_bytes_max=500)
HEAD = b"\x88" + block(((b"content-type", b"text/plain"),))
END = block(((b"grpc-status", b"0"),))
CUT_BYTES = 7
TICK_S = 100.0  # longer than any bound that is not of hours


class Wire(Transport):  # type: ignore[misc]
    """Takes several pieces, too, and may be one that cannot be closed by half."""

    def __init__(self, temper: int) -> None:
        super().__init__()
        self._temper = temper

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.write(b"".join(pieces))

    def can_write_eof(self) -> bool:
        return not self._temper & WITH_TLS


class Echo:
    """Answers each request with its body, several times over; at once or later, the last first."""

    def __init__(self, instantly: bool) -> None:
        self.body_bytes_max = 2000
        self._instantly = instantly
        self._unanswered: list[Stream] = []
        self.seen: set[int] = set()

    def whole(self, stream: Stream, peer: Callable[[str], Any]) -> None:
        assert stream.number not in self.seen, "handed over twice"
        assert sum(map(len, stream.parts)) == stream.received <= self.body_bytes_max
        self.seen.add(stream.number)
        self._unanswered.append(stream)
        if self._instantly:
            self.answer_all()

    def too_large(self, stream: Stream) -> None:
        stream.send(b"", b"", HEAD + END)

    def too_slow(self, stream: Stream) -> None:
        stream.send(b"", b"", HEAD + END)

    def answer_all(self) -> None:
        while self._unanswered:
            stream = self._unanswered.pop()
            stream.send(HEAD, b"".join(stream.parts) * 50, END)


def check_written(written: bytes) -> None:
    """What another party would say to it."""
    decoder, state, at = hpack.Decoder(), {}, 0
    while at < len(written):
        high, low, kind, flags, number = frames.HEAD.unpack_from(written, at)
        at += frames.HEAD_BYTES
        payload = written[at : at + (high << 8 | low)]
        assert len(payload) == high << 8 | low, "a frame is cut"
        at += len(payload)
        if kind == HEADERS:
            fields = dict(decoder.decode(payload, raw=True))
            first = number not in state
            assert first or (state[number] == "open" and flags & END_STREAM)
            assert (b":status" in fields) == first
            state[number] = "over" if flags & END_STREAM else "open"
        elif kind == DATA:
            assert state[number] == "open" and not flags & END_STREAM
        elif kind == RST_STREAM:
            state[number] = "over"
        else:
            assert kind in (SETTINGS, PING, GOAWAY, WINDOW_UPDATE)


def check(data: bytes) -> None:
    """One connection's life."""
    if len(data) < 2:
        return
    temper, size = data[0], data[1] * CUT_BYTES
    echo, wire = Echo(instantly=not temper & LATER), Wire(temper)
    shared = Connections(echo, TIGHT if temper & IS_TIGHT else Bounds())
    connection = Http2Connection(shared)
    connection.connection_made(wire)
    stream = frames.PREFACE + frames.settings({}) + data[2:]
    for turn, start in enumerate(range(0, len(stream), size or len(stream))):
        if wire.closed:
            break
        if temper & TAKES_SLOWLY and turn % 3 == 1:
            connection.pause_writing()
        connection.data_received(stream[start : start + (size or len(stream))])
        assert connection._outlet._window >= 0, "more is sent than is taken"
        if temper & TAKES_SLOWLY and turn % 3 == 2:
            connection.resume_writing()
    if not temper & LEAVES:
        if not wire.closed:
            connection.resume_writing()
        echo.answer_all()
        now_s = time.monotonic()
        for tick in range(2):
            if not wire.closed:
                connection.tick(now_s + tick * TICK_S)
    connection.connection_lost(None)
    echo.answer_all()
    check_written(wire.written)
    assert not shared.open and not shared.held_bytes
    assert not connection._streams and not connection._outlet.unsent_bytes


FIELDS = (
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/s/m"), (b":authority", b"h"),
    (b"te", b"trailers"), (b"content-type", b"application/grpc"),
)  # fmt: skip
ENCODED = [hpack.Encoder().encode(FIELDS)]
ENCODER = hpack.Encoder()
IN_TABLE = [ENCODER.encode(FIELDS), ENCODER.encode(FIELDS)]


def call(number: int, head: bytes, body: bytes = b"body") -> bytes:
    return frame(HEADERS, END_HEADERS, number, head) + frame(DATA, END_STREAM, number, body)


ONE = call(1, block(FIELDS))
STREAMS = (
    ONE,
    call(1, IN_TABLE[0]) + call(3, IN_TABLE[1]) + call(5, IN_TABLE[1]),
    frame(HEADERS, 0, 1, ENCODED[0][:9])
    + frame(frames.CONTINUATION, END_HEADERS, 1, ENCODED[0][9:])
    + frame(DATA, END_STREAM | PADDED, 1, b"\x04body" + bytes(4)),
    frames.settings({frames.INITIAL_WINDOW_SIZE: 1}) + ONE
    + frames.window_update(1, 100) + frames.window_update(0, 100),
    call(1, block(FIELDS), b"b" * 1500) + frames.settings({frames.INITIAL_WINDOW_SIZE: 9})
    + call(3, block(FIELDS), b"c" * 1500) + frames.window_update(1, 1 << 20),
    frame(HEADERS, END_HEADERS, 1, block(FIELDS)) + frame(DATA, 0, 1, b"b" * 900)
    + frames.reset(1, frames.CANCEL) + call(3, block(FIELDS)),
    frame(PING, 0, 0, bytes(8)) + frame(0xFE, 7, 9, b"?") + ONE + frames.goaway(0, 0),
    frame(HEADERS, END_HEADERS, 1, block(FIELDS)) + frame(DATA, 0, 1, b"b" * 400)
    + frame(HEADERS, END_HEADERS | END_STREAM, 1, block(((b"x", b"y"),))),
    frame(HEADERS, END_HEADERS, 1, block(FIELDS)) + frame(DATA, 0, 1, b"b" * 2500),
)  # fmt: skip
TEMPERS = (0, LATER, IS_TIGHT, IS_TIGHT | LATER, LEAVES | LATER, TAKES_SLOWLY, WITH_TLS)
WORDS = (
    *(struct.pack(">HBBBI", 0, 0, kind, flags, 1) for kind in range(10) for flags in (0, 1, 5)),
    *(b"\x00\x00\x04", b"\x00\x00\x08", b"\x00\x40\x00", b"\x7f\xff\xff\xff", b"\xbe", b"\x20"),
    *(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}), frames.window_update(0, 1), ONE),
)  # fmt: skip
TARGET = Target(
    "http2",
    check,
    [
        bytes([temper, cut]) + stream
        for stream in STREAMS
        for temper in TEMPERS
        for cut in (0, 1, 60)
    ],
    WORDS,
)
