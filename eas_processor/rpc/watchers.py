"""Who waits for a status to change: all share one look at the statuses, a few times a second.

What a look costs depends on how many names are known: not on how many wait, nor on what they ask.
There are no looks while nobody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

LOOK_EVERY_S = 0.25

Waiter = asyncio.Future[None]


class Watchers:
    """statuses(): of all names that are known. unknown: the status of every other."""

    def __init__(self, statuses: Callable[[], Mapping[str, int]], unknown: int) -> None:
        self._statuses = statuses
        self._unknown = unknown
        self._waiting: dict[int, dict[str, set[Waiter]]] = {}  # by what they were told, by name
        self._timer: asyncio.TimerHandle | None = None
        self._has_ended = False

    async def change(self, name: str, told: int) -> None:
        """Return once a look finds another status than that, or once there are no more looks."""
        if self._has_ended:
            return
        waiting = self._waiting.setdefault(told, {})
        waiters = waiting.setdefault(name, set())
        waiter = asyncio.get_running_loop().create_future()
        waiters.add(waiter)
        if self._timer is None:
            self._look_later()
        try:
            await waiter
        finally:
            waiters.discard(waiter)
            if not waiters and waiting.get(name) is waiters:
                del waiting[name]
            if not any(self._waiting.values()):
                self._rest()

    def end(self) -> None:
        """Let everybody go; look no more."""
        self._has_ended = True
        self._rest()
        for told, waiting in self._waiting.items():
            for name in tuple(waiting):
                self._wake(told, name)

    def _look(self) -> None:
        self._look_later()  # first: whatever comes of this one
        statuses = self._statuses()
        for told, waiting in self._waiting.items():
            # Clients may ask for any number of names that are not known.
            names = waiting.keys() & statuses.keys() if told == self._unknown else tuple(waiting)
            for name in names:
                if statuses.get(name, self._unknown) != told:
                    self._wake(told, name)

    def _wake(self, told: int, name: str) -> None:
        for waiter in self._waiting[told].pop(name):
            if not waiter.done():
                waiter.set_result(None)

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
