"""TensorFlow Serving's gRPC server, put together: its services over the models of one host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eas_processor.observe.exchange import Watcher
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.bodies import Bodies
from eas_processor.rpc.calls import Answering
from eas_processor.rpc.dispatch import Method, Unary
from eas_processor.rpc.health import Health
from eas_processor.rpc.model_service import Apply, ModelService
from eas_processor.rpc.prediction import PredictionService, RequestLog
from eas_processor.rpc.profiler import ProfilerService
from eas_processor.rpc.routes import Routes
from eas_processor.rpc.server import Endpoint, GrpcServer
from eas_processor.serving.service import Services
from eas_processor.serving.states import States


@dataclass(frozen=True)
class Options:
    """What a server may be told beside its models.

    check_methods, as_tensor_content, timeout_s, bodies, request_log: see PredictionService. health:
    whether there is grpc.health.v1, which says what ready() does; None: whether all services are.
    apply: see ModelService. token: for calls about models that are not there, and for `apply`,
    which needs admin_token where there is one. watchers: told of each request. profiler: whether
    there is a ProfilerService, for those who may use `apply`. elsewhere(path): who answers what
    runs no model, and requests to what is not known here; None: this server.
    """

    check_methods: bool = False
    as_tensor_content: bool = False
    timeout_s: float | None = None
    bodies: Bodies | None = None
    request_log: RequestLog | None = None
    profiler: bool = False
    health: bool = True
    ready: Callable[[], bool] | None = None
    apply: Apply | None = None
    token: str | None = None
    admin_token: str | None = None
    watchers: tuple[Watcher, ...] = ()
    elsewhere: Callable[[bytes], Method] | None = None


DEFAULTS = Options()


def listener(
    endpoint: Endpoint,
    services: Services,
    states: States,
    metrics: Metrics,
    options: Options = DEFAULTS,
) -> GrpcServer:
    """The server, not started. services: live, by name."""
    answering = Answering(metrics, options.watchers, options.elsewhere)
    routes = Routes(services, metrics, options.token)
    prediction = PredictionService(
        routes,
        options.check_methods,
        options.as_tensor_content,
        options.timeout_s,
        options.bodies,
        options.request_log,
    )
    reload_token = options.admin_token or options.token
    others = ModelService(states, routes, options.apply, reload_token).methods(answering)
    if options.profiler or options.elsewhere is not None:
        others |= ProfilerService(services, reload_token).methods(answering)
    if options.elsewhere is not None:
        others = {path: Unary(options.elsewhere(path)) for path in others}
    methods = {**prediction.methods(answering), **others}
    if not options.health:
        return GrpcServer(endpoint, methods)
    ready = options.ready or (lambda: all(service.ready for service in services.values()))
    health = Health(services, ready)
    return GrpcServer(endpoint, methods | health.methods(answering), health.drain)
