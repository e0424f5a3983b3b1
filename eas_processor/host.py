"""The composition root: builds the rooms, starts them, waits for a signal, drains, stops.

Constructs and connects; every decision is made elsewhere.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from eas_processor.api.discovery import DiscoveryApi
from eas_processor.api.eas import EasApi
from eas_processor.api.ops import OpsApi
from eas_processor.config import Limits
from eas_processor.control import Control
from eas_processor.errors import StartError
from eas_processor.http.messages import Request
from eas_processor.http.router import Resolver, Route, Router, Target
from eas_processor.http.server import HttpServer
from eas_processor.http.sockets import free_port
from eas_processor.observe.metrics import Metrics
from eas_processor.observe.watching import Watching
from eas_processor.pool.bodies import Bodies
from eas_processor.serving.service import Services
from eas_processor.ticking import TICK_S, tick_each

if TYPE_CHECKING:  # one process alone has none of its memory
    from eas_processor.fronts.hosting import Fronts

PAGE = "/metrics"

log = structlog.get_logger("host")


class Source(Protocol):
    """Where services come from: service JSONs, or TensorFlow Serving's configuration."""

    services: Services

    @property
    def drain_timeout_s(self) -> float:
        """How long requests in flight may go on when the host stops."""

    async def start(self) -> None:
        """Bring the services up; returns once they are. Raises ServingError."""

    async def reload(self) -> dict[str, str]:
        """Read everything anew; what went wrong by source, "" where nothing did."""

    async def stop(self) -> None:
        """End all services."""

    def kill(self) -> None:
        """End all workers by force."""


class Listener(Protocol):
    """A server of one protocol."""

    async def start(self) -> None:
        """Open the port. Raises StartError."""

    async def drain(self, grace_s: float) -> None:
        """Accept no more, finish what has begun, end."""


# What makes them: from the counts, and from where large request bodies lie.
Listeners = Callable[[Metrics, Bodies], Sequence[Listener]]


class Host:
    """One process: its ports, and the services behind them.

    dialects: of HTTP, beside EAS's. listeners: servers beside the HTTP one. watching: who is told
    of each request. tls: of the HTTP port, None for plain HTTP.
    """

    def __init__(
        self,
        source: Source,
        limits: Limits,
        dialects: Callable[[Metrics], Sequence[Resolver]] = lambda metrics: (),
        listeners: Listeners = lambda metrics, bodies: (),
        watching: Watching = Watching(),  # noqa: B008, it is frozen
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._source = source
        self._stopping = asyncio.Event()
        services = source.services
        reports = lambda: [service.report() for service in services.values()]  # noqa: E731
        self._metrics = Metrics(reports, self._connections)
        bodies = Bodies(limits.shared_bytes_max)
        self._resolvers: Sequence[Resolver] = (
            EasApi(services, self._metrics, bodies).resolve,
            *dialects(self._metrics),
            DiscoveryApi(services).resolve,
            OpsApi(services, self._metrics.page, self._stopping.is_set).resolve,
        )
        self._router = Router(list(self._resolvers), _not_found, limits)
        self._server = HttpServer(self._router, limits, watching.watchers, tls)
        self._watching = watching
        self._listeners = list(listeners(self._metrics, bodies))
        self._fronts: Fronts | None = None
        self._control = Control({"reload": self._reload, "status": self._status})

    def share_with(self, fronts: Fronts, counted_at: Sequence[str] = (PAGE,)) -> None:
        """Let further processes take connections, too. To be said before `run`.

        counted_at: the pages that show what was counted.
        """
        self._fronts = fronts
        self._listeners.append(fronts)
        fronts.attach(self._source.services, self._router)
        self._metrics.elsewhere = fronts.tally.series
        self._metrics.processes = fronts.running
        for page in counted_at:
            self._router.ask_first(fronts.tally.counted_first(self._resolve, page))

    def _resolve(self, target: Target) -> Route | None:
        found = (resolve(target) for resolve in self._resolvers)
        return next((route for route in found if route is not None), None)

    def forget_routes(self) -> None:
        """Services have changed: look up anew who answers, and who is counted."""
        if self._fronts is not None:
            self._fronts.publish()
        self._router.forget()
        services = self._source.services.items()
        self._metrics.keep_only({name: service.versions for name, service in services})

    async def run(
        self,
        address: str,
        port: int | None,
        on_listening: Callable[[int], None],
        on_ready: Callable[[], None],
    ) -> None:
        """Serve until SIGTERM or SIGINT; a second signal ends at once. SIGHUP reloads.

        port: of HTTP; 0: any free one; None: no HTTP. on_listening(port) is called once it is open,
        on_ready() once all services are ready.
        Raises ServingError if a service cannot be started.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, signal.Signals(number).name)
        tasks: set[asyncio.Task[object]] = set()
        loop.add_signal_handler(signal.SIGHUP, lambda: _spawn(tasks, self._reload()))
        try:
            await self._control.open()
        except StartError as error:  # predictions need it not
            log.warning("status and reload can not be asked for", reason=error.message)
        ticker = asyncio.create_task(self._tick())
        try:
            if self._fronts is not None:
                port = None if port is None else free_port(address, port)
                self._fronts.at(address, port)
            if port is not None:
                is_shared = self._fronts is not None
                on_listening(await self._server.listen(address, port, is_shared))
            for listener in self._listeners:
                await listener.start()
            await self._serve(on_ready)
        finally:
            await self._stop()
            ticker.cancel()
            for task in tasks:
                task.cancel()

    async def _serve(self, on_ready: Callable[[], None]) -> None:
        starting = asyncio.create_task(self._source.start())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            if self._fronts is not None:
                self._fronts.open()
            on_ready()
            gc.collect()
            gc.freeze()  # what start-up made stays: the collector need not look at it again
            await stopping
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        stopping.cancel()

    def _signalled(self, name: str) -> None:
        if self._stopping.is_set():
            log.warning("second signal: ending at once", signal=name)
            self._source.kill()
            self._control.close()
            os._exit(130 if name == "SIGINT" else 143)
        log.info("stopping", signal=name)
        self._stopping.set()

    async def _stop(self) -> None:
        """Finish what is in flight, then end connections and workers; all within the bound."""
        self._stopping.set()
        grace_s = self._source.drain_timeout_s
        await asyncio.gather(
            self._server.drain(grace_s), *(one.drain(grace_s) for one in self._listeners)
        )
        await self._source.stop()
        self._control.close()
        for close in self._watching.closes:
            await asyncio.to_thread(close)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            timed = [service.tick for service in self._source.services.values()]
            timed.append(self._server.tick)
            tick_each([*(partial(tick, now_s) for tick in timed), *self._watching.ticks])

    # asked over the control socket

    async def _reload(self) -> object:
        log.info("reloading")
        return {"reloaded": await self._source.reload()}

    async def _status(self) -> object:
        services = self._source.services.values()
        return {"services": [service.report() for service in services]}

    def _connections(self) -> Mapping[str, int]:
        elsewhere = self._fronts.connections if self._fronts is not None else 0
        return {"http": self._server.connections + elsewhere}


def _spawn(tasks: set[asyncio.Task[object]], work: Awaitable[object]) -> None:
    task: asyncio.Task[object] = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _not_found(request: Request) -> None:
    """Answer a request for a path that nobody serves."""
    words = b"nothing here; try /api/predict/<service> or /v1/models/<model>:predict\n"
    request.respond(404, words)
