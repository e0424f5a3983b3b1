"""What a connection sends: answers, within what its other side is ready to take (RFC 9113, 5.2).

An answer that fits goes out at once and in one piece. What does not fit waits with its stream:
those that may go on take turns, a frame each; those whose own window is shut wait apart, so that
opening the connection's costs nothing for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from eas_processor.http2 import frames
from eas_processor.http2.frames import ConnectionFault, StreamFault
from eas_processor.http2.heads import Head

SMALL_PART = 4  # a piece of less than a fourth of what came is copied: it would keep the rest
EMPTY_TABLE = b"\x20"  # tells the other side's table that nothing will be put there


class Stream:
    """One request and its answer.

    parts, received: of the request's body so far. is_whole: the request is there. is_over: nothing
    more is sent. on_reset(): called if it ends before its answer does, by the client or otherwise.
    """

    __slots__ = (
        "_outlet", "head", "is_over", "is_whole", "moved_s", "number", "on_reset", "parts",
        "received", "trailers", "unsent", "window",
    )  # fmt: skip

    def __init__(self, number: int, head: Head, outlet: Outlet) -> None:
        self.number = number
        self.head = head
        self.parts: list[bytes | bytearray | memoryview] = []
        self.received = 0
        self.is_whole = False
        self.is_over = False
        self.on_reset: Callable[[], object] | None = None
        self.window = outlet.first_window
        self.unsent = memoryview(b"")
        self.trailers = b""
        self.moved_s = 0.0  # when it began to wait, or some of it last came or was sent
        self._outlet = outlet

    def take(self, piece: bytes | memoryview, of_bytes: int) -> None:
        """The next piece of the body. of_bytes: how many came with it."""
        self.moved_s = time.monotonic()
        self.received += len(piece)
        if len(piece) * SMALL_PART < of_bytes:
            if not self.parts or not isinstance(self.parts[-1], bytearray):
                self.parts.append(bytearray())
            self.parts[-1] += piece  # type: ignore[operator]
        else:
            self.parts.append(piece)

    def send(self, head: bytes, data: bytes, trailers: bytes = b"") -> None:
        """A header block (b"" after the first), a piece of the body; trailers end the stream."""
        if not self.is_over:
            self._outlet.send(self, head, data, trailers)


class Outlet:
    """Of one connection. on_end(stream): told when the last of an answer is on its way.

    sent_bytes: of all bodies. unsent_bytes: of those that wait. is_paused: the transport is full.
    """

    def __init__(self, transport: asyncio.WriteTransport, on_end: Callable[[Stream], None]) -> None:
        self._transport = transport
        self._on_end = on_end
        self.first_window = frames.WINDOW_BYTES  # of a new stream
        self.frame_bytes_max = frames.FRAME_BYTES_MIN
        self.sent_bytes = self.unsent_bytes = 0
        self.is_paused = False
        self._window = frames.WINDOW_BYTES
        self._is_first = True
        self._ready: dict[int, Stream] = {}
        self._shut: dict[int, Stream] = {}

    def send(self, stream: Stream, head: bytes, data: bytes, trailers: bytes) -> None:
        """See Stream.send."""
        out = self._heading(stream, head, 0) if head else b""
        size = len(data)
        if stream.unsent or (size and not self._takes(stream, size)):
            self._transport.write(out)
            stream.unsent = memoryview(bytes(stream.unsent) + data if stream.unsent else data)
            stream.trailers = trailers
            stream.moved_s = time.monotonic()
            self.unsent_bytes += size
            self._wait(stream)
            self._flush()
            return
        if size:
            stream.window -= size
            self._window -= size
            self.sent_bytes += size
            out += frames.frame(frames.DATA, 0, stream.number, data)
        if trailers:
            out += self._heading(stream, trailers, frames.END_STREAM)
        self._transport.write(out)
        if trailers:
            self._on_end(stream)

    def _takes(self, stream: Stream, size: int) -> bool:
        """Whether so much can be sent at once, and in one frame."""
        windows = size <= stream.window and size <= self._window
        return windows and size <= self.frame_bytes_max and not self.is_paused

    def _heading(self, stream: Stream, block: bytes, flags: int) -> bytes:
        if self._is_first:
            self._is_first = False
            block = EMPTY_TABLE + block
        stream.is_over = bool(flags)
        return frames.frame(frames.HEADERS, frames.END_HEADERS | flags, stream.number, block)

    # what waits

    def _wait(self, stream: Stream) -> None:
        """Behind all others that wait."""
        self._ready.pop(stream.number, None)
        self._shut.pop(stream.number, None)
        (self._ready if stream.window > 0 else self._shut)[stream.number] = stream

    def _flush(self) -> None:
        """Send what is ready and fits."""
        ready = self._ready
        while ready and self._window > 0 and not self.is_paused:
            self._send_some(ready.pop(next(iter(ready))))

    def _send_some(self, stream: Stream) -> None:
        size = min(len(stream.unsent), stream.window, self._window, self.frame_bytes_max)
        stream.window -= size
        self._window -= size
        self.sent_bytes += size
        self.unsent_bytes -= size
        stream.moved_s = time.monotonic()
        head = frames.head(size, frames.DATA, 0, stream.number)
        self._transport.writelines((head, stream.unsent[:size]))
        stream.unsent = stream.unsent[size:]
        if stream.unsent:
            self._wait(stream)
        elif stream.trailers:
            self._transport.write(self._heading(stream, stream.trailers, frames.END_STREAM))
            self._on_end(stream)

    def drop(self, stream: Stream) -> None:
        """Send no more of a stream that was reset."""
        stream.is_over = True
        self.unsent_bytes -= len(stream.unsent)
        stream.unsent = memoryview(b"")
        self._ready.pop(stream.number, None)
        self._shut.pop(stream.number, None)

    def stalled(self, since_s: float) -> list[Stream]:
        """Those that wait and of which nothing could be sent since then (time.monotonic())."""
        waiting = (*self._ready.values(), *self._shut.values())
        return [stream for stream in waiting if stream.moved_s < since_s]

    # what the other side and the transport say

    def widen(self, by: int) -> None:
        """The other side takes so much more, of all streams. Raises ConnectionFault."""
        self._window += by
        if not by or self._window > frames.WINDOW_BYTES_MAX:
            code = frames.FLOW_CONTROL_ERROR if by else frames.PROTOCOL_ERROR
            raise ConnectionFault(code, "WINDOW_UPDATE by nothing, or too much")
        self._flush()

    def widen_stream(self, stream: Stream, by: int) -> None:
        """The other side takes so much more of one stream. Raises StreamFault."""
        stream.window += by
        if not by or stream.window > frames.WINDOW_BYTES_MAX:
            code = frames.FLOW_CONTROL_ERROR if by else frames.PROTOCOL_ERROR
            raise StreamFault(stream.number, code)
        if stream.number in self._shut:
            self._wait(stream)
            self._flush()

    def set_first_window(self, size: int, streams: Mapping[int, Stream]) -> None:
        """A new first window holds for the streams that are there, too. Raises ConnectionFault."""
        more = size - self.first_window
        self.first_window = size
        for stream in streams.values():
            stream.window += more
            if stream.window > frames.WINDOW_BYTES_MAX:
                raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a window is too large")
        for stream in (*self._ready.values(), *self._shut.values()):
            self._wait(stream)
        self._flush()

    def pause(self) -> None:
        """The transport has enough."""
        self.is_paused = True

    def resume(self) -> None:
        """The transport takes more."""
        self.is_paused = False
        self._flush()
