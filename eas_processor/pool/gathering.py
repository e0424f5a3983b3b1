"""Short calls that a worker will run together cross the wall together.

Waking a worker and warming its caches costs more than a small model's run. A worker that takes what
has just come is woken for one or two calls while many more are on their way; so the host holds a
call back as long as every turn of its event loop brings another one: until half of the calls about
are together, and HELD_S at most. Where few calls are about, none is held.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from eas_processor.errors import Code
from eas_processor.pool.call import Answer, Call

log = structlog.get_logger(__name__)

HELD_S = 0.0002
DECAY = 0.98  # of how many calls were about, with each group: callers come and go


class Gathering:
    """The calls that are held back for one worker. send(call): puts one on the wall."""

    def __init__(self, send: Callable[[Call], None]) -> None:
        self._send = send
        self.held: list[Call] = []
        self._group = 1  # as soon as so many are together, they go
        self._about = 0.0
        self._since_s = 0.0
        self._seen = 0  # how many were held a turn ago
        self._is_turning = False

    def add(self, call: Call, at_worker: int) -> None:
        """Send a call, now or soon. at_worker: how many are there already."""
        held = self.held
        held.append(call)
        if len(held) >= self._group:
            self._resize(at_worker + len(held))
            self.send_all()
        elif len(held) == 1:
            self._since_s = time.monotonic()
            self._seen = 0
            if not self._is_turning:
                self._is_turning = True
                asyncio.get_running_loop().call_soon(self._turn)

    def send_all(self) -> None:
        """Wait no longer."""
        held, self.held = self.held, []
        for call in held:
            try:
                self._send(call)
            except Exception:  # one call's trouble must not be that of those behind it
                log.exception("call not sent")
                call.finish(Answer.error(Code.INTERNAL, "the call could not be sent"))

    def take_all(self) -> list[Call]:
        """Those that are held, which are not sent any more."""
        held, self.held = self.held, []
        return held

    def _turn(self) -> None:
        count = len(self.held)
        if count > self._seen and time.monotonic() < self._since_s + HELD_S:
            self._seen = count
            asyncio.get_running_loop().call_soon(self._turn)
            return
        self._is_turning = False
        self._resize(count)
        self.send_all()

    def _resize(self, about: int) -> None:
        self._about = max(self._about * DECAY, about)
        self._group = int(self._about / 2) or 1
