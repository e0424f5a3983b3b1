"""What operators and orchestrators ask: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from eas_processor.http.messages import TEXT, Request
from eas_processor.http.router import Route, Target
from eas_processor.observe import metrics
from eas_processor.serving.service import Service

TIMEOUT_S = 10.0


class OpsApi:
    """Answers from the services' own state; keeps none. draining(): whether a stop has begun."""

    def __init__(
        self,
        services: dict[str, Service],
        render_metrics: Callable[[], bytes],
        draining: Callable[[], bool],
    ) -> None:
        self._services = services
        self._render_metrics = render_metrics
        self._draining = draining
        self._routes = {
            "/healthz": Route(self._alive, TIMEOUT_S),
            "/livez": Route(self._alive, TIMEOUT_S),
            "/readyz": Route(self._ready, TIMEOUT_S),
            "/metrics": Route(self._metrics, TIMEOUT_S),
        }

    def resolve(self, target: Target) -> Route | None:
        """The routes above, with or without a trailing slash."""
        return self._routes.get(target.path.rstrip("/"))

    def _alive(self, request: Request) -> None:
        if _reads(request):
            request.respond(200, b"ok\n", TEXT)

    def _ready(self, request: Request) -> None:
        """200 if every service is ready; else 503. Either way each service's state in words."""
        if not _reads(request):
            return
        lines = [f"{name}: {service.why()}" for name, service in sorted(self._services.items())]
        ready = all(service.ready for service in self._services.values())
        if self._draining():
            ready = False
            lines.insert(0, "the server is stopping")
        request.respond(200 if ready else 503, ("\n".join(lines) + "\n").encode(), TEXT)

    def _metrics(self, request: Request) -> None:
        if _reads(request):
            request.respond(200, self._render_metrics(), metrics.CONTENT_TYPE)


def _reads(request: Request) -> bool:
    """Whether the request only reads; else it has been answered 405."""
    if request.method in (b"GET", b"HEAD"):
        return True
    request.respond(405, b"use GET\n", TEXT, ((b"Allow", b"GET, HEAD"),))
    return False
