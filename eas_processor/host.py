"""The composition root: builds the rooms, starts them, waits for a signal, drains, stops.

Constructs and connects; every decision is made elsewhere.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Sequence

import structlog

from eas_processor.api.eas import EasApi
from eas_processor.api.ops import OpsApi
from eas_processor.config import Limits
from eas_processor.http.messages import Request
from eas_processor.http.router import Router
from eas_processor.http.server import HttpServer
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.awake import Awake
from eas_processor.serving.plan import ServicePlan
from eas_processor.serving.service import Service

TICK_S = 0.1

log = structlog.get_logger("host")


class Host:
    """One process: one port, any number of services."""

    def __init__(self, plans: Sequence[ServicePlan], limits: Limits) -> None:
        self._limits = limits
        awake = Awake()
        self._services = {plan.name: Service(plan, awake) for plan in plans}
        self._stopping = asyncio.Event()
        self._metrics = Metrics(self._gauges())
        eas = EasApi(self._services, self._metrics.observe)
        ops = OpsApi(self._services, self._metrics.render, self._stopping.is_set)
        router = Router([eas.resolve, ops.resolve], _not_found, limits)
        self._server = HttpServer(router, limits)

    async def run(
        self,
        address: str,
        port: int,
        on_listening: Callable[[int], None],
        on_ready: Callable[[], None],
    ) -> None:
        """Serve until SIGTERM or SIGINT; a second signal ends at once.

        on_listening(port) is called once the port is open, on_ready() once all services are ready.
        Raises ServingError if a service cannot be started.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, signal.Signals(number).name)
        on_listening(await self._server.listen(address, port))
        ticker = asyncio.create_task(self._tick())
        try:
            starting = asyncio.create_task(self._start_services())
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                on_ready()
                gc.collect()
                gc.freeze()  # what start-up made stays: the collector need not look at it again
                await stopping
            else:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
            stopping.cancel()
        finally:
            await self._stop()
            ticker.cancel()

    async def _start_services(self) -> None:
        tasks = [asyncio.create_task(service.start()) for service in self._services.values()]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    def _signalled(self, name: str) -> None:
        if self._stopping.is_set():
            log.warning("second signal: ending at once", signal=name)
            for service in self._services.values():
                service.kill()
            os._exit(130 if name == "SIGINT" else 143)
        log.info("stopping", signal=name)
        self._stopping.set()

    async def _stop(self) -> None:
        """Finish what is in flight, then end connections and workers; all within the bound."""
        self._stopping.set()
        grace_s = max(s.plan.termination_grace_s for s in self._services.values())
        await self._server.drain(grace_s)
        await asyncio.gather(*(service.stop() for service in self._services.values()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            try:
                self._server.tick(now_s)
                for service in self._services.values():
                    service.tick(now_s)
            except Exception:  # without the next tick no request would ever end in time
                log.exception("tick failed")

    def _gauges(self) -> list[tuple[str, str, Callable[[], list[tuple[dict[str, str], float]]]]]:
        services = self._services

        def each(value: Callable[[Service], float]) -> list[tuple[dict[str, str], float]]:
            return [({"service": name}, value(service)) for name, service in services.items()]

        return [
            ("eas_ready", "1 if the service is ready", lambda: each(lambda s: float(s.ready))),
            (
                "eas_queue_requests",
                "Requests waiting",
                lambda: each(lambda s: len(s.queue.waiting)),
            ),
            ("eas_in_flight_requests", "Requests at workers", lambda: each(_in_flight)),
            ("eas_workers_ready", "Workers in rotation", lambda: each(_workers)),
            ("eas_worker_restarts_total", "Workers started again", lambda: each(_restarts)),
            (
                "eas_connections",
                "Open connections",
                lambda: [({}, float(self._server.connections))],
            ),
        ]


def _in_flight(service: Service) -> float:
    return service.pool.in_flight if service.pool else 0


def _workers(service: Service) -> float:
    return len(service.pool.ready) if service.pool else 0


def _restarts(service: Service) -> float:
    return service.pool.restarts_total if service.pool else 0


def _not_found(request: Request) -> None:
    request.respond(404, b"nothing here; predictions are at /api/predict/<service>\n")
