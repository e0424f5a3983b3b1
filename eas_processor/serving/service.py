"""A service: a name, and the versions of a model that answer to it.

A call without a version goes to the highest version that is available. Versions come and go one
beside the other: a new one takes over in one step once it is ready, and the old one then finishes
what it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from eas_processor.errors import Code, ServingError
from eas_processor.observe.report import ServiceReport
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import Answer, Call
from eas_processor.serving.admission import RateLimit
from eas_processor.serving.lifecycle import State
from eas_processor.serving.version import Version, VersionPlan

ELSEWHERE_BYTES_MAX = 8 << 20  # of a request
STARTING = "the server is starting: not all models have come or failed yet; try again later"

log = structlog.get_logger("service")

Missing = Callable[[str, int | None, str | None], ServingError]


class Service:
    """One named service.

    token: what clients must send, None if nothing. request_timeout_s: from a request's first byte
    to its answer. decompressor: how request bodies are compressed, "" if they are not.
    drain_timeout_s: how long a version that goes may take for what it has. on_change(): called when
    another version answers, or any of these changed.
    """

    def __init__(self, name: str, awake: Awake, on_change: Callable[[], None]) -> None:
        self.name = name
        self._awake = awake
        self._on_change = on_change
        self.rate: RateLimit | None = None
        self.token: str | None = None
        self.request_timeout_s = 5.0
        self.decompressor = ""
        self.drain_timeout_s = 30.0
        self.versions: dict[int, Version] = {}
        self.labels: dict[str, int] = {}
        self.current: Version | None = None
        self.trouble = ""  # why it has no version, where somebody knows
        self.missing: Missing = unknown  # what is said of a version that cannot be asked

    def set_rate_limit(self, requests_per_s: int) -> None:
        """Answer RATE_LIMITED beyond so many requests a second; 0: no limit."""
        self.rate = RateLimit(requests_per_s) if requests_per_s else None

    # data plane

    @property
    def ready(self) -> bool:
        """Whether a version is."""
        return self.current is not None and self.current.ready

    def submit(self, call: Call, version: Version | None = None) -> None:
        """Give a call to a version, the current one unless it is named.

        The answer comes through `call.reply`, perhaps before this returns.
        """
        chosen = version or self.current
        if chosen is None:
            words = f"no healthy upstream: {self.name} has no version loaded"
            call.finish(Answer.error(Code.UNAVAILABLE, words))
        elif self.rate is not None and not self.rate.allows(time.monotonic()):
            words = f"over {self.rate.requests_per_s} requests a second; try again later"
            call.finish(Answer.error(Code.RATE_LIMITED, words))
        else:
            chosen.submit(call)

    def abandoned(self, call: Call) -> None:
        """The caller left: its place in the queue is free."""
        for version in self.versions.values():
            version.queue.drop(call)

    def find(self, number: int | None = None, label: str | None = None) -> Version:
        """The version asked for. Raises Unknown in TensorFlow Serving's words, or UNAVAILABLE.

        number: exactly that one; label: the one it names; neither: the current one.
        """
        if label is not None:
            if label not in self.labels:
                raise self.missing(self.name, number, label)
            number = self.labels[label]
        found = self.current if number is None else self.versions.get(number)
        if found is None or found.lifecycle.state not in (State.READY, State.DEGRADED):
            raise self.missing(self.name, number, None)
        return found

    def tick(self, now_s: float) -> None:
        """End what took too long; called a few times a second."""
        if self.rate is not None:
            self.rate.settle(now_s)
        for version in tuple(self.versions.values()):
            version.tick(now_s)

    # control plane

    def add(self, number: int, plan: VersionPlan) -> Version:
        """A version to be started; it answers nothing yet."""
        version = Version(number, plan, self._awake, self._version_changed)
        self.versions[number] = version
        self._choose()
        return version

    async def retire(self, version: Version) -> None:
        """Let a version finish what it has, then end it and forget it."""
        await version.retire(self.drain_timeout_s)
        self.versions.pop(version.number, None)
        self._version_changed()

    async def replace(
        self, plan: VersionPlan, before_drain: Callable[[], None] = lambda: None
    ) -> None:
        """Bring up a new version beside the present one, then let it take over.

        before_drain(): called once it has. Raises ServingError if it does not come up; the present
        one then goes on.
        """
        before = list(self.versions.values())
        version = self.add(max(self.versions, default=0) + 1, plan)
        try:
            await version.start()
        except BaseException:
            await version.stop()
            self.versions.pop(version.number, None)
            self._version_changed()
            raise
        before_drain()
        self._on_change()
        for old in before:
            await self.retire(old)

    async def stop(self) -> None:
        """End all versions at once."""
        for version in tuple(self.versions.values()):
            await version.stop()

    def kill(self) -> None:
        """End the workers by force, without waiting."""
        for version in self.versions.values():
            version.kill()

    def _version_changed(self) -> None:
        self._choose()
        self._on_change()

    def _choose(self) -> None:
        """The highest version that is available; failing that, the one that is nearest to it.

        One whose workers are being replaced stays: another model's numbers are no answer.
        """

        def rank(version: Version) -> tuple[int, int]:
            return (_NEARNESS.get(version.lifecycle.state, 0), version.number)

        self.current = max(self.versions.values(), key=rank, default=None)

    # words

    def why(self) -> str:
        """The state and its reason, in words."""
        if self.current is not None:
            return self.current.why()
        return f"without a version: {self.trouble}" if self.trouble else "without a version"

    def report(self) -> ServiceReport:
        """What it is doing, for people; see `observe.report`."""
        current = self.current
        return {
            "name": self.name,
            "ready": self.ready,
            "state": current.lifecycle.state.name.lower() if current else "new",
            "reason": current.lifecycle.reason if current else self.trouble,
            "labels": self.labels,
            "processor": current.plan.processor if current else "",
            "versions": [self.versions[number].report() for number in sorted(self.versions)],
        }


class Unknown(ServingError):
    """There is no such model, or no such version of it that can be asked."""


class Services(dict[str, Service]):
    """All services, by name. starting: the first ones have neither all come nor failed."""

    starting = False

    def missing(self, name: str, number: int | None, label: str | None) -> ServingError:
        """What is said of a model, or a version of it, that cannot be asked.

        As long as it starts, TensorFlow Serving has no port open: whoever asks is to come back.
        """
        if self.starting:
            return ServingError(Code.UNAVAILABLE, STARTING)
        return unknown(name, number, label)


def unknown(name: str, number: int | None = None, label: str | None = None) -> Unknown:
    """What TensorFlow Serving says of a model, or a version of it, that cannot be asked."""
    if label is not None:  # labels are looked up first
        return Unknown(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
    asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return Unknown(Code.NOT_FOUND, f"Servable not found for request: {asked}")


def is_for_others(error: ServingError, body_bytes: int) -> bool:
    """Whether another process of the host is to be asked: it may know already what is new here.

    A long request of a client that errs is not worth being sent there.
    """
    return isinstance(error, Unknown) and body_bytes <= ELSEWHERE_BYTES_MAX


_NEARNESS = {State.READY: 2, State.DEGRADED: 2, State.DRAINING: 1}
