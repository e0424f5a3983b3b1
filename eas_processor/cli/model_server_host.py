"""Puts a model server together: the manager, REST and gRPC in front of it, and the host."""

from __future__ import annotations

from collections.abc import Sequence
from ssl import SSLContext

from eas_processor.api.rest import RestApi, RestOptions
from eas_processor.cli.serve import say
from eas_processor.host import Host, Listener
from eas_processor.http import tls
from eas_processor.http.router import Resolver
from eas_processor.http.sockets import ALL, shown
from eas_processor.modelserver.flags import NO_TIMEOUT_S
from eas_processor.modelserver.manager import ModelManager
from eas_processor.modelserver.request_log import RequestLogs
from eas_processor.modelserver.setup import Setup, split
from eas_processor.observe import watching
from eas_processor.observe.exchange import Watcher
from eas_processor.observe.metrics import Metrics
from eas_processor.pool.awake import Awake
from eas_processor.pool.bodies import Bodies


async def run_host(setup: Setup) -> None:
    """Serve until a signal. Raises ServingError if it can not be started."""
    flags = setup.flags
    watched = watching.start(
        flags.access_log, flags.access_log_sample, flags.log_format, flags.otlp_endpoint
    )
    logs = RequestLogs(setup.paths.local(flags.request_log_dir))

    def changed() -> None:
        host.forget_routes()
        logs.follow(manager.configs)

    manager = ModelManager(setup, Awake(), changed)
    host = Host(
        manager,
        setup.limits,
        dialects=lambda metrics: [_rest(setup, manager, metrics, logs)],
        listeners=lambda metrics, bodies: _grpc(
            setup, manager, logs, metrics, bodies, watched.watchers
        ),
        watching=watched,
        tls=_rest_tls(setup),
    )
    await manager.read()
    if flags.strict_startup:
        try:
            await manager.start()
        except BaseException:
            await manager.stop()
            raise

    # Launch scripts wait for these two lines.
    def listening(port: int) -> None:
        say(f"Exporting HTTP/REST API at:localhost:{port} ...")

    def ready() -> None:
        for name, why in manager.why().items():
            say(f"{name}: {why or 'ready'}")

    if flags.port:
        address = "0.0.0.0" if flags.host == ALL else shown(flags.host)
        say(f"Running gRPC ModelServer at {address}:{flags.port} ...")
    try:
        await host.run(flags.host, flags.rest_api_port or None, listening, ready)
    finally:
        logs.close()


def _rest(setup: Setup, manager: ModelManager, metrics: Metrics, logs: RequestLogs) -> Resolver:
    flags, monitoring = setup.flags, setup.monitoring
    metrics.request_log_counts = logs.counts
    options = RestOptions(
        token=flags.token,
        admin_token=flags.admin_token,
        cors=flags.rest_api_enable_cors_support,
        check_methods=flags.enable_signature_method_name_check,
        prometheus_path=monitoring.path if monitoring.enable else "",
        manager=manager,
        reload=manager.reload,
        request_log=logs.rest,
    )
    return RestApi(manager.services, manager, metrics, options).resolve


def _rest_tls(setup: Setup) -> SSLContext | None:
    if not setup.flags.rest_api_ssl or setup.ssl is None:
        return None
    pem = setup.ssl
    client_ca = pem.custom_ca.encode() if pem.client_verify else None
    return tls.context(pem.server_key.encode(), pem.server_cert.encode(), client_ca)


def _grpc(
    setup: Setup,
    manager: ModelManager,
    logs: RequestLogs,
    metrics: Metrics,
    bodies: Bodies,
    watchers: tuple[Watcher, ...],
) -> Sequence[Listener]:
    flags, ssl = setup.flags, setup.ssl
    if not (flags.port or flags.grpc_socket_path):
        return []
    from eas_processor.rpc import channel_arguments, tfserving
    from eas_processor.rpc.server import Endpoint, Tls

    secured = None
    if ssl is not None:
        client_ca = ssl.custom_ca.encode() if ssl.client_verify else None
        secured = Tls(ssl.server_key.encode(), ssl.server_cert.encode(), client_ca)
    endpoint = Endpoint(
        host=flags.host,
        port=flags.port or None,
        socket_path=flags.grpc_socket_path,
        tls=secured,
        settings=channel_arguments.settings(split(flags.grpc_channel_arguments)),
    )
    options = tfserving.Options(
        check_methods=flags.enable_signature_method_name_check,
        as_tensor_content=flags.enable_serialization_as_tensor_content,
        timeout_s=NO_TIMEOUT_S,  # the flag of that name is REST's
        bodies=bodies,
        watchers=watchers,
        request_log=logs.grpc,
        profiler=flags.enable_profiler,
        health=flags.enable_grpc_healthcheck_service,
        ready=lambda: manager.ready,
        apply=manager.apply_proto,
        token=flags.token or None,
        admin_token=flags.admin_token or None,
    )
    return [tfserving.listener(endpoint, manager.services, manager, metrics, options)]
