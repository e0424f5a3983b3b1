"""A front's ways to the workers of one version, in the place of a `pool.pool.Pool`."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable

import structlog

from eas_processor.fronts.messages import Hung, LaneState, Lost, Released
from eas_processor.observe.report import WorkerReport
from eas_processor.pool.awake import Awake
from eas_processor.pool.board import Board
from eas_processor.pool.lane import Lane
from eas_processor.pool.loss import Loss

log = structlog.get_logger("fronts")

ID_BITS = 56  # of a call's id; the byte above them is the number of the wall
LOST_TIMEOUT_S = 2.0  # how long to wait for process 1 to say what a worker died of


class FrontLane(Lane):
    """A wall of our own to a worker that process 1 has started."""

    def __init__(
        self, state: LaneState, index: int, on_answers: Callable[[], None], awake: Awake
    ) -> None:
        super().__init__(on_answers, awake, state.least, state.most, (index << ID_BITS) + 1)
        self._state = state
        self.joins = state.joins
        self.number = state.worker
        self.lost_at_s = 0.0

    @property
    def pid(self) -> int:
        """Of the worker's process."""
        return self._state.pid

    async def connect(self, end: socket.socket) -> None:
        """Take the wall."""
        end.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=end)

    def close(self) -> None:
        """End our wall; the worker goes on."""
        self._channel.close()

    def _wall_lost(self, reason: str) -> None:
        super()._wall_lost(reason)
        self.lost_at_s = time.monotonic()


class FrontPool:
    """The lanes of one version. on_change() is called when one joins or leaves.

    send(message): to process 1.
    """

    def __init__(
        self,
        board: Board,
        index: int,
        on_answers: Callable[[], None],
        on_change: Callable[[], None],
        send: Callable[[Released | Hung], None],
        awake: Awake,
    ) -> None:
        self._board = board
        self._index = index
        self._on_answers = on_answers
        self._on_change = on_change
        self._send = send
        self._awake = awake
        self._lanes: dict[int, FrontLane] = {}
        self._leaving: list[FrontLane] = []
        self.hang_timeout_s = 0.0
        self.wanted: set[int] = set()  # the workers that take calls, as process 1 says
        self.losses: Counter[Loss] = Counter()
        self.ready: list[FrontLane] = []
        self.trouble = ""

    @property
    def in_flight(self) -> int:
        """Calls of ours at all workers."""
        return sum(len(lane.calls()) for lane in (*self.ready, *self._leaving))

    @property
    def idle(self) -> bool:
        """Whether no lane is left."""
        return not self._lanes and not self._leaving

    def least_loaded(self) -> FrontLane | None:
        """The worker with most room, or None if none has any."""
        ready = self.ready
        if len(ready) == 1:
            return ready[0] if ready[0].room > 0 else None
        best = max(ready, key=lambda lane: lane.room, default=None)
        return best if best is not None and best.room > 0 else None

    def report(self) -> list[WorkerReport]:
        """Process 1 reports of all."""
        return []

    # what process 1 tells

    async def join(self, state: LaneState, end: socket.socket) -> None:
        """A wall has been handed over, to a worker that takes calls."""
        lane = FrontLane(state, self._index, self._on_answers, self._awake)
        lane.share(self._board.row(state.row))
        self._lanes[state.worker] = lane
        try:
            await lane.connect(end)
        except OSError as error:
            log.warning("a worker is not reached", pid=state.pid, reason=str(error))
            end.close()
            self._lanes.pop(state.worker, None)
            self._send(Released(state.worker))  # then it comes again
            return
        if self._lanes.get(state.worker) is lane:
            self.ready.append(lane)
            self._on_change()
        else:
            lane.close()

    def leave_others(self) -> bool:
        """No more calls to workers not in `wanted`; their walls end with what is in flight.

        Whether there were any.
        """
        others = self._lanes.keys() - self.wanted
        for number in others:
            lane = self._lanes.pop(number)
            if lane in self.ready:
                self.ready.remove(lane)
            self._leaving.append(lane)
        self._release()
        return bool(others)

    def lost(self, lost: Lost) -> None:
        """A worker has ended: answer what it held."""
        lanes = [*self._lanes.values(), *self._leaving]
        for lane in (lane for lane in lanes if lane.number == lost.worker):
            self._drop(lane, f"the worker {lost.reason} while it held this call")

    def _drop(self, lane: FrontLane, reason: str) -> None:
        self._lanes.pop(lane.number, None)
        if lane in self._leaving:
            self._leaving.remove(lane)
        was_ready = lane in self.ready
        if was_ready:
            self.ready.remove(lane)
        lane.fail_calls(reason)
        lane.close()
        if was_ready:
            self._on_change()

    def _release(self) -> None:
        for lane in [lane for lane in self._leaving if not lane.calls()]:
            self._leaving.remove(lane)
            lane.close()
            self._send(Released(lane.number))

    # time

    def tick(self, now_s: float) -> None:
        """End what took too long, tell of workers that hang; called a few times a second."""
        for lane in self._leaving:
            lane.expire(now_s)
        for lane in (*self.ready, *self._leaving):
            overdue_s = max((now_s - call.deadline_s for call in lane.calls()), default=0.0)
            if overdue_s > self.hang_timeout_s:
                words = f"gave no answer {self.hang_timeout_s:g} s past a request's deadline"
                self._send(Hung(lane.number, words))
            if lane.lost_at_s and now_s > lane.lost_at_s + LOST_TIMEOUT_S:
                self._drop(lane, "the worker is gone")
                self._send(Released(lane.number))
        self._release()
