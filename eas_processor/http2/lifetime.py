"""A connection's life beside its requests: its beginning, its other side's pace, its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from eas_processor.http2 import frames
from eas_processor.http2.frames import ConnectionFault
from eas_processor.http2.intake import DATA_FRAME_BYTES_MAX, FrameIntake
from eas_processor.http2.outlet import Outlet, Stream
from eas_processor.http2.upkeep import Bounds, Due, Life, Upkeep

LINGER_S = 1.0  # at the end, for requests that are on their way
SETTINGS_MAX = 100  # between two ticks; each may concern all streams

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

    def too_slow(self, stream: Stream) -> None:
        """Nothing of a request's body has come for too long."""


class Connections:
    """What the connections of one server share.

    held_bytes: of bodies that are not whole. refused: how many connections there was no room for.
    drains: new connections shall end at once, too.
    """

    def __init__(self, app: Application, bounds: Bounds) -> None:
        self.app = app
        self.bounds = bounds
        self.open: set[Lifetime] = set()
        self.held_bytes = 0
        self.refused = 0
        self.drains = False


class Lifetime(FrameIntake):
    """Whatever concerns the connection as a whole."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections.bounds.head_bytes_max)
        self._connections = connections
        self._app = connections.app
        self._bounds = connections.bounds
        self._upkeep = Upkeep(self._bounds, time.monotonic())
        self._outlet: Outlet
        self._streams: dict[int, Stream] = {}
        self._last = 0  # the highest stream so far
        self._last_accepted: int | None = None  # once no more are
        self._settings_left = SETTINGS_MAX
        self._drains = False

    # the beginning

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._outlet = Outlet(self._transport, self._ended)
        if len(self._connections.open) >= self._bounds.connections_max:
            # Without a word: after SETTINGS a client would take it for a good connection that has
            # ended, and come again at once.
            self._connections.refused += 1
            self.abort()
            return
        self._connections.open.add(self)

    def _begin(self) -> None:
        told = {
            frames.MAX_CONCURRENT_STREAMS: self._bounds.streams_max,
            frames.INITIAL_WINDOW_SIZE: frames.WINDOW_BYTES_MAX,
            frames.MAX_FRAME_SIZE: DATA_FRAME_BYTES_MAX,
            frames.MAX_HEADER_LIST_SIZE: self._bounds.fields_bytes_max,
        }
        self._transport.write(frames.settings(told) + _WIDE)
        if self._connections.drains:  # made while the server was ending, such as by a handshake
            self.drain()

    # the other side's pace

    def pause_writing(self) -> None:
        self._outlet.pause()

    def resume_writing(self) -> None:
        self._outlet.resume()

    def tick(self, now_s: float) -> None:
        """Do what is due, about twice a second."""
        self._settings_left = SETTINGS_MAX
        life = Life(
            has_begun=self._has_settings,
            ends=self._is_closing,
            requests=self._last,
            streams=len(self._streams),
            sent=self._outlet.sent_bytes,
            buffered=self._transport.get_write_buffer_size(),
            heard=self._heard,
        )
        due = self._upkeep.due(life, now_s)
        if due is Due.CUT:
            self.abort()
            return
        if due is Due.DRAIN:
            self.drain()
        elif due is Due.PING:
            self._transport.write(_ALIVE_PING)
        since_s = now_s - self._bounds.stall_s
        for stream in self._outlet.stalled(since_s):
            self._transport.write(frames.reset(stream.number, frames.CANCEL))
            self._reset(stream)
        for stream in tuple(self._streams.values()):
            if not stream.is_whole and stream.moved_s < since_s:
                self._app.too_slow(stream)

    # the end

    def drain(self) -> None:
        """Accept no more, but for what is on its way; finish what has begun; then close."""
        if not self._drains and not self._is_closing and self._has_preface:
            self._transport.write(frames.goaway(frames.STREAM_MAX, frames.NO_ERROR) + _DRAIN_PING)
            asyncio.get_running_loop().call_later(LINGER_S, self._accept_no_more)
        elif not self._has_preface:
            self.abort()
        self._drains = True

    def _accept_no_more(self) -> None:
        if self._last_accepted is None and not self._is_closing:
            self._last_accepted = self._last
            self._transport.write(frames.goaway(self._last, frames.NO_ERROR))
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._last_accepted is not None and not self._streams and not self._is_closing:
            self._close()

    def _fail(self, fault: ConnectionFault) -> None:
        last = self._last if self._last_accepted is None else self._last_accepted
        self._transport.write(frames.goaway(last, fault.code, str(fault)))
        self._close()
        for stream in tuple(self._streams.values()):
            self._reset(stream)

    def _close(self) -> None:
        """Say no more, and read on until the client has closed, or some time has passed.

        To close at once would make the system drop what the client has not read yet as soon as
        the client says anything more, such as that it has read the rest.
        """
        self._is_closing = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()  # TLS has its own way to end

    def abort(self) -> None:
        """Cut it."""
        self._is_closing = True
        self._transport.abort()

    def eof_received(self) -> None:
        """The client has gone: none says that it will only read."""

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        self._connections.open.discard(self)
        for stream in tuple(self._streams.values()):
            self._reset(stream)

    # streams

    def _ended(self, stream: Stream) -> None:
        """All of its answer is on its way."""
        self._streams.pop(stream.number, None)
        if not stream.is_whole:  # nor shall it be
            self._connections.held_bytes -= stream.received
            self._transport.write(frames.reset(stream.number, frames.NO_ERROR))
        self._close_if_done()

    def _reset(self, stream: Stream) -> None:
        """It ends before its answer."""
        self._streams.pop(stream.number, None)
        if not stream.is_whole:
            self._connections.held_bytes -= stream.received
        stream.parts.clear()
        self._outlet.drop(stream)
        if stream.on_reset is not None:
            stream.on_reset()
        self._close_if_done()
