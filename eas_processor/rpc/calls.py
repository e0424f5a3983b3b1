"""One gRPC request, from its arrival to its answer: runs it, and counts it once it is over.

GrpcServer → what Answering made → the method, with a Request → Request.run → Service.submit
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from eas_processor.errors import Code, ServingError
from eas_processor.observe.exchange import Exchange, Watcher
from eas_processor.observe.metrics import Metrics
from eas_processor.observe.series import Series
from eas_processor.pool.bodies import SharedBody
from eas_processor.pool.call import Answer, Call
from eas_processor.rpc.context import Context
from eas_processor.rpc.dispatch import Method
from eas_processor.rpc.routes import Route
from eas_processor.rpc.status import DIALECT, internal
from eas_processor.serving.service import is_for_others
from eas_processor.worker.frames import Kind

PREDICT = int(Kind.PREDICT)
KNOWN_CODES = frozenset(int(code) for code in Code)

log = structlog.get_logger("grpc")


class GrpcCall(Call):
    """A call whose answer a coroutine awaits."""

    def __init__(
        self, body: bytes | SharedBody, deadline_s: float, flags: int = 0, kind: int = PREDICT
    ) -> None:
        super().__init__(kind, body, deadline_s, flags)
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def reply(self, answer: Answer) -> None:
        """Wake who waits, if it still does."""
        if not self.answer.done():
            self.answer.set_result(answer)


class Request:
    """What a method is given: the message, serialised, and the call's context.

    series: where it is counted. queue_s, run_us, batch: of its run, 0 if there was none.
    """

    __slots__ = ("batch", "body", "context", "queue_s", "route", "run_us", "series", "started_s")

    def __init__(self, body: bytes, context: Context, series: Series) -> None:
        self.body = body
        self.context = context
        self.series = series
        self.route: Route | None = None
        self.started_s = time.monotonic()
        self.queue_s = 0.0
        self.run_us = 0
        self.batch = 0

    def goes_to(self, route: Route) -> None:
        """It has been found out who is asked."""
        self.route = route
        self.series = route.series

    async def run(self, body: bytes | SharedBody, timeout_s: float | None, flags: int = 0) -> bytes:
        """The version's answer to a PredictRequest. Raises ServingError.

        timeout_s: for a client that sets no deadline; None: the service's own.
        """
        call = self._submit(body, self.deadline_s(timeout_s), flags)
        try:
            return self._result(call, await call.answer)
        except asyncio.CancelledError:
            self._abandon(call)
            raise

    async def run_all(
        self, bodies: Sequence[bytes], timeout_s: float | None, flags: int = 0
    ) -> list[bytes]:
        """The same for several that run side by side; the first that fails fails all."""
        deadline_s = self.deadline_s(timeout_s)
        calls = [self._submit(body, deadline_s, flags) for body in bodies]
        try:
            return [self._result(call, await call.answer) for call in calls]
        finally:
            for call in calls:
                self._abandon(call)

    def deadline_s(self, timeout_s: float | None) -> float:
        """When it must be answered, on time.monotonic(). timeout_s: see `run`."""
        left_s = self.context.time_remaining()
        if left_s is not None:
            return time.monotonic() + left_s
        if timeout_s is None:
            timeout_s = self.route.service.request_timeout_s if self.route else math.inf
        return self.started_s + timeout_s

    def _submit(self, body: bytes | SharedBody, deadline_s: float, flags: int) -> GrpcCall:
        assert self.route is not None
        call = GrpcCall(body, deadline_s, flags)
        self.route.service.submit(call, self.route.version)
        return call

    def _result(self, call: GrpcCall, answer: Answer) -> bytes:
        code, _, body, run_us, batch = answer
        if call.queued_s:
            self.queue_s = max(self.queue_s, call.queue_s(time.monotonic()))
        if run_us > self.run_us:
            self.run_us = run_us
        self.batch = batch
        if code != Code.OK:
            known = Code(code) if code in KNOWN_CODES else Code.UNKNOWN
            raise ServingError(known, body.decode("utf-8", "replace"))
        return body

    def _abandon(self, call: GrpcCall) -> None:
        """Nobody waits for it any more: its place is free."""
        if call.answered:
            return
        call.answered = True
        if call.queued_s:
            self.queue_s = call.queue_s(time.monotonic())
        if not call.sent_s:
            assert self.route is not None
            self.route.service.abandoned(call)


Handler = Callable[[Request], Awaitable[bytes]]

# A client's deadline began to run when it sent the call: what it cancels then may come before ours.
TRANSIT_S = 0.1


class Answering:
    """What every method has around it: errors become gRPC's, and each request is counted.

    elsewhere(path): who answers, and counts, requests to what is not known here; None: they are
    refused.
    """

    def __init__(
        self,
        metrics: Metrics,
        watchers: tuple[Watcher, ...] = (),
        elsewhere: Callable[[bytes], Method] | None = None,
    ) -> None:
        self._metrics = metrics
        self._watchers = watchers
        self._elsewhere = elsewhere

    def method(self, service: str, name: str, handler: Handler) -> Method:
        """The method of a service, as a server wants it."""
        path = f"/{service}/{name}"
        unrouted = self._metrics.series("", "", DIALECT, name)
        elsewhere = self._elsewhere(path.encode()) if self._elsewhere else None

        async def answer(body: bytes, context: Context) -> bytes:
            request = Request(body, context, unrouted)
            try:
                response = await handler(request)
            except ServingError as error:
                if elsewhere is not None and is_for_others(error, len(body)):
                    return await elsewhere(body, context)
                self._over(path, request, error.code, 0)
                raise
            except asyncio.CancelledError:  # by the client, by its deadline, or at our end
                left_s = context.time_remaining()
                late = left_s is not None and left_s < TRANSIT_S
                code = Code.DEADLINE_EXCEEDED if late else Code.CANCELLED
                self._over(path, request, code, 0)
                raise
            except Exception:
                log.exception("a call failed", path=path)
                self._over(path, request, Code.INTERNAL, 0)
                raise internal() from None
            self._over(path, request, Code.OK, len(response))
            return response

        return answer

    def _over(self, path: str, request: Request, code: int, bytes_out: int) -> None:
        now_s = time.monotonic()
        series, queue_s, run_us = request.series, request.queue_s, request.run_us
        series.observe(code, now_s - request.started_s, queue_s, run_us, request.batch)
        if not self._watchers:
            return
        metadata = dict(request.context.metadata())
        key = series.key
        exchange = Exchange(
            "gRPC", path, str(DIALECT.shown[code]), len(request.body), bytes_out,
            request.started_s, now_s, request.context.client_address(),
            str(metadata.get("x-request-id", "")), str(metadata.get("traceparent", "")),
            key.service, key.version, DIALECT.name, queue_s, run_us,
        )  # fmt: skip
        for watch in self._watchers:
            watch(exchange)
