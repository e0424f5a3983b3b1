"""The workers of one loaded model version: started together, replaced when they die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from eas_processor.errors import ServingError, StartError
from eas_processor.pool.awake import Awake
from eas_processor.pool.worker import Worker, WorkerSpec

RESTART_DELAY_S_MIN = 0.1
RESTART_DELAY_S_MAX = 30.0
STABLE_AFTER_S = 60.0  # a worker that lived so long starts the count of failures anew

log = structlog.get_logger("pool")


def restart_delay_s(failures: int) -> float:
    """How long to wait before the next start after so many failures in a row (≥ 1)."""
    return min(RESTART_DELAY_S_MAX, RESTART_DELAY_S_MIN * 2.0 ** min(failures - 1, 30))


class Pool:
    """A fixed number of workers, each in rotation only once it is loaded and prepared.

    prepare(worker) is awaited before a worker joins the rotation, at the first start and after each
    restart: the warm-up. on_change() is called when a worker joins or leaves, on_answers() when
    answers have come and there may be room for more calls.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        size: int,
        prepare: Callable[[Worker], Awaitable[None]],
        on_answers: Callable[[], None],
        on_change: Callable[[], None],
        awake: Awake,
    ) -> None:
        self._spec = spec
        self._size = size
        self._prepare = prepare
        self._on_answers = on_answers
        self._on_change = on_change
        self._awake = awake
        self._restarts: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._joined_at: dict[Worker, float] = {}
        self._stopping = False
        self._started: list[Worker] = []
        self.restart_when_dead = True
        self.restarts_total = 0
        self.ready: list[Worker] = []
        self.trouble = ""  # why workers are missing, in words

    @property
    def in_flight(self) -> int:
        """Calls at all workers."""
        return sum(worker.in_flight for worker in self.ready)

    def least_loaded(self) -> Worker | None:
        """The worker with most room, or None if none has any."""
        ready = self.ready
        if len(ready) == 1:
            return ready[0] if ready[0].room > 0 else None
        best = max(ready, key=lambda worker: worker.room, default=None)
        return best if best is not None and best.room > 0 else None

    async def start(self) -> None:
        """Start all workers; raises what the first failure raises, leaving nothing behind."""
        tasks = [asyncio.create_task(self._start_one()) for _ in range(self._size)]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for task in self._restarts:
            task.cancel()
        workers, self._started = self._started, []
        self.ready.clear()
        await asyncio.gather(*(worker.stop() for worker in workers))

    def kill(self) -> None:
        """End all workers by force, without waiting."""
        self._stopping = True
        for worker in self._started:
            worker.kill()

    async def _start_one(self) -> None:
        worker = Worker(self._spec, self._on_answers, self._worker_exited, self._awake)
        self._started.append(worker)
        try:
            await worker.start()
            await self._prepare(worker)
        except BaseException:
            self._forget(worker)
            await worker.stop()
            raise
        if worker.exit_reason:  # it died between its last answer and now
            self._forget(worker)
            raise StartError(f"the worker {worker.exit_reason}")
        self._joined_at[worker] = time.monotonic()
        self.ready.append(worker)
        self.trouble = ""
        self._on_change()

    def _forget(self, worker: Worker) -> None:
        if worker in self._started:
            self._started.remove(worker)
        if worker in self.ready:
            self.ready.remove(worker)

    def _worker_exited(self, worker: Worker) -> None:
        """A worker ended that nobody had asked to."""
        in_rotation = worker in self.ready
        self._forget(worker)
        if not in_rotation or self._stopping:
            return  # still starting: start() itself raises
        if time.monotonic() - self._joined_at.pop(worker) > STABLE_AFTER_S:
            self._failures = 0
        self._note_failure(f"worker {worker.pid} {worker.exit_reason}")
        self._on_change()

    def _note_failure(self, trouble: str) -> None:
        self._failures += 1
        self.trouble = trouble
        if not self.restart_when_dead:
            log.error("worker lost, not restarted", service=self._spec.service, reason=trouble)
            return
        delay_s = restart_delay_s(self._failures)
        log.error("worker lost", service=self._spec.service, reason=trouble, restart_in_s=delay_s)
        task = asyncio.create_task(self._restart(delay_s))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _restart(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        self.restarts_total += 1
        try:
            await self._start_one()
        except Exception as error:  # whatever it was: giving up would be for good
            if not isinstance(error, ServingError):
                log.exception("restart failed", service=self._spec.service)
            self._note_failure(f"a new worker could not start: {error}")
            self._on_change()
