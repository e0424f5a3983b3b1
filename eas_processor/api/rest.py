"""The REST dialect of TensorFlow Serving: `/v1/models/<model>…`, and its Prometheus page.

    path (`rest_paths`) → Resource (`rest_answers`) → `rest_calls`, `rest_admin`, or answered here

Beside the peer: models can be listed and changed, tensors need not be JSON, and the version that
answered is told in X-Model-Version. Source: model_servers/http_rest_api_handler.cc.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eas_processor.api.rest_admin import Admin
from eas_processor.api.rest_answers import Answers, Handler, Resource, Run, require
from eas_processor.api.rest_calls import Inference, RequestLog
from eas_processor.api.rest_paths import (
    INFERENCE,
    LIST,
    MODEL,
    NAMELESS,
    PREFIX,
    RELOAD,
    Which,
)
from eas_processor.codec import rest
from eas_processor.errors import Code, ServingError
from eas_processor.http.messages import TEXT, Request
from eas_processor.http.router import Route, Target
from eas_processor.observe import tfserving_metrics
from eas_processor.observe.metrics import Metrics
from eas_processor.observe.series import Series
from eas_processor.serving.service import Service, Services
from eas_processor.serving.states import States

if TYPE_CHECKING:
    from eas_processor.modelserver.manager import ModelManager

TIMEOUT_S = 10.0  # for what does not run a model


@dataclass(frozen=True)
class RestOptions:
    """What the operator chose.

    token: of models that have none of their own. admin_token: to change what is served; "" for
    nobody. cors: pages of other sites may ask. check_methods: a signature's method must be the one
    asked for. prometheus_path: of the peer's metrics page, "" for none. manager: who adds and
    removes models; reload: who reads their configuration anew. elsewhere: who answers requests to
    what is not known here; None: they are refused.
    """

    token: str = ""
    admin_token: str = ""
    cors: bool = False
    check_methods: bool = False
    prometheus_path: str = ""
    request_log: RequestLog | None = None
    manager: ModelManager | None = None
    reload: Callable[[], Awaitable[dict[str, str]]] | None = None
    elsewhere: Run | None = None


class RestApi:
    """Resolves targets of the dialect to the services of one host. services: live, by name."""

    def __init__(
        self,
        services: Services,
        states: States,
        metrics: Metrics,
        options: RestOptions = RestOptions(),
    ) -> None:
        self._services = services
        self._states = states
        self._metrics = metrics
        self._options = options
        self._answers = Answers(metrics, options.cors, bool(options.token), options.elsewhere)
        self._admin = Admin(self._answers, options.admin_token, options.manager, options.reload)

    def resolve(self, target: Target) -> Route | None:
        """Everything under /v1/, and the metrics page."""
        path = target.raw.partition("?")[0]
        if self._options.prometheus_path and path == self._options.prometheus_path:
            return Route(self._scrape, TIMEOUT_S)
        if path[: len(PREFIX)].lower() != PREFIX:
            return None
        handlers, timeout_s = self._handlers(target)
        resource = Resource(self._answers, handlers)
        return Route(resource.handle, timeout_s, resource.check, refuse=resource.refuse)

    def resolve_inference(self, target: Target) -> Route | None:
        """Only what runs a model: predict, classify, regress."""
        is_inference = INFERENCE.fullmatch(target.raw.partition("?")[0])
        return self.resolve(target) if is_inference else None

    def _handlers(self, target: Target) -> tuple[dict[bytes, Handler], float]:
        """What is done for each HTTP method, and how long that may take."""
        sent = target.raw
        path, asked, _ = sent.partition("?")
        if match := INFERENCE.fullmatch(sent):
            return self._inference(match, {})
        if match := MODEL.fullmatch(sent):
            return self._model(match), TIMEOUT_S
        if asked and (match := INFERENCE.fullmatch(path)):
            return self._inference(match, target.query)
        if NAMELESS.fullmatch(sent):
            return {
                b"GET": Handler(_nameless, self._series("status"), self._guard(None))
            }, TIMEOUT_S
        if sent.lower() == LIST:
            return self._list(), TIMEOUT_S
        if sent.lower() == RELOAD:
            series = self._series("reload")
            return {
                b"POST": Handler(self._admin.reload(series), series, self._admin.guard)
            }, TIMEOUT_S
        return {}, TIMEOUT_S

    def _series(self, method: str, service: Service | None = None) -> Series:
        return self._answers.series(service.name if service else "", "", method)

    def _guard(self, service: Service | None) -> Run:
        return require(((service and service.token) or self._options.token,))

    def _inference(
        self, match: re.Match[str], query: dict[str, str]
    ) -> tuple[dict[bytes, Handler], float]:
        which, method = Which.of(match), match["method"].lower()
        service = self._services.get(which.name)
        series, guard = self._series(method, service), self._guard(service)
        if service is None:
            return {b"POST": Handler(_missing(which, self._services), series, guard)}, TIMEOUT_S
        options = self._options
        inference = Inference(self._answers, service, which, method, query, options.check_methods)
        inference.request_log = options.request_log
        return {b"POST": Handler(inference.run, series, guard)}, service.request_timeout_s

    def _model(self, match: re.Match[str]) -> dict[bytes, Handler]:
        which = Which.of(match)
        service = self._services.get(which.name)
        guard = self._guard(service)
        if match["metadata"]:
            series = self._series("metadata", service)
            return {b"GET": Handler(self._metadata(which, service, series), series, guard)}
        series = self._series("status", service)
        handlers = {b"GET": Handler(self._status(which, series), series, guard)}
        if which.version is None and which.label is None:
            series = self._series("remove")
            remove = self._admin.remove(series, which.name)
            handlers[b"DELETE"] = Handler(remove, series, self._admin.guard)
        return handlers

    def _list(self) -> dict[bytes, Handler]:
        listed, added = self._series("list"), self._series("add")
        guard = require((self._options.token, self._options.admin_token))

        def answer(request: Request) -> None:
            body = self._admin.listing(self._services, self._states)
            self._answers.done(request, listed, body)

        return {
            b"GET": Handler(answer, listed, guard),
            b"POST": Handler(self._admin.add(added), added, self._admin.guard),
        }

    def _status(self, which: Which, series: Series) -> Run:
        def answer(request: Request) -> None:
            rows = self._states.status(which.name, which.number())  # as the peer, by no label
            self._answers.done(request, series, rest.status_answer(rows))

        return answer

    def _metadata(self, which: Which, service: Service | None, series: Series) -> Run:
        if service is None:
            return _missing(which, self._services)

        def answer(request: Request) -> None:
            version = service.find(which.number(), which.label)
            body = rest.metadata_answer(service.name, version.number, version.signatures)
            header = (b"X-Model-Version", b"%d" % version.number)
            self._answers.done(request, series, body, (header,))

        return answer

    def _scrape(self, request: Request) -> None:
        """The peer's metrics page; a query is refused as the peer does."""
        if request.method not in (b"GET", b"HEAD"):
            request.respond(405, b"use GET\n", TEXT, ((b"Allow", b"GET, HEAD"),))
        elif b"?" in request.target:
            request.respond(400, b"the metrics page takes no query\n", TEXT)
        else:
            page = tfserving_metrics.render(self._metrics)
            request.respond(200, page, tfserving_metrics.CONTENT_TYPE)


def _nameless(request: Request) -> None:
    raise ServingError(Code.INVALID_ARGUMENT, "Missing model name in request.")


def _missing(which: Which, services: Services) -> Run:
    def refuse(request: Request) -> None:
        raise which.missing(services)

    return refuse
