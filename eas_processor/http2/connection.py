"""HTTP/2 on one connection: whole requests to an application, its answers back.

    bytes → FrameIntake → Http2Connection → a whole Stream → the application
    the application → Stream.send → Outlet → bytes

A request's windows are as wide as they can be: what a body may weigh is the application's to say.
"""

from __future__ import annotations

import time

from eas_processor.http2 import frames
from eas_processor.http2.frames import ConnectionFault, StreamFault
from eas_processor.http2.heads import HeadReader, Malformed
from eas_processor.http2.lifetime import Connections, Lifetime
from eas_processor.http2.outlet import Stream

REFILL_BYTES = 1 << 30  # of the connection's window
OWED_MAX = 10_000  # small answers that a client makes us give and does not read
UNSENT_BYTES_MAX = 64 << 20  # of answers that wait; beyond it nothing new is begun
PING_BYTES = 8
PRIORITY_BYTES = 5


class Http2Connection(Lifetime):
    """The server's end."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._heads = HeadReader(self._bounds)
        self._received = 0  # of the connection's window
        self._receiving: Stream | None = None  # whose DATA frame is being taken
        self._owed = 0

    # heads

    def _head(self, flags: int, number: int, block: bytes) -> None:
        try:
            self._read_head(number, block, bool(flags & frames.END_STREAM))
        except StreamFault as fault:
            self._refuse(fault.stream, fault.code)

    def _read_head(self, number: int, block: bytes, is_last: bool) -> None:
        """Each is read, even of a stream that is over: the connection's later heads build on it."""
        if number <= self._last:
            self._read_trailers(number, block, is_last)
            return
        self._last = number
        try:
            head = self._heads.head(block)
        except Malformed as malformed:
            raise StreamFault(number, malformed.code) from None
        if not self._accepts():
            raise StreamFault(number, frames.REFUSED_STREAM)
        stream = self._streams[number] = Stream(number, head, self._outlet)
        if is_last:
            self._whole(stream)
        else:
            stream.moved_s = time.monotonic()

    def _read_trailers(self, number: int, block: bytes, is_last: bool) -> None:
        try:
            self._heads.trailers(block)
            is_good = is_last
        except Malformed:
            is_good = False
        stream = self._streams.get(number)
        if stream is not None and stream.is_whole:
            raise StreamFault(number, frames.STREAM_CLOSED)
        if not is_good:
            raise StreamFault(number, frames.PROTOCOL_ERROR)
        if stream is not None:  # else we ended it, and the client did not know yet
            self._whole(stream)

    def _accepts(self) -> bool:
        """Whether one more request may begin."""
        return (
            self._last_accepted is None
            and len(self._streams) < self._bounds.streams_max
            and self._outlet.unsent_bytes < UNSENT_BYTES_MAX
        )

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

    def _data(self, piece: bytes | memoryview, of_bytes: int) -> None:
        stream = self._receiving
        if stream is None or stream.is_over:
            return
        stream.take(piece, of_bytes)
        self._connections.held_bytes += len(piece)
        if self._connections.held_bytes > self._bounds.held_bytes_max:
            self._refuse(stream.number, frames.ENHANCE_YOUR_CALM)
            return
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
            elif kind == frames.PRIORITY:  # which has no effect: what is ready first is sent first
                if not number:
                    raise ConnectionFault(frames.PROTOCOL_ERROR, "PRIORITY of no stream")
                if len(payload) != PRIORITY_BYTES:
                    raise ConnectionFault(frames.FRAME_SIZE_ERROR, "PRIORITY of a wrong size")
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
        self._settings_left -= 1
        if self._settings_left < 0:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "new settings all the time")
        told = frames.read_settings(payload)
        self._outlet.frame_bytes_max = told.get(frames.MAX_FRAME_SIZE, self._outlet.frame_bytes_max)
        if frames.INITIAL_WINDOW_SIZE in told:
            self._outlet.set_first_window(told[frames.INITIAL_WINDOW_SIZE], self._streams)
        self._reply(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _reply(self, frame: bytes) -> None:
        """What the client makes us say. It shall not make us keep much of it."""
        self._owed = self._owed + 1 if self._outlet.is_paused else 0
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
        self._connections.held_bytes -= stream.received
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


def _check_whole(number: int) -> None:
    if number:
        raise ConnectionFault(frames.PROTOCOL_ERROR, "a frame that belongs to no stream")
