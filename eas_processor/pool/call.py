"""One call on its way to a worker and back."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from eas_processor.errors import TOO_LATE, Code
from eas_processor.pool.bodies import SharedBody
from eas_processor.worker.frames import Content, Kind


class Answer(NamedTuple):
    """What came of a call: a processor's answer, or an error's text if `code` is not OK.

    run_us: how long the processor ran, in microseconds; 0 if it did not. batch: how many calls that
    run answered.
    """

    code: int
    content: int
    body: bytes
    run_us: int = 0
    batch: int = 0

    @classmethod
    def error(cls, code: Code, message: str) -> Answer:
        """An answer that says why there is none."""
        return cls(code, Content.TEXT, message.encode())


class Call:
    """A request for a processor. Each dialect derives its own, which knows how to answer.

    kind: PROCESS, DESCRIBE or PREDICT. deadline_s: on `time.monotonic()`; work past it is answered
    at once. flags: of the frame, see `worker.frames`. queued_s, sent_s: when it had to wait, and
    when it crossed the wall; 0 if it did not.
    """

    # What most calls leave as it is. No slots: so these cost a call nothing.
    answered = False
    queued_s = 0.0
    sent_s = 0.0

    def __init__(
        self, kind: int, body: bytes | SharedBody, deadline_s: float, flags: int = 0
    ) -> None:
        self.kind = kind
        self.body = body
        self.deadline_s = deadline_s
        self.flags = flags

    def queue_s(self, now_s: float) -> float:
        """How long it waited for a worker, until now at the most."""
        return (self.sent_s or now_s) - self.queued_s if self.queued_s else 0.0

    def finish(self, answer: Answer) -> None:
        """Give the caller the answer; only the first one counts."""
        if not self.answered:
            self.answered = True
            self.reply(answer)

    def reply(self, answer: Answer) -> None:
        """Translate the answer out. Called once, on the event loop; must not block."""
        raise NotImplementedError


def expire(call: Call, now_s: float) -> bool:
    """Answer the call if its deadline has passed; whether it is answered now."""
    if not call.answered and call.deadline_s <= now_s:
        call.finish(Answer.error(Code.DEADLINE_EXCEEDED, TOO_LATE))
    return call.answered


class AwaitedCall(Call):
    """A call from inside the host, whose answer is awaited: warm-up, the command line."""

    def __init__(self, kind: Kind, body: bytes, timeout_s: float, flags: int = 0) -> None:
        super().__init__(kind, body, time.monotonic() + timeout_s, flags)
        self._timeout_s = timeout_s
        self._future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def reply(self, answer: Answer) -> None:
        """Wake who waits, if it still does."""
        if not self._future.done():
            self._future.set_result(answer)

    async def wait(self) -> Answer:
        """The answer; an error if it does not come in time."""
        try:
            return await asyncio.wait_for(self._future, self._timeout_s)
        except TimeoutError:
            self.answered = True
            return Answer.error(Code.DEADLINE_EXCEEDED, f"no answer within {self._timeout_s:g} s")
