"""Puts a model server together: the manager, REST and gRPC in front of it, and the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from eas_processor.api.rest import RestApi
from eas_processor.cli.speaker import say
from eas_processor.fronts import dialects
from eas_processor.fronts.hosting import Fronts
from eas_processor.fronts.messages import Grpc, Serving
from eas_processor.host import PAGE, Host, Listener
from eas_processor.http import tls
from eas_processor.http.router import Resolver
from eas_processor.http.sockets import ALL, free_port, shown
from eas_processor.modelserver.flags import NO_TIMEOUT_S
from eas_processor.modelserver.manager import ModelManager
from eas_processor.modelserver.request_log import RequestLogs
from eas_processor.modelserver.setup import Setup, split
from eas_processor.observe import watching
from eas_processor.observe.exchange import Watcher
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.awake import Awake
from eas_processor.pool.bodies import Bodies
from eas_processor.rpc import channel_arguments, tfserving
from eas_processor.rpc.server import GrpcServer


async def run_host(setup: Setup) -> None:
    """Serve until a signal. Raises ServingError if it can not be started."""
    flags = setup.flags
    observing = watching.Observing(
        flags.log_level,
        flags.log_format,
        flags.access_log,
        flags.access_log_sample,
        flags.otlp_endpoint,
    )
    watched = watching.start(observing)
    serving = _serving(setup)
    rest_pem = _pem(setup) if flags.rest_api_ssl else []
    fronts = None
    if flags.host_processes > 1:
        fronts = Fronts(flags.host_processes, setup.limits, observing, rest_pem, serving)
    logs = RequestLogs(serving.request_log_dir)

    def logged() -> Mapping[tuple[str, str], int]:
        return logs.counts() if fronts is None else fronts.tally.logged() + logs.counts()

    def changed() -> None:
        host.forget_routes()
        logs.follow(manager.logged())

    manager = ModelManager(setup, Awake(), changed)

    def rest(metrics: Metrics) -> Sequence[Resolver]:
        metrics.request_log_counts = logged
        return [_rest(serving, setup, manager, logs, metrics)]

    opened = _Opened(setup)

    def grpc(metrics: Metrics, bodies: Bodies) -> Sequence[Listener]:
        servers = _grpc(serving, setup, manager, logs, metrics, bodies, watched.watchers)
        if fronts is not None and servers:
            fronts.methods = servers[0].methods
        return [*servers, opened]

    secured = tls.context(*rest_pem) if rest_pem else None
    host = Host(manager, setup.limits, rest, grpc, watched, secured)
    if fronts is not None:
        fronts.logged = manager.logged
        host.share_with(fronts, (PAGE, setup.monitoring.path))
    await manager.read()
    if flags.strict_startup:
        try:
            await manager.start()
        except BaseException:
            await manager.stop()
            raise

    def ready() -> None:
        for name, why in manager.why().items():
            say(f"{name}: {why or 'ready'}")

    try:
        await host.run(flags.host, flags.rest_api_port or None, opened.rest, ready)
    finally:
        logs.close()


class _Opened:
    """Says which ports are open, the last of the listeners: launch scripts wait for these lines."""

    def __init__(self, setup: Setup) -> None:
        self._flags = setup.flags
        self._rest_port: int | None = None

    def rest(self, port: int) -> None:
        """HTTP listens; gRPC may yet fail."""
        self._rest_port = port

    async def start(self) -> None:
        """All ports are open."""
        if self._flags.port:
            address = "0.0.0.0" if self._flags.host == ALL else shown(self._flags.host)
            say(f"Running gRPC ModelServer at {address}:{self._flags.port} ...")
        if self._rest_port is not None:
            say(f"Exporting HTTP/REST API at:localhost:{self._rest_port} ...")

    async def drain(self, grace_s: float) -> None:
        """Nothing is held."""


def _rest(
    serving: Serving,
    setup: Setup,
    manager: ModelManager,
    logs: RequestLogs,
    metrics: Metrics,
) -> Resolver:
    options = replace(
        dialects.rest_options(serving, logs.rest),
        admin_token=setup.flags.admin_token,
        prometheus_path=setup.monitoring.path if setup.monitoring.enable else "",
        manager=manager,
        reload=manager.reload,
    )
    return RestApi(manager.services, manager, metrics, options).resolve


def _grpc(
    serving: Serving,
    setup: Setup,
    manager: ModelManager,
    logs: RequestLogs,
    metrics: Metrics,
    bodies: Bodies,
    watchers: tuple[Watcher, ...],
) -> Sequence[GrpcServer]:
    flags = setup.flags
    if serving.grpc is None:
        return []
    endpoint = replace(
        dialects.endpoint(flags.host, serving.grpc, shared=flags.host_processes > 1),
        socket_path=flags.grpc_socket_path,
    )
    options = replace(
        dialects.grpc_options(serving, serving.grpc, bodies, watchers, logs.grpc),
        profiler=flags.enable_profiler,
        ready=lambda: manager.ready,
        apply=manager.apply_proto,
        admin_token=flags.admin_token or None,
    )
    return [tfserving.listener(endpoint, manager.services, manager, metrics, options)]


def _serving(setup: Setup) -> Serving:
    """What the flags say of the dialects, for every process of the host."""
    flags = setup.flags
    grpc, port = None, flags.port or None
    if port and flags.host_processes > 1:
        port = free_port(flags.host, port)  # who shares a port is let in wherever somebody is
    if port or flags.grpc_socket_path:
        grpc = Grpc(
            port=port,
            pem=_pem(setup),
            settings=channel_arguments.settings(split(flags.grpc_channel_arguments)),
            as_tensor_content=flags.enable_serialization_as_tensor_content,
            timeout_s=NO_TIMEOUT_S,  # the flag of that name is REST's
            health=flags.enable_grpc_healthcheck_service,
        )
    return Serving(
        token=flags.token,
        cors=flags.rest_api_enable_cors_support,
        check_methods=flags.enable_signature_method_name_check,
        request_log_dir=setup.paths.local(flags.request_log_dir),
        grpc=grpc,
    )


def _pem(setup: Setup) -> list[bytes]:
    """Key, certificate and, where clients must show one, their CA; empty without TLS."""
    if setup.ssl is None:
        return []
    texts = [setup.ssl.server_key, setup.ssl.server_cert]
    if setup.ssl.client_verify:
        texts.append(setup.ssl.custom_ca)
    return [text.encode() for text in texts]
