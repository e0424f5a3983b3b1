"""Large bodies are read from the socket straight to where they are wanted.

Between the kernel and a body's place lie the event loop's buffer, its copy for the protocol, and
the parser's copy of that. A body whose length is known needs none of them: while it arrives, this
protocol stands in the connection's place and hands out the rest of the body's room to be read into.
"""

from __future__ import annotations

import asyncio

import httptools

from eas_processor.http.intake import Intake
from eas_processor.http.messages import Refusal

SCRATCH_BYTES = 1 << 16  # for what nobody wants any more


class DirectReader(asyncio.BufferedProtocol):
    """Fills a sink; tells the connection of each piece, and of all else that happens to it."""

    def __init__(self, connection: DirectIntake) -> None:
        self._connection = connection

    def get_buffer(self, sizehint: int) -> memoryview:
        """What is still to come of the body, and no byte more."""
        return self._connection.room()

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have been read into it."""
        self._connection.body_read(nbytes)

    def eof_received(self) -> bool | None:
        """See HttpProtocol."""
        return self._connection.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """See HttpProtocol."""
        self._connection.connection_lost(error)

    def pause_writing(self) -> None:
        """See HttpProtocol."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """See HttpProtocol."""
        self._connection.resume_writing()


class DirectIntake(Intake):
    """An Intake that lets a DirectReader stand in its place."""

    _is_direct = False  # whether one does

    def _read_directly(self) -> None:
        """Let the rest of the body that is arriving be read to where it belongs."""
        if self._transport.get_extra_info("sslcontext") is None:
            self._is_direct = True
            self._change_reader(DirectReader(self))

    def room(self) -> memoryview:
        """Where the bytes belong that come next. The loop keeps the reader for as long as the
        connection lives, so it is we who know the sink, and forget it."""
        return self._sink.room() if self._sink is not None else memoryview(bytearray(SCRATCH_BYTES))

    def body_read(self, count: int) -> None:
        """So much of the body that is arriving has been put into its sink."""
        request, sink = self._arriving, self._sink
        if self._closing or request is None or sink is None:
            return
        sink.wrote(count)
        self._body_bytes += count
        try:
            self.hold_more(count)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if self._body_bytes == request.head.body_bytes:
            self._read_parsed()
            self._parser = httptools.HttpRequestParser(self)  # the old one is still in the body
            self.on_message_complete()

    def _read_parsed(self) -> None:
        """From now on what comes is for the parser again."""
        if self._is_direct:
            self._is_direct = False
            self._change_reader(self)

    def _change_reader(self, reader: asyncio.BaseProtocol) -> None:
        if self._transport.is_closing():
            return
        self._transport.set_protocol(reader)
        if self._reading:  # how it reads is settled when reading begins
            self._transport.pause_reading()
            self._transport.resume_reading()
