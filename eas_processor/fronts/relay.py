"""What a front does not answer itself: it asks process 1, and gives its answer on.

So every dialect and every page is there on every process, and tells of all. Process 1 is told the
head of a request first: what it refuses by that alone is not kept here, nor sent there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from eas_processor.fronts.messages import Forgotten, Question, Reply, Rest
from eas_processor.http.messages import TEXT, Request
from eas_processor.http.router import Route, Target
from eas_processor.serving.service import Service

TIMEOUT_S_MIN = 10.0  # for a request to arrive


class _Sent:
    """A request that process 1 is to answer."""

    def __init__(self, forget: Callable[[int], None], number: int) -> None:
        self._forget = forget
        self.number = number

    def abandon(self) -> None:
        """Process 1 need not answer any more."""
        self._forget(self.number)

    def give_way(self) -> None:
        """Its answer may still be read."""


class Relay:
    """Answers every target. send(message): to process 1. numbers: never given to two questions."""

    def __init__(
        self,
        services: Mapping[str, Service],
        send: Callable[[Question | Rest | Forgotten], None],
        numbers: Iterator[int],
    ) -> None:
        self._services = services
        self._send = send
        self._numbers = numbers
        self._waiting: dict[int, Request] = {}

    def resolve(self, target: Target) -> Route:
        """Always; so it comes last."""
        timeouts_s = (service.request_timeout_s for service in self._services.values())
        timeout_s = max(timeouts_s, default=0.0) + TIMEOUT_S_MIN
        return Route(self._whole, timeout_s, self._head, refuse=self._refuse)

    def ask(self, request: Request) -> None:
        """Let process 1 answer a request that is all here."""
        self._head(request)
        self._whole(request)

    def _head(self, request: Request) -> None:
        number = next(self._numbers)
        self._waiting[number] = request
        request.waiter = _Sent(self._forget, number)
        self._send(
            Question(
                number,
                request.method,
                request.target,
                request.headers,
                request.id,
                bool(request.head.encoding),
                request.about is not None,
                request.started_s,
                request.local_address,
            )
        )

    def _whole(self, request: Request) -> None:
        if isinstance(request.waiter, _Sent):
            self._send(Rest(request.waiter.number, bytes(request.body)))

    def _refuse(self, request: Request, status: int, words: str) -> None:
        """Its body has gone wrong."""
        if isinstance(request.waiter, _Sent):
            request.waiter.abandon()
        request.respond(status, (words + "\n").encode(), TEXT)

    def _forget(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self._send(Forgotten(number))

    def replied(self, reply: Reply) -> None:
        """Process 1 has answered."""
        request = self._waiting.pop(reply.number, None)
        if request is not None:
            if request.about is not None and reply.about is not None:
                request.about = reply.about
            headers = tuple(reply.headers)
            request.respond(reply.status, reply.body, reply.content_type, headers, reply.close)
