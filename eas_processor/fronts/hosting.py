"""The further processes of a host, as process 1 has them: started, told, asked, replaced, ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
import structlog

from eas_processor.config import Limits
from eas_processor.errors import ServingError, StartError
from eas_processor.fronts.messages import Deployed, Drain, Serving, Setup, encode
from eas_processor.fronts.process import FrontProcess
from eas_processor.fronts.publishing import Publisher
from eas_processor.fronts.tally import Tally
from eas_processor.http.messages import Application
from eas_processor.modelserver.configs import Logging
from eas_processor.observe.watching import Observing
from eas_processor.pool.board import Board
from eas_processor.pool.pool import STABLE_AFTER_S, restart_delay_s
from eas_processor.rpc.dispatch import Methods
from eas_processor.serving.service import Service
from eas_processor.ticking import TICK_S, tick_each

END_TIMEOUT_S = 5.0  # beyond the grace period, to end by itself

log = structlog.get_logger("fronts")


class Fronts:
    """All of them. processes: of the host in all, this one included. limits: of each process.

    pem: what `http.tls` makes its context of; empty without TLS. serving: how they are to speak.
    methods: of gRPC, by path; process 1 answers those that the fronts do not. logged(): which
    models' requests are recorded, and how.
    """

    def __init__(
        self,
        processes: int,
        limits: Limits,
        observing: Observing,
        pem: Sequence[bytes] = (),
        serving: Serving = Serving(),  # noqa: B008, it is frozen
    ) -> None:
        self.processes = processes
        self._limits = limits
        self._observing = observing
        self._pem = list(pem)
        self._serving = serving
        self.methods: Methods = {}
        self.logged: Callable[[], dict[str, Logging]] = dict
        self._ticker: asyncio.Task[None] | None = None
        self._board = Board(processes)
        self._connections = self._board.take()
        self._publisher: Publisher | None = None
        self._app: Application | None = None
        self._fronts: dict[int, FrontProcess] = {}
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self._setup: Setup | None = None
        self._told: Deployed | None = None
        self._open = False
        self._stopping = False
        self.tally = Tally(self._fronts, self._has)

    def attach(self, services: Mapping[str, Service], app: Application) -> None:
        """Whose calls they take, and who answers what they do not answer themselves."""
        hang_timeout_s = self._limits.worker_hang_timeout_s
        self._publisher = Publisher(services, self._board, hang_timeout_s)
        self._app = app

    # life

    def at(self, address: str, port: int | None) -> None:
        """Where they are to listen for HTTP, if anywhere; said before they start.

        Raises StartError for what can not be told them.
        """
        assert self._connections is not None
        self._setup = Setup(
            0,
            self.processes,
            address,
            port,
            self._pem,
            self._serving,
            self._limits,
            self._observing,
            self._connections.number,
        )
        try:
            encode(self._setup)
        except UnicodeEncodeError as error:
            words = f"several host processes need paths in UTF-8; this is none: {error.object!r}"
            raise StartError(words) from None

    async def start(self) -> None:
        """Start the processes."""
        self._ticker = asyncio.create_task(self._tick())
        self._keepers = {
            index: asyncio.create_task(self._keep(index)) for index in range(1, self.processes)
        }

    def open(self) -> None:
        """All services are ready: let them listen."""
        self._open = True
        self.publish()

    async def drain(self, grace_s: float) -> None:
        """Let them finish what they have, then end them; within the bound."""
        self._stopping = True
        if self._ticker is not None:
            self._ticker.cancel()
        for index, keeper in self._keepers.items():
            if index in self._fronts:
                self._fronts[index].send(Drain(grace_s))
            else:
                keeper.cancel()
        if self._keepers:
            keepers = self._keepers.values()
            await asyncio.wait(keepers, timeout=grace_s + END_TIMEOUT_S)
            self.kill()
            await asyncio.wait(keepers, timeout=END_TIMEOUT_S)

    def kill(self) -> None:
        """End them at once."""
        self._stopping = True
        for front in self._fronts.values():
            front.kill()

    async def _keep(self, index: int) -> None:
        """Have a front in that place until we stop."""
        failures = 0
        while not self._stopping:
            started_s = time.monotonic()
            try:
                reason = await self._run(index)
            except Exception as error:  # the place must not stay empty
                log.exception("process not kept", process=index + 1)
                reason = repr(error)
                if index in self._fronts:
                    self._fronts[index].kill()
                    self._ended(index)
            if self._stopping:
                return
            failures = 1 if time.monotonic() - started_s > STABLE_AFTER_S else failures + 1
            delay_s = restart_delay_s(failures)
            log.error("process lost", process=index + 1, reason=reason, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)

    async def _run(self, index: int) -> str:
        """One front from start to end; how it ended."""
        assert self._app is not None and self._setup is not None
        front = FrontProcess(
            index, self._app, self.methods, self.tally.took, lambda: self._ended(index)
        )
        self._fronts[index] = front
        try:
            await front.start(self._board.descriptor)
        except ServingError as error:
            del self._fronts[index]
            return error.message
        log.info("process started", process=index + 1, pid=front.pid)
        if self._stopping:
            front.kill()
        front.send(msgspec.structs.replace(self._setup, index=index))
        if self._told is not None:
            self._lend(self._told)
            front.send(self._told)
        self.publish()
        return await front.wait()

    def _ended(self, index: int) -> None:
        self._fronts.pop(index, None)
        self._board.clear(index)
        self.tally.ended(index)

    # what they are told

    def publish(self) -> None:
        """Tell them what has changed; called at each change that is known, and at each tick."""
        if self._publisher is not None and self._keepers:
            try:
                self._publish(self._publisher)
            except Exception:  # which is no reason to serve nobody
                log.exception("fronts not told")

    def _publish(self, publisher: Publisher) -> None:
        deployed = publisher.deployed(self._open, self.logged())
        self._lend(deployed)
        if deployed != self._told:
            self._told = deployed
            for front in tuple(self._fronts.values()):
                front.send(deployed)
        for lost in publisher.lost():
            for front in tuple(self._fronts.values()):
                front.give_back(lost.worker)
                front.send(lost)

    def _lend(self, deployed: Deployed) -> None:
        """Before a front hears of a worker, it is handed a wall to it."""
        assert self._publisher is not None
        for service in deployed.services:
            for version in service.versions:
                for lane in version.lanes:
                    for front in self._fronts.values():
                        front.lend(lane.worker, self._publisher.workers[lane.worker])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            tick_each([self.publish, *(partial(one.tick, now_s) for one in self._fronts.values())])

    # how they are

    @property
    def connections(self) -> int:
        """How many they have open."""
        return self._connections.others() if self._connections else 0

    def running(self) -> int:
        """How many of the host's processes run, this one included."""
        return 1 + len(self._fronts)

    def _has(self, service: str, version: str) -> bool:
        assert self._publisher is not None
        return self._publisher.has(service, version)
