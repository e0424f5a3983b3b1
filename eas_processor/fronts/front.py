"""A front: one more process that takes connections and sends calls to the workers of process 1.

It lives as long as process 1 and no longer: its connection ends, the kernel ends it.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import socket
import time
from dataclasses import replace
from functools import partial

import structlog

from eas_processor.api.discovery import DiscoveryApi
from eas_processor.api.eas import EasApi
from eas_processor.api.rest import RestApi
from eas_processor.errors import StartError
from eas_processor.fronts import dialects
from eas_processor.fronts.calls import CallRelay
from eas_processor.fronts.counts import packed
from eas_processor.fronts.link import Link
from eas_processor.fronts.messages import (
    WORKER,
    Counts,
    CountsWanted,
    Deployed,
    Drain,
    Lost,
    Reply,
    Returned,
    Setup,
    ToFront,
)
from eas_processor.fronts.mirror import Mirror
from eas_processor.fronts.relay import Relay
from eas_processor.http import tls
from eas_processor.http.messages import Request
from eas_processor.http.router import Router
from eas_processor.http.server import HttpServer
from eas_processor.modelserver.request_log import RequestLogs
from eas_processor.observe import logs, watching
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.board import Board
from eas_processor.pool.bodies import Bodies
from eas_processor.rpc import tfserving
from eas_processor.rpc.server import GrpcServer
from eas_processor.serving.states import ServiceStates
from eas_processor.ticking import TICK_S, tick_each

COUNTS_EVERY_TICKS = 10
SETTLE_TIMEOUT_S = 2.0  # how long walls may take to come before we listen without them
SETTLE_POLL_S = 0.01

log = structlog.get_logger("fronts")


class Front:
    """All of one process. It is told everything else by process 1, first of all its Setup."""

    def __init__(self, setup: Setup, link: Link[ToFront], board_descriptor: int) -> None:
        limits = setup.limits
        logs.configure(setup.observing.log_level, setup.observing.log_format)
        self._watching = watching.start(setup.observing)
        self._setup = setup
        self._link = link
        board = Board(setup.processes, setup.index, board_descriptor)
        self._connections = board.row(setup.connections_row)
        self._metrics = Metrics(lambda: [], lambda: {})
        self._logs = RequestLogs(setup.serving.request_log_dir)
        self.mirror = Mirror(board, setup.index, link.send, self._forget_routes)
        numbers = itertools.count(1)
        self._relay = Relay(self.mirror.services, link.send, numbers)
        self._calls = CallRelay(link.send, numbers)
        secured = tls.context(*setup.pem) if setup.pem else None
        bodies = Bodies(limits.shared_bytes_max)
        services = self.mirror.services
        states = ServiceStates(services)
        rest = replace(
            dialects.rest_options(setup.serving, self._logs.rest), elsewhere=self._relay.ask
        )
        self._router = Router(
            [
                EasApi(services, self._metrics, bodies).resolve,
                RestApi(services, states, self._metrics, rest).resolve_inference,
                DiscoveryApi(services).resolve,
                self._relay.resolve,
            ],
            _never,
            limits,
        )
        self._server = HttpServer(self._router, limits, self._watching.watchers, secured)
        self._grpc = self._grpc_server(states, bodies)
        self._listening = False
        self._opening: asyncio.Future[None] | None = None
        self._drain_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def _grpc_server(self, states: ServiceStates, bodies: Bodies) -> GrpcServer | None:
        serving = self._setup.serving
        grpc = serving.grpc
        if grpc is None or grpc.port is None:
            return None
        endpoint = dialects.endpoint(self._setup.address, grpc, shared=True)
        options = replace(
            dialects.grpc_options(serving, grpc, bodies, self._watching.watchers, self._logs.grpc),
            elsewhere=self._calls.method,
        )
        services = self.mirror.services
        return tfserving.listener(endpoint, services, states, self._metrics, options)

    def _forget_routes(self) -> None:
        """Services have changed: look up anew who answers, and who is counted."""
        self._router.forget()
        services = self.mirror.services.items()
        self._metrics.keep_only({name: service.versions for name, service in services})

    async def run(self) -> None:
        """Serve until process 1 says that it is enough. Raises StartError without the port."""
        ticks = 0
        while not self._drain_s.done():
            await asyncio.wait({self._drain_s}, timeout=TICK_S)
            ticks += 1
            self._tick()
            if ticks % COUNTS_EVERY_TICKS == 0:
                tick_each([partial(self._tell_counts, 0)])
        ticker = asyncio.create_task(self._tick_on())
        grace_s = self._drain_s.result()
        drains = [self._server.drain(grace_s)]
        if self._grpc is not None:
            drains.append(self._grpc.drain(grace_s))
        await asyncio.gather(*drains)
        ticker.cancel()
        for close in (*self._watching.closes, self._logs.close):
            await asyncio.to_thread(close)

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._tick()

    def _tick(self) -> None:
        now_s = time.monotonic()
        tick_each(
            [
                lambda: self._connections.show(self._server.connections),
                partial(self._server.tick, now_s),
                partial(self.mirror.tick, now_s),
                *self._watching.ticks,
            ]
        )

    def heard(self, message: ToFront) -> None:
        """Process 1 has spoken."""
        match message:
            case Reply():
                self._relay.replied(message)
            case Returned():
                self._calls.returned(message)
            case CountsWanted(number):
                self._tell_counts(number)
            case Lost():
                self.mirror.lost(message)
            case Drain(grace_s) if not self._drain_s.done():
                self._drain_s.set_result(grace_s)
            case Deployed():
                self._logs.follow(message.logged)
                self.mirror.apply(message)
                if message.open and not self._listening:
                    self._listening = True
                    self._opening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        setup = self._setup
        until_s = time.monotonic() + SETTLE_TIMEOUT_S
        while not self.mirror.settled and time.monotonic() < until_s:
            await asyncio.sleep(SETTLE_POLL_S)
        try:
            if setup.port is not None:
                await self._server.listen(setup.address, setup.port, shared=True)
            if self._grpc is not None:
                await self._grpc.start()
        except StartError as error:
            log.error("no port", reason=error.message)
            os._exit(3)
        gc.collect()
        gc.freeze()  # what start-up made stays: the collector need not look at it again

    def _tell_counts(self, number: int) -> None:
        logged = [(*what, records) for what, records in self._logs.counts().items()]
        self._link.send(Counts(number, packed(self._metrics.all_series()), logged))


async def serve(link_descriptor: int, door_descriptor: int, board_descriptor: int) -> None:
    """Be a front on the inherited descriptors, until process 1 ends or says so."""
    loop = asyncio.get_running_loop()
    fronts: asyncio.Future[Front] = loop.create_future()

    def heard(message: ToFront) -> None:
        if isinstance(message, Setup):
            fronts.set_result(Front(message, link, board_descriptor))
        elif fronts.done():
            fronts.result().heard(message)

    link: Link[ToFront] = Link(ToFront, heard, lambda: os._exit(0))
    end = socket.socket(fileno=link_descriptor)
    end.setblocking(False)
    await loop.create_unix_connection(lambda: link, sock=end)
    front = await fronts
    door = socket.socket(fileno=door_descriptor)
    door.setblocking(False)
    loop.add_reader(door, _let_in, door, front)
    await front.run()


def _let_in(door: socket.socket, front: Front) -> None:
    try:
        message, descriptors, _, _ = socket.recv_fds(door, WORKER.size, 1, socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        return
    if not message:  # process 1 has gone
        asyncio.get_running_loop().remove_reader(door)
        return
    (worker,) = WORKER.unpack(message)
    if not descriptors:  # no more of them are allowed
        front.mirror.refused(worker)
    for descriptor in descriptors:
        front.mirror.handed(worker, socket.socket(fileno=descriptor))


def _never(request: Request) -> None:
    """The relay answers whatever is left."""
    request.respond(404, b"nothing here\n")
