"""What the fronts of a host have counted: told every second, and asked for when a page needs it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import structlog

from eas_processor.api.eas import EAS
from eas_processor.api.rest_answers import REST
from eas_processor.fronts.counts import unpacked
from eas_processor.fronts.messages import Counts, CountsWanted
from eas_processor.fronts.process import FrontProcess
from eas_processor.http.messages import Request
from eas_processor.http.router import Resolver, Route, Target
from eas_processor.observe.series import Series
from eas_processor.rpc.status import DIALECT as GRPC

TIMEOUT_S = 1.0
DIALECTS = {dialect.name: dialect for dialect in (EAS, REST, GRPC)}

log = structlog.get_logger("fronts")


class Tally:
    """fronts: live, by index. has(service, version): whether such a version is still there."""

    def __init__(self, fronts: Mapping[int, FrontProcess], has: Callable[[str, str], bool]) -> None:
        self._fronts = fronts
        self._has = has
        self._counts: dict[int, Counts] = {}
        self._past: list[Series] = []  # of fronts that have ended
        self._past_logged: Counter[tuple[str, str]] = Counter()
        self._asked = 0
        self._answered: dict[int, int] = {}
        self._heard = asyncio.Event()

    def took(self, index: int, counts: Counts) -> None:
        """A front has told its counts."""
        self._counts[index] = counts
        if counts.number:
            self._answered[index] = counts.number
            self._heard.set()

    def ended(self, index: int) -> None:
        """A front has ended; what it has counted still counts."""
        counts = self._counts.pop(index, None)
        if counts is not None:
            self._past = list(Series.merged((*self._past, *unpacked(counts.series, DIALECTS))))
            self._past_logged += _logged(counts)
        self._heard.set()

    def series(self) -> Iterable[Series]:
        """What they have counted, as they told last, and what those counted that have ended."""
        every = (unpacked(counts.series, DIALECTS) for counts in self._counts.values())
        for some in (self._past, *every):
            yield from (one for one in some if self._has(one.key.service, one.key.version))

    def logged(self) -> Counter[tuple[str, str]]:
        """How many records they have written, and have not: see `RequestLogs.counts`."""
        return sum(map(_logged, self._counts.values()), self._past_logged)

    def counted_first(self, resolve: Resolver, page: str) -> Resolver:
        """A page of metrics, but before it is made the fronts are asked for their counts."""

        def resolver(target: Target) -> Route | None:
            route = resolve(target) if target.path.rstrip("/") == page.rstrip("/") else None
            if route is None:
                return None
            handle, tasks = route.handle, set()

            async def answer(request: Request) -> None:
                await self._collect()
                handle(request)

            def soon(request: Request) -> None:
                task = asyncio.ensure_future(answer(request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            return Route(soon, route.timeout_s)

        return resolver

    async def _collect(self) -> None:
        """Ask all for their counts. What one does not tell in time is as it told before."""
        self._asked += 1
        number, end_s = self._asked, time.monotonic() + TIMEOUT_S
        asked = [front for front in self._fronts.values() if front.speaks]
        for front in asked:
            front.send(CountsWanted(number))
        while late := [
            front.index
            for front in asked
            if self._fronts.get(front.index) is front
            and self._answered.get(front.index, 0) < number
        ]:
            self._heard.clear()
            try:
                await asyncio.wait_for(self._heard.wait(), end_s - time.monotonic())
            except TimeoutError:
                log.warning("processes did not tell their counts", processes=[i + 1 for i in late])
                return


def _logged(counts: Counts) -> Counter[tuple[str, str]]:
    return Counter({(model, code): records for model, code, records in counts.logged})
