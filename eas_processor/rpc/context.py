"""What a method may know of its call beside the message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from eas_processor.http.sockets import plain
from eas_processor.http2.blocks import Fields
from eas_processor.http2.heads import Head
from eas_processor.rpc import wire


class Context:
    """Of one call. deadline_s: by time.monotonic(), None if the client sets none.

    peer(side): the addresses of its connection.
    """

    __slots__ = ("_head", "_peer", "deadline_s")

    def __init__(self, head: Head, peer: Callable[[str], Any], deadline_s: float | None) -> None:
        self._head = head
        self._peer = peer
        self.deadline_s = deadline_s

    @property
    def fields(self) -> Fields:
        """What the client sent along, as it came."""
        return self._head.fields

    @property
    def peername(self) -> tuple[str, int] | None:
        """The client's address and port; None over a UNIX socket."""
        found = self._peer("peername")
        return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None

    def metadata(self) -> list[tuple[str, str | bytes]]:
        """What the client sent along; bytes for keys that end in `-bin`."""
        return wire.metadata(self._head.fields)

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline, not below 0."""
        return None if self.deadline_s is None else max(0.0, self.deadline_s - time.monotonic())

    def client_address(self) -> str:
        """Its IP address; "" over a UNIX socket."""
        return plain(self.peername[0]) if self.peername else ""
