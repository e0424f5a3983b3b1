"""What the fronts are to know of the services, read off the services themselves.

Also where bounds begin to be shared: what is seen for the first time is given a row of the board.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

from eas_processor.fronts.messages import (
    Deployed,
    LaneState,
    Lost,
    ServiceState,
    VersionState,
    plain,
)
from eas_processor.modelserver.configs import Logging
from eas_processor.pool.board import Board, Row
from eas_processor.pool.worker import Worker
from eas_processor.serving.admission import Queue, RateLimit
from eas_processor.serving.lifecycle import State
from eas_processor.serving.service import Service
from eas_processor.serving.version import Version

TAKING = (State.STARTING, State.WARMING, State.READY, State.DEGRADED)
NO_ROW = -1


class Publisher:
    """Reads the services; keeps which worker and which version is known by what number."""

    def __init__(self, services: Mapping[str, Service], board: Board, hang_timeout_s: float):
        self._services = services
        self._board = board
        self._hang_timeout_s = hang_timeout_s
        self._numbers = count(1)
        self._versions: dict[Version, int] = {}
        self._bounds: dict[Queue | RateLimit, Row] = {}
        self._rows: dict[int, Row] = {}
        self.workers: dict[int, Worker] = {}

    def deployed(self, is_open: bool, logged: dict[str, Logging]) -> Deployed:
        """All services as they are now. is_open, logged: see `Deployed`."""
        services = tuple(self._services.values())
        self._forget(services)
        return Deployed([self._service(service) for service in services], is_open, logged)

    def has(self, service: str, version: str) -> bool:
        """Whether such a version is there, or none is meant."""
        found = self._services.get(service)
        return not version or (found is not None and int(version) in found.versions)

    def lost(self) -> Iterator[Lost]:
        """The workers that have ended since this was asked last."""
        for number, worker in tuple(self.workers.items()):
            if worker.exit_reason and not self._is_ready(worker):
                del self.workers[number]
                self._board.give_back(self._rows.pop(number))
                yield Lost(number, plain(worker.exit_reason))

    def _forget(self, services: tuple[Service, ...]) -> None:
        """Let go of versions and bounds that are no more."""
        versions = {version for service in services for version in service.versions.values()}
        self._versions = {v: number for v, number in self._versions.items() if v in versions}
        kept: set[Queue | RateLimit | None] = {version.queue for version in versions}
        kept |= {service.rate for service in services}
        for bound in [bound for bound in self._bounds if bound not in kept]:
            bound.row = None
            self._board.give_back(self._bounds.pop(bound))

    def _service(self, service: Service) -> ServiceState:
        rate = service.rate
        return ServiceState(
            service.name,
            service.token,
            service.request_timeout_s,
            service.decompressor,
            rate.requests_per_s if rate else 0,
            self._row(rate) if rate else NO_ROW,
            dict(service.labels),
            plain(service.trouble),
            [self._version(version) for version in service.versions.values()],
        )

    def _version(self, version: Version) -> VersionState:
        state = version.lifecycle.state
        if version not in self._versions:
            self._versions[version] = next(self._numbers)
        workers = version.pool.ready if version.pool and state in TAKING else ()
        lanes = (self._lane(worker) for worker in workers)
        return VersionState(
            self._versions[version],
            version.number,
            state.name,
            plain(version.lifecycle.reason),
            version.plan.processor,
            version.queue.calls_max,
            self._row(version.queue),
            self._hang_timeout_s,
            version.signatures,
            [lane for lane in lanes if lane is not None],
        )

    def _row(self, bound: Queue | RateLimit) -> int:
        row = self._bounds.get(bound) or self._board.take()
        if row is None:
            return NO_ROW
        if bound.row is None:
            self._bounds[bound] = row
            bound.share(row)
        return row.number

    def _lane(self, worker: Worker) -> LaneState | None:
        number = next((n for n, known in self.workers.items() if known is worker), 0)
        if not number:
            row = self._board.take()
            if row is None:
                return None  # the host itself still uses it
            number = next(self._numbers)
            self.workers[number] = worker
            self._rows[number] = row
            worker.share(row)
        least, most = worker.window
        row_number = self._rows[number].number
        return LaneState(number, worker.pid, row_number, least, most, worker.joins)

    def _is_ready(self, worker: Worker) -> bool:
        pools = (
            version.pool
            for service in self._services.values()
            for version in service.versions.values()
        )
        return any(pool is not None and worker in pool.ready for pool in pools)
