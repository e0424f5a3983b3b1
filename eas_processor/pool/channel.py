"""The wall as the host sees it: calls go out as frames, answers come back to their calls.

uvloop gathers what is written in one turn of the loop into one system call, so everything that is
ready crosses the wall together without any code for it here.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from eas_processor.errors import Code
from eas_processor.pool.awake import Awake
from eas_processor.pool.bodies import SharedBody
from eas_processor.pool.call import Answer, Call
from eas_processor.worker.frames import (
    BATCH_SHIFT,
    HEADER,
    PAYLOAD_BYTES_MAX,
    RUN_US_MASK,
    SHARED,
    Content,
    Frame,
    FrameDecoder,
    FrameError,
    Kind,
    encode,
)

ANSWER = int(Kind.ANSWER)
CONTENT_MAX = max(Content)
new_answer = tuple.__new__  # half of what calling Answer costs
CONTROL_FRAMES_MAX = 16  # that nobody has waited for yet
JOIN_BYTES_MAX = 64 * 1024  # a frame up to this is copied into one piece; larger ones are not

log = structlog.get_logger(__name__)


class Channel(asyncio.Protocol):
    """One worker's end of the wall.

    on_answers() is called after each batch of answers, on_lost(reason) once when the wall is gone.
    first_id: of the calls; its top byte is the wall's number, see `worker.walls`.
    """

    def __init__(
        self,
        on_answers: Callable[[], None],
        on_lost: Callable[[str], None],
        awake: Awake,
        first_id: int = 1,
    ) -> None:
        self._on_answers = on_answers
        self._touch = awake.touch
        self._on_lost = on_lost
        self._decoder = FrameDecoder(PAYLOAD_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        # Calls that crossed the wall and have not come back, given up by their callers or not.
        self.in_flight: dict[int, Call] = {}
        self._next_id = first_id
        self._control: asyncio.Queue[Frame] = asyncio.Queue()
        self.run_us_mean = math.inf  # a recent call's part of its run; unknown before the first

    @property
    def is_open(self) -> bool:
        """Whether calls can be sent: the end is known before `on_lost` is told of it."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, call: Call) -> None:
        """Put a call on the wall. Its answer arrives through `call.finish`."""
        transport = self._transport
        if transport is None or transport.is_closing():
            call.finish(Answer.error(Code.WORKER_LOST, "the worker is gone"))
            return
        id = self._next_id
        self._next_id += 1
        self.in_flight[id] = call
        sent, flags = call.body, call.flags
        if isinstance(sent, SharedBody):
            body, flags = sent.place(), flags | SHARED
        else:
            body = sent
        call.sent_s = self._touch()
        header = HEADER.pack(len(body), call.kind, 0, flags, id, int(call.deadline_s * 1e6))
        if len(body) <= JOIN_BYTES_MAX:
            transport.write(header + body)
        else:
            transport.write(header)
            transport.write(body)

    def send_control(self, kind: Kind, message: dict[str, Any]) -> None:
        """Send a frame that is not a call."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(kind, json.dumps(message).encode()))

    async def receive_control(self, timeout_s: float) -> Frame:
        """The next frame that is not an answer. Raises TimeoutError, or ConnectionError at EOF."""
        frame = await asyncio.wait_for(self._control.get(), timeout_s)
        if frame is None:
            self._control.put_nowait(frame)
            raise ConnectionError
        return frame

    def close(self) -> None:
        """Close the wall; the worker ends itself."""
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        # The queue bounds what waits; a high mark keeps large bodies from stuttering.
        transport.set_write_buffer_limits(high=16 * 1024 * 1024)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            self._break(str(error))
            return
        calls = self.in_flight
        for kind, code, content, id, aux, payload in frames:
            if kind != ANSWER:
                if self._control.qsize() >= CONTROL_FRAMES_MAX:
                    self._break("it says more than it is asked")
                    return
                self._control.put_nowait(Frame(kind, code, content, id, aux, payload))
                continue
            if content > CONTENT_MAX:
                self._break(f"an answer of an unknown kind of content, {content}")
                return
            call = calls.pop(id, None)
            if call is None:
                self._break(f"an answer to call {id}, which is not in flight")
                return
            run_us, batch = aux & RUN_US_MASK, aux >> BATCH_SHIFT
            if batch:  # else it did not run
                mean, part = self.run_us_mean, run_us / batch
                self.run_us_mean = part if mean == math.inf else mean + (part - mean) / 16
            if not call.answered:
                try:
                    call.finish(new_answer(Answer, (code, content, payload, run_us, batch)))
                except Exception:  # a caller's trouble must never take the wall down
                    log.exception("answer not delivered")
        self._on_answers()
        self._touch()

    def connection_lost(self, error: Exception | None) -> None:
        reason = str(error) if error else ""
        try:
            self._decoder.close()
        except FrameError as broken:
            reason = str(broken)
        self._control.put_nowait(None)  # type: ignore[arg-type]
        self._on_lost(reason)

    def fail_calls(self, reason: str, unsent: Iterable[Call] = ()) -> None:
        """Answer every call in flight with WORKER_LOST; used once it is known why.

        unsent: calls that were to follow them.
        """
        calls, self.in_flight = self.in_flight, {}
        answer = Answer.error(Code.WORKER_LOST, reason)
        for call in (*calls.values(), *unsent):
            try:
                call.finish(answer)
            except Exception:
                log.exception("answer not delivered")

    def _break(self, reason: str) -> None:
        log.error("worker speaks nonsense", reason=reason)
        if self._transport is not None:
            self._transport.abort()
