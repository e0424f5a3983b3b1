"""The control connection between process 1 and a front."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
import structlog

from eas_processor.fronts.messages import Decoder, ToFront, ToHost, encode

Heard = TypeVar("Heard")

log = structlog.get_logger("fronts")


class Link(asyncio.Protocol, Generic[Heard]):
    """One end. heard: the type of what comes; on_message(it); on_lost() once at the end."""

    def __init__(
        self, heard: object, on_message: Callable[[Heard], None], on_lost: Callable[[], None]
    ) -> None:
        self._decoder: Decoder[Heard] = Decoder(heard)
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None

    @property
    def unsent_bytes(self) -> int:
        """What the other side has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def send(self, message: ToFront | ToHost) -> None:
        """Tell the other side, if it is still there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(encode(message))

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._decoder.feed(data):
                self._on_message(message)
        except msgspec.MsgspecError:
            log.exception("no such message")
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._on_lost()
