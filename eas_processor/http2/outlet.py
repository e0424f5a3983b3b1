"""What a connection sends: answers, within what its other side is ready to take (RFC 9113, 5.2).

An answer that fits goes out at once and in one piece. What does not fit waits with its stream, and
the streams that wait take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from eas_processor.http2 import frames
from eas_processor.http2.frames import ConnectionFault, StreamFault
from eas_processor.http2.heads import Head

BUFFERED_BYTES_MAX = 1 << 20  # in the transport, before it has told us to pause
EMPTY_TABLE = b"\x20"  # tells the other side's table that nothing will be put there


class Stream:
    """One request and its answer.

    parts, received: of the request's body so far. is_whole: the request is there. is_over: nothing
    more is sent. on_reset(): called if it ends before its answer does, by the client or otherwise.
    """

    __slots__ = (
        "_outlet", "head", "is_over", "is_whole", "number", "on_reset", "parts", "received",
        "trailers", "unsent", "window",
    )  # fmt: skip

    def __init__(self, number: int, head: Head, outlet: Outlet) -> None:
        self.number = number
        self.head = head
        self.parts: list[bytes | memoryview] = []
        self.received = 0
        self.is_whole = False
        self.is_over = False
        self.on_reset: Callable[[], object] | None = None
        self.window = outlet.first_window
        self.unsent = memoryview(b"")
        self.trailers = b""
        self._outlet = outlet

    def send(self, head: bytes, data: bytes, trailers: bytes = b"") -> None:
        """A header block (b"" after the first), a piece of the body; trailers end the stream."""
        if not self.is_over:
            self._outlet.send(self, head, data, trailers)


class Outlet:
    """Of one connection. on_end(stream): told when the last of an answer is on its way."""

    def __init__(self, transport: asyncio.WriteTransport, on_end: Callable[[Stream], None]) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self.first_window = frames.WINDOW_BYTES  # of a new stream
        self.frame_bytes_max = frames.FRAME_BYTES_MIN
        self._window = frames.WINDOW_BYTES
        self._is_paused = False
        self._is_first = True
        self._waiting: dict[int, Stream] = {}
        self.sent_bytes = 0  # of bodies that had to wait

    @property
    def is_waiting(self) -> bool:
        """Whether the other side must take something before more can be sent."""
        return self._is_paused or bool(self._waiting)

    def send(self, stream: Stream, head: bytes, data: bytes, trailers: bytes) -> None:
        """See Stream.send."""
        out = self._heading(stream, head, 0) if head else b""
        size = len(data)
        if (
            stream.unsent
            or self._is_paused
            or size > stream.window
            or size > self._window
            or size > self.frame_bytes_max
        ):
            self._transport.write(out)
            stream.unsent = memoryview(bytes(stream.unsent) + data if stream.unsent else data)
            stream.trailers = trailers
            self._waiting[stream.number] = stream
            self.flush()
            return
        if size:
            stream.window -= size
            self._window -= size
            out += frames.frame(frames.DATA, 0, stream.number, data)
        if trailers:
            out += self._heading(stream, trailers, frames.END_STREAM)
        self._transport.write(out)
        if trailers:
            self._on_end(stream)

    def flush(self) -> None:
        """Send what waits and fits, a frame of each stream in turns."""
        moving = True
        while moving and self._waiting:
            moving = False
            for stream in tuple(self._waiting.values()):
                if self._is_paused:
                    return
                if self._transport.get_write_buffer_size() > BUFFERED_BYTES_MAX:
                    self._loop.call_soon(self.flush)  # by then the transport has written, or paused
                    return
                moving |= self._send_some(stream)

    def _send_some(self, stream: Stream) -> bool:
        """Whether anything could be sent."""
        size = min(len(stream.unsent), stream.window, self._window, self.frame_bytes_max)
        if size <= 0 and stream.unsent:
            return False
        if size:
            stream.window -= size
            self._window -= size
            self.sent_bytes += size
            head = frames.head(size, frames.DATA, 0, stream.number)
            self._transport.writelines((head, stream.unsent[:size]))
            stream.unsent = stream.unsent[size:]
        if not stream.unsent:
            self._waiting.pop(stream.number, None)
            if stream.trailers:
                last = self._heading(stream, stream.trailers, frames.END_STREAM)
                self._transport.write(last)
                self._on_end(stream)
        return True

    def _heading(self, stream: Stream, block: bytes, flags: int) -> bytes:
        if self._is_first:
            self._is_first = False
            block = EMPTY_TABLE + block
        stream.is_over = bool(flags)
        return frames.frame(frames.HEADERS, frames.END_HEADERS | flags, stream.number, block)

    def drop(self, stream: Stream) -> None:
        """Send no more of a stream that was reset."""
        stream.is_over = True
        self._waiting.pop(stream.number, None)

    # what the other side and the transport say

    def widen(self, by: int) -> None:
        """The other side takes so much more, of all streams. Raises ConnectionFault."""
        self._window += by
        if not by or self._window > frames.WINDOW_BYTES_MAX:
            code = frames.FLOW_CONTROL_ERROR if by else frames.PROTOCOL_ERROR
            raise ConnectionFault(code, "WINDOW_UPDATE by nothing, or too much")
        self.flush()

    def widen_stream(self, stream: Stream, by: int) -> None:
        """The other side takes so much more of one stream. Raises StreamFault."""
        stream.window += by
        if not by or stream.window > frames.WINDOW_BYTES_MAX:
            code = frames.FLOW_CONTROL_ERROR if by else frames.PROTOCOL_ERROR
            raise StreamFault(stream.number, code)
        self.flush()

    def set_first_window(self, size: int, streams: dict[int, Stream]) -> None:
        """A new first window holds for the streams that are there, too. Raises ConnectionFault."""
        more = size - self.first_window
        self.first_window = size
        for stream in streams.values():
            stream.window += more
            if stream.window > frames.WINDOW_BYTES_MAX:
                raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a window is too large")
        self.flush()

    def pause(self) -> None:
        """The transport has enough."""
        self._is_paused = True

    def resume(self) -> None:
        """The transport takes more."""
        self._is_paused = False
        self.flush()
