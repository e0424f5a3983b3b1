"""The workers of one loaded model version: started together, replaced when they die."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

from eas_processor.errors import ServingError, StartError
from eas_processor.observe import memory
from eas_processor.observe.report import WorkerReport
from eas_processor.pool.awake import Awake
from eas_processor.pool.loss import Loss
from eas_processor.pool.worker import Worker, WorkerSpec

RESTART_DELAY_S_MIN = 0.1
RESTART_DELAY_S_MAX = 30.0
STABLE_AFTER_S = 60.0  # a worker that lived so long starts the count of failures anew
MEMORY_EVERY_S = 1.0
MEMORY_KILL_FACTOR = 1.5  # a worker so far over its limit is not waited for
DRAIN_POLL_S = 0.05

LEFT_DOWN = "it stays down (runtime.enable_crash_block) until `eas-processor reload`"

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
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._joined_at: dict[Worker, float] = {}
        self._stopping = False
        self._started: list[Worker] = []
        self._memory_at_s = 0.0
        self._memory_max = spec.memory_bytes_max  # None as well once it proves too low
        self._replaced: Worker | None = None  # one that serves on until another has its place
        self.restart_when_dead = True
        self.losses: Counter[Loss] = Counter()
        self.ready: list[Worker] = []
        self.trouble = ""  # why workers are missing, in words

    @property
    def in_flight(self) -> int:
        """Calls at all workers."""
        return sum(worker.in_flight for worker in self._started)

    def least_loaded(self) -> Worker | None:
        """The worker whose window is least full, or None if none has room."""
        ready = self.ready
        if len(ready) == 1:
            return ready[0] if ready[0].room > 0 else None
        best = min(ready, key=lambda worker: worker.fullness, default=None)
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

    @property
    def busy(self) -> bool:
        """Whether calls are at a worker, or another process might still send it some."""
        return any(worker.busy for worker in self._started)

    async def stop(self) -> None:
        """End all workers."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        workers, self._started = self._started, []
        self.ready.clear()
        await asyncio.gather(*(worker.stop() for worker in workers))

    def kill(self) -> None:
        """End all workers by force, without waiting."""
        self._stopping = True
        for worker in self._started:
            worker.kill()

    def report(self) -> list[WorkerReport]:
        """What each worker is doing, for people."""
        return [
            {
                "pid": worker.pid,
                "state": "ready" if worker in self.ready else self._other_state(worker),
                "in_flight": worker.in_flight,
                "memory_bytes": memory.resident_bytes(worker.pid) if worker.pid else None,
            }
            for worker in self._started
        ]

    def _other_state(self, worker: Worker) -> str:
        return "stopping" if worker in self._joined_at else "starting"

    # supervision

    def tick(self, now_s: float) -> None:
        """End workers that hang or hold too much memory; called a few times a second.

        Calls at those who leave end in time, too; the others' calls are whoever's who sent them.
        """
        for worker in self._started:
            if worker not in self.ready:
                worker.expire(now_s)
        patience_s = self._spec.limits.worker_hang_timeout_s
        for worker in tuple(self.ready):
            overdue_s = max((now_s - call.deadline_s for call in worker.calls()), default=0.0)
            if overdue_s > patience_s:
                worker.kill(Loss.HANG, f"gave no answer {patience_s:g} s past a request's deadline")
        if self._memory_max is not None and now_s - self._memory_at_s > MEMORY_EVERY_S:
            self._memory_at_s = now_s
            for worker in tuple(self.ready):
                self._check_memory(worker, self._memory_max)

    def _check_memory(self, worker: Worker, limit: int) -> None:
        used = memory.resident_bytes(worker.pid) or 0
        if used <= limit:
            return
        words = f"holds {used >> 20} MB, over metadata.memory ({limit >> 20} MB)"
        if used > limit * MEMORY_KILL_FACTOR:
            worker.kill(Loss.MEMORY, words)
            return
        if self._replaced is not None:
            return  # one after another
        log.warning("replacing a worker", service=self._spec.service, pid=worker.pid, reason=words)
        self.losses[Loss.MEMORY] += 1
        self._replaced = worker
        self._spawn(self._replace(worker))

    async def _replace(self, old: Worker) -> None:
        """A new worker beside the old one, which then finishes what it has and ends."""
        try:
            await self._start_one()
        except Exception as error:
            log.error("no replacement", service=self._spec.service, reason=str(error))
            await asyncio.sleep(restart_delay_s(self._failures + 1))
            if old in self.ready:
                self._failures += 1
            else:  # it has died meanwhile
                self._note_failure(Loss.START, f"a new worker could not start: {error}")
                self._on_change()
        else:
            if old in self.ready:
                self.ready.remove(old)
            end_s = time.monotonic() + self._spec.limits.worker_retire_timeout_s
            while old.busy and time.monotonic() < end_s:
                await asyncio.sleep(DRAIN_POLL_S)
            self._forget(old)
            await old.stop()
        self._replaced = None

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_one(self) -> Worker:
        worker = Worker(self._spec, self._on_answers, self._worker_exited, self._awake)
        self._started.append(worker)
        try:
            await worker.start()
            await self._prepare(worker)
            if self._stopping:  # the cancellation may have come too late to be seen
                raise StartError("the workers are being ended")
        except BaseException:
            self._forget(worker)
            await worker.stop()
            raise
        if worker.exit_reason:  # it died between its last answer and now
            self._forget(worker)
            raise StartError(f"the worker {worker.exit_reason}")
        self._check_floor(worker)
        self._joined_at[worker] = time.monotonic()
        self.ready.append(worker)
        self.trouble = ""
        self._on_change()
        return worker

    def _check_floor(self, new: Worker) -> None:
        used = memory.resident_bytes(new.pid) or 0
        if self._memory_max is not None and used > self._memory_max:
            self._memory_max = None  # else every worker would be replaced again and again
            log.error(
                "a new worker is over metadata.memory already: the limit is given up",
                service=self._spec.service,
                memory_mb=used >> 20,
            )

    def _forget(self, worker: Worker) -> None:
        self._joined_at.pop(worker, None)
        if worker in self._started:
            self._started.remove(worker)
        if worker in self.ready:
            self.ready.remove(worker)

    def _worker_exited(self, worker: Worker) -> None:
        """A worker ended that nobody had asked to."""
        in_rotation = worker in self.ready
        joined_at = self._joined_at.get(worker)
        self._forget(worker)
        if not in_rotation or self._stopping:
            return  # still starting: start() itself raises; or being replaced
        if time.monotonic() - (joined_at or 0.0) > STABLE_AFTER_S:
            self._failures = 0
        loss, trouble = worker.loss or Loss.EXIT, f"worker {worker.pid} {worker.exit_reason}"
        self._note_failure(loss, trouble, restart=worker is not self._replaced)
        self._on_change()

    def _note_failure(self, loss: Loss, trouble: str, restart: bool = True) -> None:
        if self._stopping:
            return
        self._failures += 1
        self.losses[loss] += 1
        self.trouble = trouble
        fields = {"service": self._spec.service, "loss": loss.value, "reason": trouble}
        if not self.restart_when_dead:
            log.error("worker lost, not restarted", **fields)
            self.trouble = f"{trouble}; {LEFT_DOWN}"
            return
        if not restart:
            log.error("worker lost, another is about to take its place", **fields)
            return
        delay_s = restart_delay_s(self._failures)
        log.error("worker lost", **fields, restart_in_s=delay_s)
        self._spawn(self._restart(delay_s))

    async def _restart(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            await self._start_one()
        except Exception as error:  # whatever it was: giving up would be for good
            if not isinstance(error, ServingError):
                log.exception("restart failed", service=self._spec.service)
            self._note_failure(Loss.START, f"a new worker could not start: {error}")
            self._on_change()
