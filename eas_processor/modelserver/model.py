"""One model: which of its versions are wanted, where each is, and the work that moves them.

    look (in a thread) → see → transitions.next_actions → load and unload tasks → act again

A version has an entry from the moment it is first wanted; what has ended stays listed. Nothing here
waits for another model: they share only the places in which versions load.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from eas_processor.errors import Code, ServingError
from eas_processor.modelserver import labels
from eas_processor.modelserver.configs import ModelConfig
from eas_processor.modelserver.folders import Fingerprint, Sight, fingerprint
from eas_processor.modelserver.status import (
    AVAILABLE,
    END,
    LOADING,
    START,
    UNLOADING,
    News,
)
from eas_processor.modelserver.transitions import Load, Phase, next_actions
from eas_processor.serving.service import Service
from eas_processor.serving.states import VersionStatus
from eas_processor.serving.version import VersionPlan, in_thread

log = structlog.get_logger("model")

_PHASES = {
    START: Phase.LOADING,
    LOADING: Phase.LOADING,
    AVAILABLE: Phase.AVAILABLE,
    UNLOADING: Phase.UNLOADING,
}


@dataclass(frozen=True)
class Loading:
    """How versions are loaded. slots: the places for loads of all models. retry_s: between tries.

    make_plan(model, folder): what a version is to be. labels_may_wait: a new label may name a
    version that is not available.
    """

    make_plan: Callable[[ModelConfig, str], VersionPlan]
    slots: asyncio.Semaphore
    tries: int = 1
    retry_s: float = 0.0
    labels_may_wait: bool = False


class Entry:
    """A version and where it is. given_up: not loaded, and not to be tried again as it is.

    tried, seen: its folder when it was last tried and last looked at. changed: somebody has worked
    on it since, and has finished.
    """

    def __init__(self, number: int, folder: str) -> None:
        self.number = number
        self.folder = folder
        self.state = START
        self.error: ServingError | None = None
        self.given_up = False
        self.tried: Fingerprint | None = None
        self.seen: Fingerprint | None = None
        self.changed = asyncio.Event()
        self.work: asyncio.Task[None] | None = None

    def phase(self) -> Phase | None:
        """Where it is for the next step; None if it has ended and may be loaded again."""
        return Phase.FAILED if self.given_up else _PHASES.get(self.state)

    def look(self, now: Fingerprint) -> None:
        """Learn whether a new try is worth its while: changed since the last, and at rest."""
        if now == self.seen and now != self.tried:
            self.changed.set()
        self.seen = now

    def status(self) -> VersionStatus:
        """For GetModelStatus."""
        if self.error is None:
            return VersionStatus(self.number, self.state)
        return VersionStatus(self.number, self.state, Code(self.error.code), self.error.message)


class Model:
    """One model of the configuration, with its service.

    seen: what was last found of it, None before the first look. pending_labels: those that wait for
    their version.
    """

    def __init__(self, config: ModelConfig, service: Service, loading: Loading) -> None:
        self.config = config
        self.service = service
        self.news = News()
        self.entries: dict[int, Entry] = {}
        self.seen: Sight | None = None
        self.pending_labels: dict[str, int] = {}
        self._loading = loading
        self._wanted: frozenset[int] = frozenset()
        self._warned: frozenset[str] = frozenset()
        self._closing = False
        self.settle_labels()

    # what is

    @property
    def available(self) -> list[int]:
        """The versions that serve, lowest first."""
        return sorted(e.number for e in self.entries.values() if e.state == AVAILABLE)

    @property
    def failing(self) -> list[int]:
        """The versions whose last load failed, to be tried again or not."""
        return sorted(e.number for e in self.entries.values() if e.error and e.phase())

    def trouble(self) -> str:
        """Why no version is available and none is on its way; "" while that is not so."""
        if self.available or self.seen is None:
            return ""
        if self.seen.missing:
            return self.seen.missing
        given_up = sorted(e.number for e in self.entries.values() if e.given_up)
        if given_up and len(given_up) == len(self._wanted):
            return f"version {given_up[-1]}: {self.entries[given_up[-1]].error}"
        if not self._wanted:
            return self.seen.warnings[-1] if self.seen.warnings else "no version is wanted"
        return ""

    async def settled(self, wait_for_folder: bool) -> str:
        """Wait until a version is available or none will be; gives `trouble`.

        wait_for_folder: a folder without versions may yet get some.
        """
        while not self.available:
            if self._closing:
                return "it was taken out of the configuration"
            trouble = self.trouble()
            if trouble and not (wait_for_folder and not self._wanted):
                return trouble
            await self.news.wait()
        return ""

    def refusal(self) -> ServingError | None:
        """Why its labels are not what the configuration says, None if they are."""
        for version in self.pending_labels.values():
            return labels.refusal(self.config.name, version)
        return None

    def why(self) -> str:
        """What is wrong or not there yet, in words; "" if the model can be asked."""
        return "" if self.service.ready else self.trouble() or self.service.why()

    def statuses(self) -> list[VersionStatus]:
        """Every version that ever was, newest first."""
        return [self.entries[number].status() for number in sorted(self.entries, reverse=True)]

    # what shall be

    def see(self, sight: Sight) -> None:
        """Take in what was found. A folder that is not there changes nothing."""
        words = {*sight.warnings, sight.missing} - {""}
        for warning in sorted(words - self._warned):
            log.warning(warning, model=self.config.name)
        self._warned = frozenset(words)
        if self._closing:
            return
        self.seen = sight
        if not sight.missing:
            self._wanted = sight.wanted
            for number in self.failing:
                if number in sight.fingerprints:
                    self.entries[number].look(sight.fingerprints[number])
                self.entries[number].given_up &= not self.entries[number].changed.is_set()
        self.act()

    def configure(self, config: ModelConfig) -> None:
        """From now on served this way; the versions are looked for anew."""
        self.config = config
        self.settle_labels()

    def check_labels(self, config: ModelConfig) -> None:
        """Raise the ServingError that refuses these labels, if they could not all hold at once."""
        for version in self._settled(config).refused.values():
            raise labels.refusal(config.name, version)

    def settle_labels(self) -> None:
        """Let labels name what they may name now."""
        settled = self._settled(self.config)
        self.service.labels = settled.now
        self.pending_labels = settled.refused

    def _settled(self, config: ModelConfig) -> labels.Labels:
        may_wait = self._loading.labels_may_wait
        return labels.settle(self.service.labels, config.labels, self.available, may_wait)

    def act(self) -> None:
        """Begin whatever is to be done now."""
        phases = {n: phase for n, entry in self.entries.items() if (phase := entry.phase())}
        for action in next_actions(self._wanted, phases):
            if isinstance(action, Load):
                self._begin_load(action.version)
            else:
                self._begin_unload(self.entries[action.version])
        self.settle_labels()
        self.service.trouble = self.trouble()
        self.news.tell()

    async def close(self) -> None:
        """Unload everything; returns once it has ended."""
        self._closing = True
        self._wanted = frozenset()
        self.act()
        works = [entry.work for entry in self.entries.values() if entry.work]
        await asyncio.gather(*works, return_exceptions=True)

    async def stop(self) -> None:
        """End everything at once, whatever is in flight."""
        self._closing = True
        self._wanted = frozenset()
        works = [entry.work for entry in self.entries.values() if entry.work]
        for entry in self.entries.values():
            if entry.work and entry.state in (START, LOADING):
                entry.work.cancel()
        await self.service.stop()
        await asyncio.gather(*works, return_exceptions=True)
        await self.service.stop()  # what a load that was cancelled has left

    # how

    def _begin_load(self, number: int) -> None:
        assert self.seen is not None
        entry = self.entries[number] = Entry(number, self.seen.paths[number])
        entry.work = asyncio.create_task(self._load(entry))

    async def _load(self, entry: Entry) -> None:
        for left in reversed(range(self._loading.tries)):
            async with self._loading.slots:
                entry.state = LOADING
                entry.changed.clear()
                entry.tried = await in_thread(lambda: fingerprint(entry.folder))
                entry.error = await self._try(entry)
            if entry.error is None:
                entry.state = AVAILABLE
                break
            log.error(
                "version not loaded",
                model=self.config.name,
                version=entry.number,
                reason=entry.error.message,
                tries_left=left,
            )
            self.news.tell()
            if left:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._loading.retry_s):
                        await entry.changed.wait()
        else:
            entry.state, entry.given_up = END, True
        self.act()

    async def _try(self, entry: Entry) -> ServingError | None:
        """Load once. What failed stays with the service, to say why, until the next try."""
        await self._discard(entry.number)
        try:
            plan = self._loading.make_plan(self.config, entry.folder)
            await self.service.add(entry.number, plan).start()
        except ServingError as error:
            return error
        except Exception as error:
            log.exception("loading failed", model=self.config.name, version=entry.number)
            return ServingError(Code.INTERNAL, f"loading failed: {error!r}")
        return None

    async def _discard(self, number: int) -> None:
        version = self.service.versions.get(number)
        if version is not None:
            await self.service.retire(version)

    def _begin_unload(self, entry: Entry) -> None:
        loading = entry.work
        entry.state, entry.given_up = UNLOADING, False
        entry.work = asyncio.create_task(self._unload(entry, loading))

    async def _unload(self, entry: Entry, loading: asyncio.Task[None] | None) -> None:
        if loading is not None and not loading.done():
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
        await self._discard(entry.number)
        entry.state = END
        self.act()
