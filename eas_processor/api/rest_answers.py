"""How REST answers: the peer's statuses, its JSON for errors, the headers of CORS; all counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from eas_processor.api import auth
from eas_processor.api.http_call import REFUSALS, count
from eas_processor.codec import rest
from eas_processor.errors import Code, ServingError
from eas_processor.http.messages import JSON, Headers, Request
from eas_processor.observe.metrics import Metrics
from eas_processor.observe.series import Dialect, Series
from eas_processor.serving.service import is_for_others

STATUSES: dict[int, int] = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
    Code.QUEUE_FULL: 503,
    Code.RATE_LIMITED: 429,
    Code.WORKER_LOST: 503,
}
REST = Dialect("rest", STATUSES)
MALFORMED = "malformed"  # as the method of what fits no path

Run = Callable[[Request], None]

log = structlog.get_logger("rest")


class Answers:
    """Answers requests and counts them. cors: whether pages of other sites may read the answers.

    tokens: whether clients send any. elsewhere: see `rest.RestOptions`.
    """

    def __init__(
        self,
        metrics: Metrics,
        cors: bool = False,
        tokens: bool = False,
        elsewhere: Run | None = None,
    ) -> None:
        self._metrics = metrics
        self._elsewhere = elsewhere
        self._headers: Headers = ()
        if cors:
            sent = b"Content-Type, Authorization" if tokens else b"Content-Type"
            self._headers = (
                (b"Access-Control-Allow-Origin", b"*"),
                (b"Access-Control-Allow-Methods", b"POST, GET"),
                (b"Access-Control-Allow-Headers", sent),
                (b"Access-Control-Expose-Headers", b"X-Model-Version"),
            )

    def series(self, service: str, version: str, method: str, signature: str = "") -> Series:
        """Where such requests are counted; see `Metrics.series`."""
        return self._metrics.series(service, version, REST, method, signature)

    def send(
        self, request: Request, body: bytes, content_type: bytes = JSON, headers: Headers = ()
    ) -> None:
        """Answer 200; counted by the caller."""
        request.respond(200, body, content_type, self._headers + headers)

    def refuse(self, request: Request, code: int, words: str, headers: Headers = ()) -> None:
        """Answer with an error; counted by the caller. code: an `errors.Code`, or an odd number."""
        status = STATUSES.get(code, 500)
        request.respond(status, rest.error_answer(words), JSON, self._headers + headers)

    def done(self, request: Request, series: Series, body: bytes, headers: Headers = ()) -> None:
        """Count, and answer with JSON."""
        count(request, series, Code.OK)
        self.send(request, body, JSON, headers)

    def fail(self, request: Request, series: Series, error: ServingError) -> None:
        """Count, and answer with an error; or leave both to those who may know better."""
        if self._elsewhere is not None and is_for_others(error, len(request.body)):
            self._elsewhere(request)
            return
        count(request, series, error.code)
        self.refuse(request, error.code, error.message)

    def fail_with(self, request: Request, series: Series, status: int, words: str) -> None:
        """Count, and answer with an error whose status is HTTP's own."""
        count(request, series, REFUSALS.get(status, Code.INVALID_ARGUMENT))
        request.respond(status, rest.error_answer(words), JSON, self._headers)

    def preflight(self, request: Request, series: Series) -> None:
        """Answer a browser that asks beforehand: by its Origin alone, without a body."""
        origin = request.header(b"origin") or b""
        comes_from_a_page = b"http://" in origin or b"https://" in origin
        code = Code.OK if comes_from_a_page else Code.INVALID_ARGUMENT
        count(request, series, code)
        request.respond(STATUSES[code], b"", JSON, self._headers)


@dataclass(frozen=True, slots=True)
class Handler:
    """What is done for one HTTP method of a path. guard, run: raise ServingError.

    guard: by the head alone, whether the request may go on. series: where it is counted if not.
    """

    run: Run
    series: Series
    guard: Run


class Resource:
    """A path: what is done for each of its HTTP methods; all others are malformed."""

    def __init__(self, answers: Answers, handlers: Mapping[bytes, Handler]) -> None:
        self._answers = answers
        self._handlers = handlers
        self._malformed = answers.series("", "", MALFORMED)

    def check(self, request: Request) -> None:
        """The head has come: answer what will not go on."""
        handler = self._handlers.get(request.method)
        if handler is not None:
            try:
                handler.guard(request)
            except ServingError as error:
                self._answers.fail(request, handler.series, error)
        elif request.method == b"OPTIONS":
            self._answers.preflight(request, self._malformed)
        else:
            self._answers.fail(request, self._malformed, malformed(request))

    def handle(self, request: Request) -> None:
        """The whole request has come."""
        handler = self._handlers[request.method]
        try:
            handler.run(request)
        except ServingError as error:
            self._answers.fail(request, handler.series, error)
        except Exception:
            log.exception("request failed", target=request.target.decode("latin-1"))
            self._answers.fail(request, handler.series, internal())

    def refuse(self, request: Request, status: int, words: str) -> None:
        """What `Route.refuse` is."""
        handler = self._handlers.get(request.method)
        series = handler.series if handler is not None else self._malformed
        self._answers.fail_with(request, series, status, words)


def malformed(request: Request) -> ServingError:
    """What is said of a request that fits no path."""
    asked = (request.method + b" " + request.target).decode("utf-8", "replace")
    return ServingError(Code.INVALID_ARGUMENT, f"Malformed request: {asked}")


def internal() -> ServingError:
    """What is said where something broke that should not; the log has the rest."""
    return ServingError(Code.INTERNAL, "internal error; the server's log says more")


def require(tokens: tuple[str, ...]) -> Run:
    """A guard: one of these tokens must be carried; none, or an empty one first: open to all."""
    known = tuple(token.encode() for token in tokens if token)

    def guard(request: Request) -> None:
        if not any(auth.allows(token, request) for token in known):
            raise ServingError(Code.UNAUTHENTICATED, "the token is missing or wrong")

    return guard if tokens and tokens[0] else _open


def _open(request: Request) -> None:
    """A guard that lets everybody through."""
