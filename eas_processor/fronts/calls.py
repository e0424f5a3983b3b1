"""gRPC calls that came to a front and are answered by process 1: what runs no model, or one that
this front does not know.

in a front:    CallRelay.method(path) → Call → …
in process 1:  … → Calls.ask → the method of that path → Returned → …
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import structlog

from eas_processor.errors import Code, ServingError
from eas_processor.fronts.messages import Call, Forgotten, Returned, plain
from eas_processor.http2.heads import Head
from eas_processor.rpc.context import Context
from eas_processor.rpc.dispatch import Method, Methods, Unary
from eas_processor.rpc.status import internal

log = structlog.get_logger("fronts")


class CallRelay:
    """send(message): to process 1. numbers: never given to two questions."""

    def __init__(self, send: Callable[[Call | Forgotten], None], numbers: Iterator[int]) -> None:
        self._send = send
        self._numbers = numbers
        self._waiting: dict[int, asyncio.Future[Returned]] = {}

    def method(self, path: bytes) -> Method:
        """What answers calls of that path. Raises ServingError, as process 1 does."""

        async def answer(body: bytes, context: Context) -> bytes:
            number = next(self._numbers)
            waiting = asyncio.get_running_loop().create_future()
            self._waiting[number] = waiting
            fields, deadline_s = list(context.fields), context.deadline_s
            self._send(Call(number, path, body, fields, deadline_s, context.peername))
            try:
                returned: Returned = await waiting
            except asyncio.CancelledError:
                self._send(Forgotten(number))
                raise
            finally:
                del self._waiting[number]
            if returned.code != Code.OK:
                raise ServingError(Code(returned.code), returned.message)
            return returned.body

        return answer

    def returned(self, returned: Returned) -> None:
        """Process 1 has answered."""
        waiting = self._waiting.get(returned.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(returned)


class Calls:
    """The calls of one front that are not answered yet. send(answer): to that front."""

    def __init__(self, methods: Methods, send: Callable[[Returned], None]) -> None:
        self._methods = methods
        self._send = send
        self._open: dict[int, asyncio.Task[None]] = {}

    def ask(self, call: Call) -> None:
        """Let the host's own method answer."""
        task = self._open[call.number] = asyncio.ensure_future(self._answer(call))
        task.add_done_callback(lambda _: self._open.pop(call.number, None))

    def forget(self, number: int) -> None:
        """The client of one has left."""
        task = self._open.pop(number, None)
        if task is not None:
            task.cancel()

    def forget_all(self) -> None:
        """The front has ended."""
        for number in tuple(self._open):
            self.forget(number)

    async def _answer(self, call: Call) -> None:
        method = self._methods.get(call.path)
        context = Context(
            Head(b"POST", call.path, tuple(call.fields), None),
            lambda side: call.peer,
            call.deadline_s,
        )
        try:
            if not isinstance(method, Unary):
                raise ServingError(Code.UNIMPLEMENTED, "Method not found!")
            returned = Returned(call.number, Code.OK, "", await method.answer(call.body, context))
        except ServingError as error:
            returned = Returned(call.number, error.code, plain(error.message), b"")
        except asyncio.CancelledError:
            if call.number not in self._open:  # nobody waits for it
                raise
            returned = Returned(call.number, Code.CANCELLED, "the server ends", b"")
        except Exception:
            log.exception("a call failed", path=call.path.decode("latin-1"))
            failure = internal()
            returned = Returned(call.number, failure.code, failure.message, b"")
        self._send(returned)
