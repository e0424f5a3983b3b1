"""A call that answers an HTTP request: what EAS's and TensorFlow Serving's dialects share."""

from __future__ import annotations

import time

from eas_processor.errors import Code
from eas_processor.http.messages import Request
from eas_processor.observe.series import Series
from eas_processor.pool.bodies import SharedBody
from eas_processor.pool.call import Answer, Call
from eas_processor.serving.service import Service

REFUSALS = {  # what is answered before there is a call, as it is counted
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    404: Code.NOT_FOUND,
    408: Code.DEADLINE_EXCEEDED,
    413: Code.INVALID_ARGUMENT,
    415: Code.INVALID_ARGUMENT,
    431: Code.INVALID_ARGUMENT,
    503: Code.UNAVAILABLE,
}


class HttpCall(Call):
    """A request on its way through a service. The dialect adds `reply`."""

    def __init__(
        self,
        kind: int,
        body: bytes | SharedBody,
        request: Request,
        series: Series,
        service: Service,
        flags: int = 0,
    ) -> None:
        # As Call's, written out: every request pays for it.
        self.kind = kind
        self.body = body
        self.deadline_s = request.deadline_s
        self.flags = flags
        self._request = request
        self._series = series
        self._service = service

    def abandon(self) -> None:
        """The client left: the call gives up its place; what still comes is thrown away."""
        if not self.answered:
            self.answered = True
            self._service.abandoned(self)
            self._observe(Code.CANCELLED, 0, 0)

    def give_way(self) -> None:
        """The client sends no more and has most likely left: the call need not wait for a worker.

        One that runs already is left to end, for a client that does read its answer.
        """
        if not self.sent_s:
            self._service.abandoned(self)
            self.finish(Answer.error(Code.CANCELLED, "the client ended the connection"))

    def _observe(self, code: int, run_us: int, batch: int) -> None:
        request, now_s = self._request, time.monotonic()
        queue_s = self.queue_s(now_s) if self.queued_s else 0.0
        self._series.observe(code, now_s - request.started_s, queue_s, run_us, batch)
        if request.about is not None:
            key = self._series.key
            request.about = (key.service, key.version, key.dialect.name, queue_s, run_us)


def count(request: Request, series: Series, code: int) -> None:
    """Count a request that is answered without a call."""
    series.observe(code, time.monotonic() - request.started_s, 0.0, 0, 0)
    if request.about is not None:
        key = series.key
        request.about = (key.service, key.version, key.dialect.name, 0.0, 0)
