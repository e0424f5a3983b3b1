"""What the connections of one server share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eas_processor.observe.exchange import Watcher

if TYPE_CHECKING:
    from eas_processor.http.protocol import HttpProtocol


class Connections:
    """Who is open, how many bytes of bodies they hold, who watches."""

    def __init__(self, watchers: tuple[Watcher, ...] = ()) -> None:
        self.open: set[HttpProtocol] = set()
        self.held_bytes = 0
        self.watchers = watchers
