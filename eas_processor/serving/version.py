"""One loaded version of a model: its queue, its workers, its state. Read this first.

    dialect → Service.submit → Version.submit(call) → a worker with room, or the queue
            → call.reply(answer) → dialect

Everything runs on the event loop; nothing here waits while a call is under way. `start` walks the
table of `lifecycle`; `tick` ends what took too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog

from eas_processor.errors import Code, ServingError, StartError
from eas_processor.observe.report import VersionReport
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import Answer, Call, expire
from eas_processor.pool.pool import Pool
from eas_processor.pool.worker import Worker, WorkerSpec
from eas_processor.serving import warmup
from eas_processor.serving.admission import Queue
from eas_processor.serving.lifecycle import Lifecycle, State

T = TypeVar("T")

DRAIN_POLL_S = 0.05

log = structlog.get_logger("service")


class Material(Protocol):
    """What a plan's `fetch` brought together."""

    @property
    def worker(self) -> WorkerSpec:
        """How to start a worker."""

    @property
    def warmup(self) -> list[warmup.WarmupRequest]:
        """What to replay before it may serve."""


class VersionPlan(Protocol):
    """What a version is to be: read by `Version`, made by `serving.plan` and `modelserver.plan`.

    calls_at_once: how many are run at a time, all workers together. queue_calls_max: how many more
    may wait.
    """

    name: str
    processor: str
    workers: int
    calls_at_once: int
    queue_calls_max: int
    warmup_timeout_s: float
    restart_when_dead: bool

    def fetch(self) -> Material:
        """Install the runtime, fetch the model. Slow and blocking; called in a thread."""


class Version:
    """A version of a service. on_change() is called when it becomes ready or stops being so."""

    def __init__(
        self, number: int, plan: VersionPlan, awake: Awake, on_change: Callable[[], None]
    ) -> None:
        self.number = number
        self.plan = plan
        self._awake = awake
        self._on_change = on_change
        self.lifecycle = Lifecycle()
        self.queue = Queue(plan.queue_calls_max)
        self.pool: Pool | None = None
        self.signatures = b""  # a serialised tensorflow.serving.SignatureDefMap, once loaded
        self.runtime: dict[str, str] = {}  # e.g. {"tensorflow": "2.21.0"}, once loaded
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
            words = f"no healthy upstream: {self.plan.name} is {self.why()}"
            call.finish(Answer.error(Code.UNAVAILABLE, words))
            return
        worker = None if self.queue.waiting else pool.least_loaded()
        if worker is not None:
            worker.send(call)
        else:
            # Calls that wait inside a worker for the next run wait, too.
            self.queue.offer(call, max(0, pool.in_flight - self.plan.calls_at_once))

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
                worker.expire(now_s)
            self.pool.tick(now_s)
            self._pump()  # other processes may have left room, of which nobody tells

    # control plane

    def why(self) -> str:
        """The state and its reason, in words."""
        return str(self.lifecycle)

    async def start(self) -> None:
        """Bring the version to READY. Raises ServingError, after moving to FAILED."""
        try:
            self.lifecycle.move(State.FETCHING)
            material = await in_thread(self.plan.fetch)
            self._warmup = material.warmup
            if self.lifecycle.state is State.STOPPED:
                raise StartError("it was stopped before it had started")
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
            if self.lifecycle.state is not State.STOPPED:
                self.lifecycle.move(State.FAILED, error.message)
                self._on_change()
            raise
        self.lifecycle.move(State.READY)
        self._workers_changed()  # one may have died while the others still started
        self._on_change()
        log.info(
            "service ready",
            service=self.plan.name,
            version=self.number,
            workers=len(self.pool.ready),
        )

    async def _prepare(self, worker: Worker) -> None:
        self.signatures, self.runtime = worker.signatures, worker.versions
        if self.lifecycle.state is State.STARTING and self._warmup:
            self.lifecycle.move(State.WARMING)
        await warmup.replay(worker, self._warmup, self.plan.warmup_timeout_s)

    def _workers_changed(self) -> None:
        """A worker joined or left."""
        assert self.pool is not None
        if self.lifecycle.state in (State.READY, State.DEGRADED):
            before = self.lifecycle.state
            if self.pool.ready:
                self.lifecycle.move(State.READY)
            else:
                self.lifecycle.move(State.DEGRADED, self.pool.trouble)
            if self.lifecycle.state is not before:
                self._on_change()
        if not self.pool.ready:
            self.queue.fail(Code.WORKER_LOST, f"no worker left: {self.pool.trouble}")
        self._pump()

    async def retire(self, timeout_s: float) -> None:
        """Take no new calls from the service, finish those that it has, then stop."""
        end_s = time.monotonic() + timeout_s
        if self.lifecycle.state in (State.READY, State.DEGRADED):
            self.lifecycle.move(State.DRAINING)
            self._on_change()
        while self.pool is not None and self.pool.busy and time.monotonic() < end_s:
            await asyncio.sleep(DRAIN_POLL_S)
            self.tick(time.monotonic())  # its service may be nobody's any more
        await self.stop()

    async def stop(self) -> None:
        """End the workers. Whoever wants the calls in flight to finish has waited for them."""
        if self.lifecycle.state in (State.READY, State.DEGRADED):
            self.lifecycle.move(State.DRAINING)
        self.queue.fail(Code.UNAVAILABLE, "the server is stopping")
        if self.pool is not None:
            await self.pool.stop()
        if self.lifecycle.state is not State.STOPPED:
            self.lifecycle.move(State.STOPPED)
        self.queue.fail(Code.UNAVAILABLE, "the server is stopping")  # what came meanwhile

    def kill(self) -> None:
        """End the workers by force, without waiting."""
        if self.pool is not None:
            self.pool.kill()

    def report(self) -> VersionReport:
        """What it is doing, for people; see `observe.report`."""
        pool, state = self.pool, self.lifecycle
        return {
            "number": self.number,
            "state": state.state.name.lower(),
            "words": self.why(),
            "reason": state.reason,
            "since_s": round(time.monotonic() - state.since_s, 1),
            "queue": self.queue.in_all,
            "queue_max": self.queue.calls_max,
            "workers_wanted": self.plan.workers,
            "workers": pool.report() if pool else [],
            "restarts": {loss.value: count for loss, count in pool.losses.items()} if pool else {},
            "runtime": self.runtime,
        }


async def in_thread(work: Callable[[], T]) -> T:
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
