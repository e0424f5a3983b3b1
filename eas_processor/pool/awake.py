"""Keeps the event loop from sleeping while the next event is only microseconds away.

A process that sleeps must be woken; on a virtual machine that takes longer than a small model
takes to run: four wake-ups make most of a lone request's latency. So while events follow each
other closely, the loop polls instead, for AWAKE_S at the most after the last of them. A quiet host
sleeps.

Who sleeps runs with cold caches and comes back later: events that follow within AWAKE_S where all
are awake may take twice as long where they are not. So those within CLOSE_S begin it; if they get
no closer, it ends with the first that is awaited in vain: one such wait in CLOSE_EVENTS is what it
costs to have tried.
"""

from __future__ import annotations

import asyncio
import time

from eas_processor.worker.awake import AWAKE_S, CLOSE_EVENTS, CLOSE_S


class Awake:
    """One for each event loop. `touch` at each event after which another is likely."""

    def __init__(self) -> None:
        self._last_s = 0.0
        self._close = 0
        self._polling = False

    def touch(self) -> float:
        """Something crosses the wall; gives the time, on time.monotonic()."""
        now_s = time.monotonic()
        close_s = AWAKE_S if self._close >= CLOSE_EVENTS else CLOSE_S
        self._close = self._close + 1 if now_s - self._last_s < close_s else 0
        self._last_s = now_s
        if self._close >= CLOSE_EVENTS and not self._polling:
            self._polling = True
            asyncio.get_running_loop().call_soon(self._poll)
        return now_s

    def _poll(self) -> None:
        # A callback that is always due makes the loop look for events without waiting for them.
        if time.monotonic() - self._last_s < AWAKE_S:
            asyncio.get_running_loop().call_soon(self._poll)
        else:
            self._polling = False
