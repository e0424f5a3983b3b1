"""HTTP/2 on one connection: whole requests to an application, its answers back.

    bytes → FrameIntake → Http2Connection → a whole Stream → the application
    the application → Stream.send → Outlet → bytes

A request's windows are as wide as they can be: what a body may weigh is the application's to say.
The methods stand in the order of a connection's life.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from eas_processor.http2 import frames
from eas_processor.http2.frames import ConnectionFault, StreamFault
from eas_processor.http2.heads import HeadReader, Malformed
from eas_processor.http2.intake import DATA_FRAME_BYTES_MAX, FrameIntake
from eas_processor.http2.outlet import Outlet, Stream
from eas_processor.http2.upkeep import Bounds, Due, Life, Upkeep

REFILL_BYTES = 1 << 30  # of the connection's window
OWED_MAX = 10_000  # small answers that a client makes us give and does not read
LINGER_S = 1.0  # at the end, for requests that are on their way
PING_BYTES = 8
PRIORITY_BYTES = 5

_WIDE = frames.window_update(0, frames.WINDOW_BYTES_MAX - frames.WINDOW_BYTES)
_DRAIN_PING = frames.frame(frames.PING, 0, 0, b"draining")
_ALIVE_PING = frames.frame(frames.PING, 0, 0, b"are-you?")


class Application(Protocol):
    """body_bytes_max: of a request; more is not kept."""

    body_bytes_max: int

    def whole(self, stream: Stream, peer: Callable[[str], Any]) -> None:
        """A request is there. peer(side): its connection's addresses."""

    def too_large(self, stream: Stream) -> None:
        """A request has a body of more than `body_bytes_max`."""


class Http2Connection(FrameIntake):
    """The server's end. connections: all of the server's, which this one joins and leaves."""

    def __init__(self, app: Application, connections: set[Http2Connection], bounds: Bounds) -> None:
        super().__init__(bounds.fields_bytes_max)
        self._app = app
        self._connections = connections
        self._bounds = bounds
        self._upkeep = Upkeep(bounds, time.monotonic())
        self._heads = HeadReader(bounds.fields_bytes_max)
        self._streams: dict[int, Stream] = {}
        self._last = 0  # the highest stream so far
        self._received = 0  # of the connection's window
        self._receiving: Stream | None = None  # whose DATA frame is being taken
        self._owed = 0
        self._drains = self._accepts_no_more = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._outlet = Outlet(self._transport, self._ended)
        self._connections.add(self)

    def _begin(self) -> None:
        told = {
            frames.MAX_CONCURRENT_STREAMS: self._bounds.streams_max,
            frames.INITIAL_WINDOW_SIZE: frames.WINDOW_BYTES_MAX,
            frames.MAX_FRAME_SIZE: DATA_FRAME_BYTES_MAX,
            frames.MAX_HEADER_LIST_SIZE: self._bounds.fields_bytes_max,
        }
        self._transport.write(frames.settings(told) + _WIDE)

    # heads

    def _head(self, flags: int, number: int, block: bytes) -> None:
        try:
            self._read_head(number, block, bool(flags & frames.END_STREAM))
        except Malformed:
            self._refuse(number, frames.PROTOCOL_ERROR)
        except StreamFault as fault:
            self._refuse(fault.stream, fault.code)

    def _read_head(self, number: int, block: bytes, is_last: bool) -> None:
        """A request's first, or what stands behind its body.

        Each is read, even of a stream that is over: the connection's later heads build on it.
        """
        if number > self._last:
            self._last = number
            head = self._heads.head(block)
            if self._accepts_no_more or len(self._streams) >= self._bounds.streams_max:
                raise StreamFault(number, frames.REFUSED_STREAM)
            stream = self._streams[number] = Stream(number, head, self._outlet)
        else:
            self._heads.trailers(block)
            known = self._streams.get(number)
            if known is None:
                return  # we ended it, and the client did not know yet
            if known.is_whole or not is_last:
                raise StreamFault(number, frames.STREAM_CLOSED)
            stream = known
        if is_last:
            self._whole(stream)

    # bodies

    def _data_begins(self, number: int, size: int) -> None:
        self._received += size
        if self._received > REFILL_BYTES:
            self._transport.write(frames.window_update(0, self._received))
            self._received = 0
        stream = self._receiving = self._known(number)
        if stream is not None and stream.is_whole:
            self._refuse(number, frames.STREAM_CLOSED)
            self._receiving = None

    def _data(self, piece: bytes | memoryview) -> None:
        stream = self._receiving
        if stream is None or stream.is_over:
            return
        stream.parts.append(piece)
        stream.received += len(piece)
        if stream.received > self._app.body_bytes_max:
            self._receiving = None
            self._app.too_large(stream)
            stream.parts.clear()

    def _data_ends(self) -> None:
        stream, self._receiving = self._receiving, None
        if stream is not None and not stream.is_over:
            self._whole(stream)

    # all other frames

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        try:
            if kind == frames.WINDOW_UPDATE:
                self._widen(number, frames.number(payload))
            elif kind == frames.PING:
                self._ping(flags, number, payload)
            elif kind == frames.SETTINGS:
                self._settings(flags, number, payload)
            elif kind == frames.RST_STREAM:
                frames.number(payload)
                if (stream := self._known(number)) is not None:
                    self._reset(stream)
            elif kind == frames.PRIORITY:
                _check_priority(number, payload)
            elif kind == frames.GOAWAY:
                _check_whole(number)
            elif kind in (frames.PUSH_PROMISE, frames.CONTINUATION):
                raise ConnectionFault(frames.PROTOCOL_ERROR, "a frame that may not come here")
        except StreamFault as fault:
            self._refuse(fault.stream, fault.code)

    def _widen(self, number: int, by: int) -> None:
        if not number:
            self._outlet.widen(by)
        elif (stream := self._known(number)) is not None:
            self._outlet.widen_stream(stream, by)

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        _check_whole(number)
        if len(payload) != PING_BYTES:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "PING of a wrong size")
        if not flags & frames.ACK:
            self._reply(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif self._drains:
            self._accept_no_more()

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        _check_whole(number)
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(frames.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
            return
        for setting, value in frames.read_settings(payload):
            if setting == frames.INITIAL_WINDOW_SIZE:
                self._outlet.set_first_window(value, self._streams)
            elif setting == frames.MAX_FRAME_SIZE:
                self._outlet.frame_bytes_max = value
        self._reply(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _reply(self, frame: bytes) -> None:
        """What the client makes us say. It shall not make us keep much of it."""
        self._owed = self._owed + 1 if self._transport.get_write_buffer_size() else 0
        if self._owed > OWED_MAX:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "answers are not read")
        self._transport.write(frame)

    # streams

    def _known(self, number: int) -> Stream | None:
        """A stream by its number; None if it is over. Raises ConnectionFault if it never was."""
        if not number or number > self._last:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a frame of no stream")
        return self._streams.get(number)

    def _whole(self, stream: Stream) -> None:
        stream.is_whole = True
        if stream.head.length not in (None, stream.received):
            self._refuse(stream.number, frames.PROTOCOL_ERROR)
        else:
            self._app.whole(stream, self._transport.get_extra_info)

    def _refuse(self, number: int, code: int) -> None:
        """End one stream for what its client did."""
        self._reply(frames.reset(number, code))
        stream = self._streams.get(number)
        if stream is not None:
            self._reset(stream)

    def _reset(self, stream: Stream) -> None:
        """It ends before its answer."""
        self._streams.pop(stream.number, None)
        self._outlet.drop(stream)
        if stream.on_reset is not None:
            stream.on_reset()
        self._close_if_done()

    def _ended(self, stream: Stream) -> None:
        """All of its answer is on its way."""
        self._streams.pop(stream.number, None)
        if not stream.is_whole:  # nor shall it be
            self._transport.write(frames.reset(stream.number, frames.NO_ERROR))
        self._close_if_done()

    # the other side's pace

    def pause_writing(self) -> None:
        self._outlet.pause()

    def resume_writing(self) -> None:
        self._outlet.resume()

    def tick(self, now_s: float) -> None:
        """Do what its upkeep finds to be due."""
        buffered = self._transport.get_write_buffer_size()
        life = Life(
            has_begun=self._has_settings,
            requests=self._last,
            streams=len(self._streams),
            waits=bool(buffered) or self._outlet.is_waiting,
            taken=(self._outlet.sent_bytes, buffered),
            heard=self._heard,
        )
        due = self._upkeep.due(life, now_s)
        if due is Due.CUT:
            self.abort()
        elif due is Due.DRAIN:
            self.drain()
        elif due is Due.PING:
            self._transport.write(_ALIVE_PING)

    # the end

    def drain(self) -> None:
        """Accept no more, but for what is on its way; finish what has begun; then close."""
        if not self._drains and not self._is_closing:
            self._drains = True
            self._transport.write(frames.goaway(frames.STREAM_MAX, frames.NO_ERROR) + _DRAIN_PING)
            asyncio.get_running_loop().call_later(LINGER_S, self._accept_no_more)

    def _accept_no_more(self) -> None:
        if not self._accepts_no_more and not self._is_closing:
            self._accepts_no_more = True
            self._transport.write(frames.goaway(self._last, frames.NO_ERROR))
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._accepts_no_more and not self._streams:
            self._is_closing = True
            self._transport.close()

    def _fail(self, fault: ConnectionFault) -> None:
        self._is_closing = True
        self._transport.write(frames.goaway(self._last, fault.code, str(fault)))
        self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        self._is_closing = True
        self._transport.abort()

    def eof_received(self) -> bool:
        return bool(self._streams)  # it may still read what it has asked for

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        self._connections.discard(self)
        for stream in tuple(self._streams.values()):
            self._reset(stream)


def _check_whole(number: int) -> None:
    if number:
        raise ConnectionFault(frames.PROTOCOL_ERROR, "a frame that belongs to no stream")


def _check_priority(number: int, payload: bytes) -> None:
    """That is all: requests are answered in the order in which they become ready."""
    if not number:
        raise ConnectionFault(frames.PROTOCOL_ERROR, "PRIORITY of no stream")
    if len(payload) != PRIORITY_BYTES:
        raise StreamFault(number, frames.FRAME_SIZE_ERROR)
