"""The EAS dialect: `/api/predict/<service>[/…]`, protobuf bytes in and out, unopened.

An empty body asks for the model's signature. Status codes decide what SDKs do: Python's retries
exactly 500, Java's and Go's retry anything but 200, so a client's own mistake is always a 4xx.
Source: EAS documentation, status codes.
"""

from __future__ import annotations

from collections.abc import Callable

from eas_processor.api import auth
from eas_processor.api.http_call import REFUSALS, HttpCall, count
from eas_processor.errors import Code
from eas_processor.http.messages import BINARY, JSON, TEXT, Request
from eas_processor.http.router import Route, Target
from eas_processor.observe.metrics import Metrics
from eas_processor.observe.series import Dialect, Series
from eas_processor.pool.bodies import Bodies
from eas_processor.pool.call import Answer
from eas_processor.serving.service import Service
from eas_processor.worker.frames import Content, Kind

PREFIX = "/api/predict/"

STATUSES: dict[int, int] = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 408,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 400,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 503,
    Code.FAILED_PRECONDITION: 500,
    Code.ABORTED: 500,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
    Code.QUEUE_FULL: 450,
    Code.RATE_LIMITED: 429,
    Code.WORKER_LOST: 500,  # the one status that every SDK retries
}
CLOSING = frozenset({408, 450})  # EAS closes the connection with these

CONTENT_TYPES = {Content.BINARY: BINARY, Content.JSON: JSON, Content.TEXT: TEXT}

# Plain numbers: looking up a member of an enum costs more than using it.
PROCESS, DESCRIBE = int(Kind.PROCESS), int(Kind.DESCRIBE)

NO_HEADERS: tuple[tuple[bytes, bytes], ...] = ()
ALLOW = ((b"Allow", b"GET, POST"),)

UNKNOWN_TIMEOUT_S = 10.0

EAS = Dialect("eas", STATUSES)


class EasCall(HttpCall):
    """A call that is answered as EAS does."""

    def reply(self, answer: Answer) -> None:
        """The answer as EAS gives it."""
        code, content, body, run_us, batch = answer
        request = self._request
        self._observe(code, run_us, batch)
        status = STATUSES.get(code, 500)
        if status == 200:
            request.respond(200, body, CONTENT_TYPES[content])  # type: ignore[index]
        else:
            request.respond(status, body, TEXT, NO_HEADERS, status in CLOSING)


class EasApi:
    """Resolves targets of the dialect to the services of one host."""

    def __init__(self, services: dict[str, Service], metrics: Metrics, bodies: Bodies) -> None:
        """bodies: where large request bodies are shared with the workers."""
        self._services = services
        self._metrics = metrics
        self._bodies = bodies

    def resolve(self, target: Target) -> Route | None:
        """The longest known service name that the path begins with; the rest is let be."""
        if not target.path.startswith(PREFIX) and target.path != PREFIX[:-1]:
            return None
        name = target.path[len(PREFIX) :].strip("/")
        asked = name
        while name and name not in self._services:
            name = name.rpartition("/")[0]
        service = self._services.get(name)
        if service is None:
            unknown = self._unknown(asked)
            return Route(unknown, UNKNOWN_TIMEOUT_S, unknown)
        number = str(service.current.number) if service.current else ""
        series = self._metrics.series(service.name, number, EAS)
        return Route(
            _handler(service, series, target.query.get("signature", "").encode()),
            service.request_timeout_s,
            _check(service.token.encode(), series) if service.token else None,
            service.decompressor,
            lambda request, status, words: _refuse(request, series, status, words),
            self._bodies.borrow,
        )

    def _unknown(self, name: str) -> Callable[[Request], None]:
        series = self._metrics.series("", "", EAS)

        def unknown(request: Request) -> None:
            known = ", ".join(sorted(self._services)) or "none"
            _refuse(request, series, 404, f"no service {name!r} here; known: {known}")

        return unknown


# What depends on the service is looked up once; its every change makes the router forget a route.


def _check(token: bytes, series: Series) -> Callable[[Request], None]:
    """What lets those in who have the token: by the head alone, so no body is taken for nothing."""

    def check(request: Request) -> None:
        if not auth.allows(token, request):
            _refuse(request, series, 401, "the service's token is missing or wrong")

    return check


def _handler(service: Service, series: Series, signature: bytes) -> Callable[[Request], None]:
    """What makes a call of a request."""
    submit = service.submit

    def handle(request: Request) -> None:
        method = request.head.method
        if method != b"POST" and method != b"GET":
            request.respond(405, b"use POST (or GET for the signature)\n", TEXT, ALLOW)
            return
        body = request.body
        kind = PROCESS if body else DESCRIBE
        call = EasCall(kind, body or signature, request, series, service)
        request.waiter = call
        submit(call)

    return handle


def _refuse(request: Request, series: Series, status: int, words: str) -> None:
    """Answer a request that has not become a call, and count it."""
    count(request, series, REFUSALS.get(status, Code.INVALID_ARGUMENT))
    request.respond(status, words.encode() + b"\n")
