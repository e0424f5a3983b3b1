"""Who is asked: from a ModelSpec to a service, a version, and where its requests are counted.

What a ModelSpec's bytes mean is looked up once for all requests that carry the same; whether it
still means that is asked each time, since models come and go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eas_processor.api import auth
from eas_processor.codec import serving, signatures
from eas_processor.errors import Code, ServingError
from eas_processor.observe.metrics import Metrics
from eas_processor.observe.series import Series
from eas_processor.rpc.context import Context
from eas_processor.rpc.status import DIALECT
from eas_processor.serving.service import Service, Services
from eas_processor.serving.version import Version

MODEL_SPEC_TAG = 0x0A  # field 1 of every request, length-delimited
LONG = 0x80  # a size from here on takes more than a byte
REQUESTS = {
    "Predict": "PredictRequest",
    "Classify": "ClassificationRequest",
    "Regress": "RegressionRequest",
}
REMEMBERED_MAX = 256
REMEMBERED_NAME_MAX = 256  # of a signature; any client may ask for one that is not there


class Spec(NamedTuple):
    """A ModelSpec. number, label: None where it names none. signature: "" for the default."""

    name: str
    number: int | None
    label: str | None
    signature: str


class Route(NamedTuple):
    """Where a request goes. model_spec: the field of its answer that says which version it was."""

    spec: Spec
    service: Service
    version: Version
    series: Series
    model_spec: bytes


class Routes:
    """services: live, by name. token: what calls about models that are not there must carry."""

    def __init__(self, services: Services, metrics: Metrics, token: str | None = None) -> None:
        self._services = services
        self._metrics = metrics
        self._token = token
        self._specs: dict[bytes, Spec] = {}
        self._routes: dict[tuple[str, Spec], Route] = {}

    def route(self, method: str, request: bytes, context: Context) -> Route:
        """For a request whose field 1 is its ModelSpec. Raises ServingError."""
        return self.route_of(method, self._spec(method, request), context)

    def route_of(self, method: str, spec: Spec, context: Context) -> Route:
        """For a method of the PredictionService. Raises ServingError."""
        service = self.service(spec, context)
        version = service.find(spec.number, spec.label)
        route = self._routes.get((method, spec))
        if route is None or route.version is not version:
            route = self._new(method, spec, service, version)
            if len(spec.signature) > REMEMBERED_NAME_MAX:
                return route
            if len(self._routes) >= REMEMBERED_MAX:
                self._routes.clear()
            self._routes[method, spec] = route
        return route

    def service(self, spec: Spec, context: Context) -> Service:
        """The service that a ModelSpec names. Raises ServingError."""
        if not spec.name:
            raise ServingError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        service = self._services.get(spec.name)
        check_token(service.token if service else self._token, context)
        if service is None:
            raise self._services.missing(spec.name, spec.number, spec.label)
        return service

    def check(self, name: str, context: Context) -> None:
        """Raise ServingError unless the call may ask about that model, whether it is there."""
        service = self._services.get(name)
        check_token(service.token if service else self._token, context)

    def _new(self, method: str, spec: Spec, service: Service, version: Version) -> Route:
        signature = spec.signature or serving.DEFAULT_SIGNATURE
        known = signature in signatures.read(version.signatures)
        series = self._metrics.series(
            service.name, str(version.number), DIALECT, method, signature if known else ""
        )
        told = serving.model_spec_field(service.name, version.number, signature)
        return Route(spec, service, version, series, told)

    def _spec(self, method: str, request: bytes) -> Spec:
        """The ModelSpec in front of a request."""
        size = request[1] if len(request) > 1 and request[0] == MODEL_SPEC_TAG else LONG
        if size >= LONG:  # a long name, or a client that writes fields in another order
            try:
                message = serving.parse("GetModelStatusRequest", request)  # a ModelSpec and no more
            except ServingError:
                serving.parse(REQUESTS[method], request)  # which says what it should have been
                raise
            return spec_of(message)
        raw = request[2 : 2 + size]
        spec = self._specs.get(raw)
        if spec is None:
            spec = _read(serving.parse("ModelSpec", raw))
            if len(self._specs) >= REMEMBERED_MAX:
                self._specs.clear()
            self._specs[raw] = spec
        return spec


def spec_of(message: Any) -> Spec:
    """The ModelSpec of a message that has one. Raises ServingError if it has none."""
    if not message.HasField("model_spec"):
        raise ServingError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
    return _read(message.model_spec)


def _read(message: Any) -> Spec:
    which = message.WhichOneof("version_choice")
    return Spec(
        message.name,
        message.version.value if which == "version" else None,
        message.version_label if which == "version_label" else None,
        message.signature_name,
    )


def check_token(token: str | None, context: Context) -> None:
    """Raise ServingError unless the call's metadata carries the token, if there is one."""
    if not token:
        return
    for key, value in context.metadata():
        if key == "authorization":
            given = value if isinstance(value, bytes) else value.encode("latin-1")
            if auth.matches(token.encode(), given):
                return
    raise ServingError(Code.UNAUTHENTICATED, "the service's token is missing or wrong")
