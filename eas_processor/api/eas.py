"""The EAS dialect: `/api/predict/<service>[/…]`, protobuf bytes in and out, unopened.

An empty body asks for the model's signature. Status codes decide what SDKs do: Python's retries
exactly 500, Java's and Go's retry anything but 200, so a client's own mistake is always a 4xx.
Source: EAS documentation, status codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from eas_processor.api import auth
from eas_processor.errors import Code
from eas_processor.http.messages import BINARY, JSON, TEXT, Request
from eas_processor.http.router import Route, Target
from eas_processor.pool.call import Answer, Call
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


class Observer(Protocol):
    """Counts what was answered."""

    def __call__(self, service: str, status: int, started_s: float, run_us: int) -> None:
        """One request: its service, its status, when it began, how long the processor ran."""


class EasCall(Call):
    """A call that answers an HTTP request."""

    __slots__ = ("_observe", "_request", "_service")

    def __init__(
        self, kind: int, body: bytes, request: Request, observe: Observer, service: str
    ) -> None:
        super().__init__(kind, body, request.deadline_s)
        self._request = request
        self._observe = observe
        self._service = service

    def reply(self, answer: Answer) -> None:
        """The answer as EAS gives it."""
        code, content, body, run_us = answer
        request = self._request
        status = STATUSES.get(code, 500)
        if status == 200:
            request.respond(200, body, CONTENT_TYPES[content])  # type: ignore[index]
        else:
            request.respond(status, body, TEXT, NO_HEADERS, status in CLOSING)
        self._observe(self._service, status, request.started_s, run_us)

    def abandon(self) -> None:
        """The client left: the call gives up its place; what still comes is thrown away."""
        if not self.answered:
            self.answered = True
            self._observe(self._service, 499, self._request.started_s, 0)


class EasApi:
    """Resolves targets of the dialect to the services of one host."""

    def __init__(self, services: dict[str, Service], observe: Observer) -> None:
        self._services = services
        self._observe = observe

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
            return Route(lambda request: self._unknown(request, asked), UNKNOWN_TIMEOUT_S)
        signature = target.query.get("signature", "").encode()
        return Route(self._handler(service, signature), service.plan.request_timeout_s)

    def _handler(self, service: Service, signature: bytes) -> Callable[[Request], None]:
        """What answers requests to a service; all that can be looked up is looked up here."""
        name, submit, observe = service.name, service.submit, self._observe
        token = (service.plan.token or "").encode()

        def handle(request: Request) -> None:
            if request.method != b"POST" and request.method != b"GET":
                request.respond(405, b"use POST (or GET for the signature)\n", TEXT, ALLOW)
            elif token and not auth.allows(token, request):
                request.respond(401, b"the service's token is missing or wrong\n")
                observe(name, 401, request.started_s, 0)
            else:
                body = request.body
                call = EasCall(
                    PROCESS if body else DESCRIBE, body or signature, request, observe, name
                )
                request.on_gone = call.abandon
                submit(call)

        return handle

    def _unknown(self, request: Request, name: str) -> None:
        known = ", ".join(sorted(self._services)) or "none"
        request.respond(404, f"no service {name!r} here; known: {known}\n".encode())
        self._observe("", 404, request.started_s, 0)


ALLOW = ((b"Allow", b"GET, POST"),)
UNKNOWN_TIMEOUT_S = 10.0
