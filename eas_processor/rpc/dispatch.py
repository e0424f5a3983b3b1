"""From a whole request on a stream to the method that it names, and its answer back.

Methods take and give serialised messages: nothing is parsed that need not be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import structlog

from eas_processor.errors import Code, ServingError
from eas_processor.http2.heads import Head
from eas_processor.http2.outlet import Stream
from eas_processor.rpc import status, wire
from eas_processor.rpc.context import Context

DEADLINE_S_MAX = 30 * 24 * 3600.0  # a later one is none
INLINE_BYTES_MAX = 16 * 1024  # a longer compressed message is unpacked in a thread
UNPACKED_BYTES_MAX = 256 << 20  # of a compressed message: a few bytes can become very many
LATE = "Deadline Exceeded"

Method = Callable[[bytes, Context], Awaitable[bytes]]
StreamMethod = Callable[[bytes, Context], AsyncIterator[bytes]]

log = structlog.get_logger("grpc")


class Unary(NamedTuple):
    """A method that takes a message and gives one."""

    answer: Method


class Streaming(NamedTuple):
    """A method that takes a message and gives several."""

    answers: StreamMethod


Methods = dict[bytes, Unary | Streaming]  # by path


def unary(service: str, methods: Mapping[str, Method]) -> Methods:
    """A service whose methods take one message and give one."""
    return {f"/{service}/{name}".encode(): Unary(method) for name, method in methods.items()}


class Asked(NamedTuple):
    """What a head asks for. form: of compressed messages."""

    method: Unary | Streaming
    timeout_s: float | None
    form: str


class Dispatcher:
    """The application of gRPC's connections. answer_bytes_max: of a message."""

    def __init__(self, methods: Methods, body_bytes_max: int, answer_bytes_max: int) -> None:
        self.body_bytes_max = body_bytes_max + wire.PREFIX_BYTES
        self._methods = methods
        self._message_bytes_max = body_bytes_max
        self._answer_bytes_max = answer_bytes_max
        self._unpacked_bytes_max = min(body_bytes_max, UNPACKED_BYTES_MAX)
        self._loop = asyncio.get_running_loop()

    def whole(self, stream: Stream, peer: Callable[[str], Any]) -> None:
        """Run what a request asks for, in a task that ends with its stream."""
        head = stream.head
        if head.meaning is None:
            head.meaning = self._asked(head)
        asked = head.meaning
        if isinstance(asked, bytes):
            stream.send(b"", b"", asked)
            return
        method, timeout_s, _ = asked
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        context = Context(head, peer, deadline_s)
        run = self._answer if isinstance(method, Unary) else self._stream
        stream.on_reset = self._loop.create_task(run(stream, asked, context)).cancel

    def too_large(self, stream: Stream) -> None:
        """A body that is not taken."""
        size = wire.promised(stream.parts[0])
        _refuse(stream, wire.too_large(size, self._message_bytes_max))

    def too_slow(self, stream: Stream) -> None:
        """A body that does not come."""
        _refuse(stream, ServingError(Code.DEADLINE_EXCEEDED, "the request did not come in time"))

    def _asked(self, head: Head) -> Asked | bytes:
        """What a head asks for, or the block that refuses it."""
        kind = head.get(b"content-type") or b""
        if kind.partition(b";")[0].partition(b"+")[0] != b"application/grpc":
            return wire.NO_GRPC
        method = self._methods.get(head.path) if head.method == b"POST" else None
        try:
            if method is None:
                raise ServingError(Code.UNIMPLEMENTED, "Method not found!")
            timeout_s = wire.timeout_s(head.get(b"grpc-timeout"))
            if timeout_s is not None and timeout_s > DEADLINE_S_MAX:
                timeout_s = None
            return Asked(method, timeout_s, wire.form(head.get(b"grpc-encoding")))
        except ServingError as error:
            return _told(error)

    def _end_at_deadline(self, stream: Stream, context: Context) -> asyncio.TimerHandle | None:
        """To be called by the call's own task: one that has not begun would never be told."""
        left_s = context.time_remaining()
        return None if left_s is None else self._loop.call_later(left_s, _late, stream, context)

    async def _answer(self, stream: Stream, asked: Asked, context: Context) -> None:
        assert isinstance(asked.method, Unary)
        timer = self._end_at_deadline(stream, context)
        try:
            body = await self._message(stream, asked)
            response = await asked.method.answer(body, context)
            if len(response) > self._answer_bytes_max:
                raise wire.too_large(len(response), self._answer_bytes_max, "Sent")
            stream.send(wire.HEAD, wire.framed(response), wire.OK)
        except (Exception, asyncio.CancelledError) as error:
            _refuse(stream, _why(error, stream, context))
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            if timer is not None:
                timer.cancel()

    async def _stream(self, stream: Stream, asked: Asked, context: Context) -> None:
        assert isinstance(asked.method, Streaming)
        timer = self._end_at_deadline(stream, context)
        head = wire.HEAD
        try:
            body = await self._message(stream, asked)
            async for response in asked.method.answers(body, context):
                stream.send(head, wire.framed(response))
                head = b""
            stream.send(b"", b"", head + wire.OK)
        except (Exception, asyncio.CancelledError) as error:
            _refuse(stream, _why(error, stream, context), not head)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            if timer is not None:
                timer.cancel()

    async def _message(self, stream: Stream, asked: Asked) -> bytes:
        """The request's message. What is compressed and long is unpacked in a thread."""
        parts, stream.parts = stream.parts, []
        how = parts, asked.form, self._unpacked_bytes_max
        if not asked.form or stream.received < INLINE_BYTES_MAX:
            return wire.message(*how)
        return await asyncio.to_thread(wire.message, *how)


def _late(stream: Stream, context: Context) -> None:
    context.deadline_s = 0.0  # the timer's clock is a little ahead of time.monotonic()
    if stream.on_reset is not None:
        stream.on_reset()


def _why(error: BaseException, stream: Stream, context: Context) -> ServingError:
    """What is said of a call that ended so."""
    if isinstance(error, ServingError):
        return error
    if not isinstance(error, asyncio.CancelledError):
        log.error("a call failed", path=stream.head.path.decode("latin-1"), exc_info=error)
        return status.internal()
    if context.time_remaining() == 0:
        return ServingError(Code.DEADLINE_EXCEEDED, LATE)
    return ServingError(Code.CANCELLED, "the server ends")


def _told(error: ServingError, has_begun: bool = False) -> bytes:
    return wire.failed(status.status(error.code), status.message(error), not has_begun)


def _refuse(stream: Stream, error: ServingError, has_begun: bool = False) -> None:
    stream.send(b"", b"", _told(error, has_begun))
