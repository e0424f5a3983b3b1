"""What is looked at a few times a second: deadlines, hangs, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

TICK_S = 0.1

log = structlog.get_logger("host")


def tick_each(ticks: Iterable[Callable[[], object]]) -> None:
    """Call each of them: without its tick no request would ever end in time.

    So what one of them raises is logged, and keeps no other from its turn.
    """
    for tick in ticks:
        try:
            tick()
        except Exception:
            log.exception("tick failed")
