"""From a request's target to who answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from eas_processor.config import Limits
from eas_processor.http.messages import Request

ROUTES_KEPT_MAX = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A request's target, taken apart once. path is percent-decoded; query keeps the last value."""

    path: str
    query: dict[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers. timeout_s: how long one request may take in all, its arrival included."""

    handle: Callable[[Request], None]
    timeout_s: float


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
        self._not_found = Route(not_found, limits.header_timeout_s)
        self._known: dict[bytes, Route] = {}

    def begin(self, request: Request) -> None:
        """The head has come: find the route, set the deadline."""
        route = self._known.get(request.target)
        if route is None:
            route = self._resolve(request.target)
        request.route = route
        request.deadline_s = request.started_s + route.timeout_s

    def handle(self, request: Request) -> None:
        """The request is complete."""
        request.route.handle(request)

    def _resolve(self, raw: bytes) -> Route:
        path, _, query = raw.decode("latin-1").partition("?")
        if "://" in path.split("/", 1)[0] + "//":  # absolute form, as proxies send it
            path = "/" + path.split("://", 1)[-1].partition("/")[2]
        target = Target(unquote(path), dict(parse_qsl(query, keep_blank_values=True)))
        for resolve in self._resolvers:
            route = resolve(target)
            if route is not None:
                if len(self._known) >= ROUTES_KEPT_MAX:
                    self._known.clear()
                self._known[raw] = route
                return route
        return self._not_found
