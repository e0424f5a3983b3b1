"""Who may go on: the rate of a service, its bounded queue, the end of those who waited too long."""

from __future__ import annotations

import contextlib
import time
from collections import deque

from eas_processor.errors import Code
from eas_processor.pool.board import Row
from eas_processor.pool.call import Answer, Call, expire


class RateLimit:
    """A token bucket: so many requests a second, a second's worth of them at once.

    row: how many each process has let through, where several share the limit.
    """

    def __init__(self, requests_per_s: int, row: Row | None = None) -> None:
        self.requests_per_s = requests_per_s
        self._tokens = float(requests_per_s)
        self._at_s = 0.0
        self._let_through = 0
        self._others = 0
        self.row: Row | None = None
        if row is not None:
            self.share(row)

    def share(self, row: Row) -> None:
        """From now on what other processes let through counts, too."""
        self.row = row
        self._others = row.others()
        row.show(self._let_through)

    def allows(self, now_s: float) -> bool:
        """Whether one more request may go on; counts it if so."""
        self.settle(now_s)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        if self.row is not None:
            self._let_through += 1
            self.row.show(self._let_through)
        return True

    def settle(self, now_s: float) -> None:
        """Reckon up to now; where it is shared, to be called a few times a second."""
        gained = (now_s - self._at_s) * self.requests_per_s
        self._at_s = now_s
        if self.row is not None:
            others = self.row.others()
            gained -= max(0, others - self._others)  # one that ended no longer counts
            self._others = others
        self._tokens = min(float(self.requests_per_s), self._tokens + gained)


class Queue:
    """Calls in order of arrival, at most `calls_max` of them (EAS: `rpc.max_queue_size`).

    row: how many wait in each process, where several share the bound.
    """

    def __init__(self, calls_max: int) -> None:
        self.calls_max = calls_max
        self.waiting: deque[Call] = deque()
        self.row: Row | None = None

    def share(self, row: Row) -> None:
        """From now on those who wait in other processes count, too."""
        self.row = row
        self._show()

    @property
    def in_all(self) -> int:
        """How many wait, whichever process they came to."""
        return len(self.waiting) + (self.row.others() if self.row else 0)

    def _show(self) -> None:
        if self.row is not None:
            self.row.show(len(self.waiting))

    def offer(self, call: Call, elsewhere: int = 0) -> None:
        """Let a call wait, or answer it that the queue is full. elsewhere: how many wait there."""
        if self.in_all + elsewhere < self.calls_max:
            call.queued_s = time.monotonic()
            self.waiting.append(call)
            self._show()
        else:
            call.finish(
                Answer.error(
                    Code.QUEUE_FULL,
                    f"the waiting queue is full ({self.calls_max} requests); try again later",
                )
            )

    def take(self) -> Call | None:
        """The next call that is still wanted; those already answered are passed over."""
        while self.waiting:
            call = self.waiting.popleft()
            self._show()
            if not call.answered:
                return call
        return None

    def drop(self, call: Call) -> None:
        """Its caller has left: the place is free for another."""
        with contextlib.suppress(ValueError):
            self.waiting.remove(call)
            self._show()

    def expire(self, now_s: float) -> None:
        """Answer the waiting calls whose deadline has passed, and drop those already answered."""
        for call in tuple(self.waiting):  # an answer may close a connection, and drop its others
            expire(call, now_s)
        kept = [call for call in self.waiting if not call.answered]
        if len(kept) != len(self.waiting):
            self.waiting = deque(kept)
            self._show()

    def fail(self, code: Code, message: str) -> None:
        """Answer all that wait with an error."""
        calls, self.waiting = self.waiting, deque()
        self._show()
        answer = Answer.error(code, message)
        for call in calls:
            call.finish(answer)
