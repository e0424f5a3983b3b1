"""The services of a host as a front has them: told by process 1, over walls that it hands out."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from eas_processor.errors import Code
from eas_processor.fronts.lanes import FrontPool
from eas_processor.fronts.messages import (
    Deployed,
    Hung,
    LaneState,
    Lost,
    Released,
    ServiceState,
    VersionState,
)
from eas_processor.pool.awake import Awake
from eas_processor.pool.board import Board, Row
from eas_processor.serving.admission import RateLimit
from eas_processor.serving.lifecycle import State
from eas_processor.serving.service import Service, Services
from eas_processor.serving.version import Material, Version

UNTOLD_S = 1.0  # how long a wall may wait for word of what it is for
WALL_S = 2.0  # how long calls may wait for a wall; then process 1 is asked instead


@dataclass
class MirrorPlan:
    """What a version is, for words alone: it is started elsewhere."""

    name: str
    processor: str
    queue_calls_max: int
    workers: int = 0
    calls_at_once: int = 1 << 30  # what waits at workers is for process 1 to see
    warmup_timeout_s: float = 0.0
    restart_when_dead: bool = True

    def fetch(self) -> Material:
        """Never called."""
        raise NotImplementedError


class MirrorVersion(Version):
    """A version that process 1 has started.

    It takes calls while there is a wall to a worker, or one is about to come: those who wait for it
    do so in the queue. Otherwise it takes none, and whoever asks for it asks process 1.
    """

    def __init__(
        self, number: int, plan: MirrorPlan, awake: Awake, on_change: Callable[[], None]
    ) -> None:
        super().__init__(number, plan, awake, on_change)
        self._told = State.NEW
        self._reason = ""
        self._reached_s = 0.0  # when a worker of it was last in reach, or about to be

    def use(self, pool: FrontPool) -> None:
        """Send calls there."""
        self.pool = pool  # type: ignore[assignment]  # it speaks as one

    def answers_came(self) -> None:
        """There may be room."""
        self._pump()

    @property
    def settled(self) -> bool:
        """Whether no wall is about to come."""
        assert self.pool is not None
        return not self._awaits_wall or bool(self.pool.ready)

    @property
    def _awaits_wall(self) -> bool:
        assert isinstance(self.pool, FrontPool)
        is_wanted = self._told is State.READY and bool(self.pool.wanted)
        return is_wanted and time.monotonic() < self._reached_s + WALL_S

    def follow(self, state: State, reason: str) -> None:
        """Be what process 1 says."""
        if state is not self._told:
            self._reached_s = time.monotonic()
        self._told, self._reason = state, reason
        self.look()

    def tick(self, now_s: float) -> None:
        """See `Version.tick`; a wall that does not come is not awaited for ever."""
        super().tick(now_s)
        if self.pool is not None and not self.pool.ready:
            self.look()

    def end(self) -> None:
        """Nobody looks after it any more: what still comes for it is refused."""
        self.lifecycle.adopt(State.STOPPED, "")
        self.queue.fail(Code.UNAVAILABLE, "the version is gone")

    def look(self) -> None:
        """A lane has joined or left, or process 1 has spoken."""
        assert self.pool is not None
        lifecycle = self.lifecycle
        before = lifecycle.state
        if self.pool.ready:
            self._reached_s = time.monotonic()
        has_way = bool(self.pool.ready) or self._awaits_wall
        if has_way or self._told is not State.READY:
            lifecycle.adopt(self._told, self._reason)
        else:  # whoever asks for it asks process 1
            lifecycle.adopt(State.STARTING, "")
        lifecycle.takes_calls = lifecycle.takes_calls and has_way
        if self._told is State.DEGRADED or (self._told is State.DRAINING and not has_way):
            self.queue.fail(Code.WORKER_LOST, f"no worker left: {self._reason or self._told.value}")
        if lifecycle.state is not before:
            self._on_change()
        self._pump()


class MirrorService(Service):
    """A service that process 1 has."""

    def follow(self, state: ServiceState, rate_row: Row | None) -> bool:
        """Take over what was told of it as a whole; whether requests are to be routed anew."""
        before = (self.token, self.request_timeout_s, self.decompressor)
        self.token = state.token
        self.request_timeout_s = state.request_timeout_s
        self.decompressor = state.decompressor
        self.labels = state.labels
        self.trouble = state.trouble
        rate = self.rate
        known = (rate.requests_per_s, rate.row and rate.row.number) if rate else (0, None)
        if known != (state.rate_limit, rate_row and rate_row.number):
            self.rate = RateLimit(state.rate_limit, rate_row) if state.rate_limit else None
        return before != (self.token, self.request_timeout_s, self.decompressor)

    def version(self, state: VersionState) -> MirrorVersion:
        """A version that is new here."""
        plan = MirrorPlan(self.name, state.processor, state.queue_calls_max)
        version = MirrorVersion(state.number, plan, self._awake, self._version_changed)
        self.versions[state.number] = version
        return version

    def drop(self, version: Version) -> None:
        """It is no more."""
        if self.versions.get(version.number) is version:
            del self.versions[version.number]
        self._version_changed()


class Mirror:
    """All services. index: of our process. send(message): to process 1. on_change(): as it says."""

    def __init__(
        self,
        board: Board,
        index: int,
        send: Callable[[Released | Hung], None],
        on_change: Callable[[], None],
    ) -> None:
        self.services = Services()
        self._board = board
        self._index = index
        self._send = send
        self._on_change = on_change
        self._awake = Awake()
        self._versions: dict[int, tuple[MirrorService, MirrorVersion, FrontPool]] = {}
        self._lanes: dict[int, tuple[FrontPool, LaneState]] = {}  # told, by worker
        # Handed over for workers not yet told of, or no more; and when
        self._ends: dict[int, tuple[socket.socket, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def apply(self, deployed: Deployed) -> None:
        """Be what process 1 has now."""
        told = {state.name: state for state in deployed.services}
        self._lanes.clear()
        for name, state in told.items():
            self._follow(name, state)
        ids = {version.id for state in told.values() for version in state.versions}
        for id, (service, version, pool) in tuple(self._versions.items()):
            if id not in ids:
                version.follow(State.DRAINING, "")
                pool.wanted = set()
                service.drop(version)
        for name in self.services.keys() - told.keys():
            del self.services[name]
            self._on_change()
        self._join()
        self._leave()

    def _follow(self, name: str, state: ServiceState) -> None:
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = MirrorService(name, self._awake, self._on_change)
            self._on_change()
        assert isinstance(service, MirrorService)
        if service.follow(state, self._row(state.rate_row)):
            self._on_change()
        for version in state.versions:
            self._follow_version(service, version)

    def _follow_version(self, service: MirrorService, state: VersionState) -> None:
        if state.id not in self._versions:
            new = service.version(state)
            pool = FrontPool(
                self._board, self._index, new.answers_came, new.look, self._send, self._awake
            )
            new.use(pool)
            self._versions[state.id] = service, new, pool
        _, version, pool = self._versions[state.id]
        version.queue.calls_max = state.queue_calls_max
        version.signatures = state.signatures
        row = self._row(state.queue_row)
        if row is not None and version.queue.row is None:
            version.queue.share(row)
        pool.hang_timeout_s = state.hang_timeout_s
        pool.wanted = {lane.worker for lane in state.lanes}
        self._lanes.update((lane.worker, (pool, lane)) for lane in state.lanes)
        version.follow(State[state.state], state.reason)

    @property
    def settled(self) -> bool:
        """Whether every version that is ready in process 1 is so here."""
        return all(version.settled for _, version, _ in self._versions.values())

    def handed(self, worker: int, end: socket.socket) -> None:
        """A wall has come through the door; what it is for is told next, or has been."""
        self._ends[worker] = end, time.monotonic()
        self._join()

    def refused(self, worker: int) -> None:
        """A wall has come that could not be taken; process 1 hands it over again."""
        self._send(Released(worker))

    def _join(self) -> None:
        """Take into use what is both told and here."""
        for worker in self._lanes.keys() & self._ends.keys():
            pool, lane = self._lanes[worker]
            end, _ = self._ends.pop(worker)
            task = asyncio.ensure_future(pool.join(lane, end))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _leave(self) -> None:
        """Let go of workers that are not wanted any more."""
        for _, version, pool in self._versions.values():
            if version.lifecycle.state is State.DRAINING and version.queue.waiting:
                continue  # those who wait were promised these workers
            if pool.leave_others():
                version.look()

    def lost(self, lost: Lost) -> None:
        """A worker has ended."""
        end, _ = self._ends.pop(lost.worker, (None, 0.0))
        if end is not None:
            end.close()
        for _, _, pool in self._versions.values():
            pool.lost(lost)

    def tick(self, now_s: float) -> None:
        """Called a few times a second."""
        self._give_back(now_s)
        self._leave()
        for service in tuple(self.services.values()):
            service.tick(now_s)
        for id, (service, version, pool) in tuple(self._versions.items()):
            if version is not service.versions.get(version.number):
                version.tick(now_s)  # what it has still to finish
                if pool.idle:
                    version.end()
                    del self._versions[id]

    def _give_back(self, now_s: float) -> None:
        """Walls that nobody told of, or that came when they were wanted no more.

        Process 1 keeps a worker as long as it has lent a wall to it. One that it still wants us to
        have it hands over again.
        """
        for worker, (end, came_s) in tuple(self._ends.items()):
            if now_s > came_s + UNTOLD_S:
                del self._ends[worker]
                end.close()
                self._send(Released(worker))

    def _row(self, number: int) -> Row | None:
        return self._board.row(number) if number >= 0 else None
