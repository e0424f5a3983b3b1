"""What waits for a worker: a bounded queue, and the end of those who waited too long."""

from __future__ import annotations

from collections import deque

from eas_processor.errors import Code
from eas_processor.pool.call import Answer, Call


class Queue:
    """Calls in order of arrival, at most `calls_max` of them (EAS: `rpc.max_queue_size`)."""

    def __init__(self, calls_max: int) -> None:
        self.calls_max = calls_max
        self.waiting: deque[Call] = deque()

    def offer(self, call: Call) -> None:
        """Let a call wait, or answer it that the queue is full."""
        if len(self.waiting) < self.calls_max:
            self.waiting.append(call)
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
            if not call.answered:
                return call
        return None

    def expire(self, now_s: float) -> None:
        """Answer the waiting calls whose deadline has passed, and drop those already answered."""
        kept = [call for call in self.waiting if not expire(call, now_s)]
        if len(kept) != len(self.waiting):
            self.waiting = deque(kept)

    def fail(self, code: Code, message: str) -> None:
        """Answer all that wait with an error."""
        calls, self.waiting = self.waiting, deque()
        answer = Answer.error(code, message)
        for call in calls:
            call.finish(answer)


def expire(call: Call, now_s: float) -> bool:
    """Answer the call if its deadline has passed; whether it is answered now."""
    if not call.answered and call.deadline_s <= now_s:
        call.finish(Answer.error(Code.DEADLINE_EXCEEDED, "the request took too long"))
    return call.answered
