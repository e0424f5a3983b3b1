"""A service: the one way from any dialect to a model. Read this first.

    dialect → Service.submit(call) → a worker with room, or the queue → call.reply(answer) → dialect

Everything runs on the event loop; nothing here waits while a call is under way. `start` walks the
table of `lifecycle`; `tick` ends what took too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from eas_processor.errors import Code, ServingError
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import Answer, Call
from eas_processor.pool.pool import Pool
from eas_processor.pool.worker import Worker
from eas_processor.serving import warmup
from eas_processor.serving.admission import Queue, expire
from eas_processor.serving.lifecycle import Lifecycle, State

if TYPE_CHECKING:
    from eas_processor.serving.plan import ServicePlan

T = TypeVar("T")

log = structlog.get_logger("service")


class Service:
    """One named service: its queue, its workers, its state.

    config: a `config.ServiceConfig`, see there for every bound and its unit.
    """

    def __init__(self, plan: ServicePlan, awake: Awake) -> None:
        self.plan = plan
        self._awake = awake
        self.name = plan.name
        self.lifecycle = Lifecycle()
        self.queue = Queue(plan.queue_calls_max)
        self.pool: Pool | None = None
        self._warmup: list[warmup.WarmupRequest] = []

    @property
    def ready(self) -> bool:
        """Loaded, warmed, and with a worker to answer."""
        return self.lifecycle.state is State.READY

    # data plane

    def submit(self, call: Call) -> None:
        """Take a call; its answer comes through `call.reply`, perhaps before this returns."""
        pool = self.pool
        if pool is None or not self.lifecycle.takes_calls:
            call.finish(
                Answer.error(Code.UNAVAILABLE, f"no healthy upstream: {self.name} is {self.why()}")
            )
            return
        worker = None if self.queue.waiting else pool.least_loaded()
        if worker is not None:
            worker.send(call)
        else:
            self.queue.offer(call)

    def _pump(self) -> None:
        """There may be room: send on what waits."""
        if not self.queue.waiting or self.pool is None:
            return
        now_s = time.monotonic()
        while (worker := self.pool.least_loaded()) is not None:
            call = self.queue.take()
            if call is None:
                return
            if not expire(call, now_s):
                worker.send(call)

    def tick(self, now_s: float) -> None:
        """End what took too long; called a few times a second."""
        self.queue.expire(now_s)
        if self.pool is not None:
            for worker in self.pool.ready:
                for call in worker.calls():
                    expire(call, now_s)

    # control plane

    def why(self) -> str:
        """The state and its reason, in words."""
        return str(self.lifecycle)

    async def start(self) -> None:
        """Bring the service to READY. Raises ServingError, after moving to FAILED."""
        try:
            self.lifecycle.move(State.FETCHING)
            material = await _in_thread(self.plan.fetch)
            self._warmup = material.warmup
            self.lifecycle.move(State.STARTING)
            self.pool = Pool(
                material.worker,
                self.plan.workers,
                self._prepare,
                self._pump,
                self._workers_changed,
                self._awake,
            )
            self.pool.restart_when_dead = self.plan.restart_when_dead
            await self.pool.start()
        except ServingError as error:
            self.lifecycle.move(State.FAILED, error.message)
            raise
        self.lifecycle.move(State.READY)
        self._workers_changed()  # one may have died while the others still started
        log.info("service ready", service=self.name, workers=len(self.pool.ready))

    async def _prepare(self, worker: Worker) -> None:
        if self.lifecycle.state is State.STARTING and self._warmup:
            self.lifecycle.move(State.WARMING)
        await warmup.replay(worker, self._warmup, self.plan.warmup_timeout_s)

    def _workers_changed(self) -> None:
        """A worker joined or left."""
        assert self.pool is not None
        if self.lifecycle.state in (State.READY, State.DEGRADED):
            if self.pool.ready:
                self.lifecycle.move(State.READY)
            else:
                self.lifecycle.move(State.DEGRADED, self.pool.trouble)
        if not self.pool.ready:
            self.queue.fail(Code.WORKER_LOST, f"no worker left: {self.pool.trouble}")
        self._pump()

    async def stop(self) -> None:
        """End the workers. Whoever wants the calls in flight to finish has waited for them."""
        if self.lifecycle.state in (State.READY, State.DEGRADED):
            self.lifecycle.move(State.DRAINING)
        self.queue.fail(Code.UNAVAILABLE, "the server is stopping")
        if self.pool is not None:
            await self.pool.stop()
        if self.lifecycle.state is not State.STOPPED:
            self.lifecycle.move(State.STOPPED)

    def kill(self) -> None:
        """End the workers by force, without waiting."""
        if self.pool is not None:
            self.pool.kill()


async def _in_thread(work: Callable[[], T]) -> T:
    """Like asyncio.to_thread, but when it is cancelled the process can end before `work` does."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(settle_with: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if result.done() else settle_with())

    def run() -> None:
        try:
            value = work()
        except BaseException as error:
            settle(lambda error=error: result.set_exception(error))  # type: ignore[misc]
        else:
            settle(lambda: result.set_result(value))

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return await result
