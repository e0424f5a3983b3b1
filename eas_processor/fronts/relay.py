"""What a front does not answer itself: it asks process 1, and gives its answer on.

So every dialect and every page is there on every process, and tells of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from eas_processor.fronts.messages import Forgotten, Question, Reply
from eas_processor.http.messages import TEXT, Request
from eas_processor.http.router import Route, Target
from eas_processor.serving.service import Service

TIMEOUT_S_MIN = 10.0
LATE_S = 1.0  # how long past a request's end process 1 may take to say so


class _Sent:
    """A request that process 1 is to answer."""

    def __init__(self, forget: Callable[[int], None], number: int) -> None:
        self._forget = forget
        self._number = number

    def abandon(self) -> None:
        """Process 1 need not answer any more."""
        self._forget(self._number)

    def give_way(self) -> None:
        """Its answer may still be read."""


class Relay:
    """Answers every target. send(message): to process 1. numbers: never given to two questions."""

    def __init__(
        self,
        services: Mapping[str, Service],
        send: Callable[[Question | Forgotten], None],
        numbers: Iterator[int],
    ) -> None:
        self._services = services
        self._send = send
        self._numbers = numbers
        self._waiting: dict[int, Request] = {}

    def resolve(self, target: Target) -> Route:
        """Always; so it comes last."""
        timeouts_s = (service.request_timeout_s for service in self._services.values())
        return Route(self.ask, max(timeouts_s, default=0.0) + TIMEOUT_S_MIN)

    def ask(self, request: Request) -> None:
        """Let process 1 answer."""
        number = next(self._numbers)
        self._waiting[number] = request
        request.waiter = _Sent(self._forget, number)
        self._send(
            Question(
                number,
                request.method,
                request.target,
                request.headers,
                bytes(request.body),
                request.id,
                bool(request.head.encoding),
                request.about is not None,
                request.started_s,
                request.local_address,
            )
        )

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

    def tick(self, now_s: float) -> None:
        """Answer those that process 1 leaves waiting; called a few times a second."""
        for number, request in tuple(self._waiting.items()):
            if now_s > request.deadline_s + LATE_S:
                self._forget(number)
                request.respond(503, b"the host did not answer in time\n", TEXT)
