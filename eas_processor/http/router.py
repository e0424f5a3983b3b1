"""From a request's target to who answers it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from eas_processor.config import DECOMPRESSORS, Limits
from eas_processor.http import compression
from eas_processor.http.messages import Refusal, Request, Sink

ROUTES_KEPT_MAX = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A request's target, taken apart once. path is percent-decoded; query keeps the last value.

    raw: both as sent, each byte a character.
    """

    path: str
    query: dict[str, str]
    raw: str = ""


def plainly(request: Request, status: int, words: str) -> None:
    """Refuse in plain text."""
    request.respond(status, words.encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers. timeout_s: how long one request may take in all, its arrival included.

    check: called when the head has come; if it answers, the body is not kept and `handle` not
    called. sink: makes, for a body of so many bytes, what it is put into; None for plain bytes.
    decompressor: how bodies are packed whose header does not say so, "" if they are not.
    refuse: how the dialect answers a request that goes wrong behind its head: too slow, too large,
    not to be unpacked.
    """

    handle: Callable[[Request], None]
    timeout_s: float
    check: Callable[[Request], None] | None = None
    decompressor: str = ""
    refuse: Callable[[Request, int, str], None] = plainly
    sink: Callable[[int], Sink | None] | None = None
    judge: compression.Judge = field(default_factory=compression.Judge)

    def sink_for(self, body_bytes: int, encoding: bytes) -> Sink | None:
        """Where a body of that length and Content-Encoding goes; None: to memory, as bytes."""
        if self.sink is None or encoding or self.decompressor:
            return None
        return self.sink(body_bytes)


class Resolver(Protocol):
    """A dialect: finds a route for the targets that are its own, else None."""

    def __call__(self, target: Target) -> Route | None:
        """The route, if the target is this dialect's."""


class Router:
    """Asks the dialects in turn; the first that knows the target answers. Remembers who did."""

    def __init__(
        self, resolvers: list[Resolver], not_found: Callable[[Request], None], limits: Limits
    ) -> None:
        self._resolvers = resolvers
        self._not_found = Route(not_found, limits.header_timeout_s, not_found)
        self._body_bytes_max = limits.body_bytes_max
        self._known: dict[bytes, Route] = {}

    def ask_first(self, resolver: Resolver) -> None:
        """Put a dialect before the others."""
        self._resolvers.insert(0, resolver)

    def forget(self) -> None:
        """Who answers has changed: look it up anew."""
        self._known.clear()

    def begin(self, request: Request) -> None:
        """The head has come: find the route, set the deadline."""
        target = request.head.target
        route = self._known.get(target)
        if route is None:
            route = self._resolve(target)
        request.route = route
        request.deadline_s = request.started_s + route.timeout_s
        if route.check is not None:
            route.check(request)

    def handle(self, request: Request) -> None:
        """The request is complete."""
        route = request.route
        if self._known.get(request.head.target) is not route and not self._has_new_route(request):
            return
        route = request.route
        if request.body and (request.head.encoding or route.decompressor):
            self._unpack(request, route)
        else:
            route.handle(request)

    def _has_new_route(self, request: Request) -> bool:
        """Find out who answers now; whether the request may still go on.

        Where its head has been passed on to others, they answer.
        """
        if request.waiter is None:
            route = request.route = self._resolve(request.head.target)
            if type(request.body) is not bytes:  # as the old route wanted it
                request.body = bytes(request.body)
            if route.check is not None:
                route.check(request)
        return request.rendered is None

    def _unpack(self, request: Request, route: Route) -> None:
        encoding = request.head.encoding
        form = compression.named(encoding) if encoding else route.decompressor
        if form is None:
            coding = encoding.decode("latin-1")
            words = f"Content-Encoding {coding} is not known; known: {', '.join(DECOMPRESSORS)}"
            route.refuse(request, 415, words)
        elif not form:
            route.handle(request)
        else:
            compression.unpack_soon(
                form,
                request.body,
                self._body_bytes_max,
                lambda: not request.gone and time.monotonic() < request.deadline_s,
                lambda body: _unpacked(request, body),
            )

    def _resolve(self, raw: bytes) -> Route:
        sent = origin_form(raw).decode("latin-1")
        path, _, query = sent.partition("?")
        target = Target(unquote(path), dict(parse_qsl(query, keep_blank_values=True)), sent)
        for resolve in self._resolvers:
            route = resolve(target)
            if route is not None:
                if len(self._known) >= ROUTES_KEPT_MAX:
                    self._known.clear()
                self._known[raw] = route
                return route
        return self._not_found


def _unpacked(request: Request, body: bytes | compression.Unpackable) -> None:
    """Go on with a body that was packed, or with what is wrong with it."""
    route: Route = request.route
    if request.gone:
        return
    if isinstance(body, compression.Unpackable):
        route.refuse(request, body.status, str(body))
        return
    try:
        request.replace_body(body)
    except Refusal as refusal:
        route.refuse(request, refusal.status, refusal.words)
    else:
        route.handle(request)


def origin_form(target: bytes) -> bytes:
    """Path and query of a target, also of one in the absolute form that proxies send."""
    scheme, found, rest = target.partition(b"://")
    if not found or not scheme.isalnum():
        return target
    return b"/" + rest.partition(b"/")[2]
