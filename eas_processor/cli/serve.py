"""`eas-processor serve`: read the service JSONs, build the host, run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from eas_processor.config import Limits
    from eas_processor.fronts.hosting import Fronts
    from eas_processor.fronts.messages import Serving
    from eas_processor.host import Listener, Listeners
    from eas_processor.http.router import Resolver
    from eas_processor.observe.metrics import Metrics
    from eas_processor.observe.watching import Watching
    from eas_processor.pool.bodies import Bodies
    from eas_processor.serving.deployment import Deployment
    from eas_processor.serving.plan import ServicePlan


@click.command(
    epilog="""\b
Examples:
  eas-processor serve service.json
  eas-processor serve a.json b.json --host 0.0.0.0 --port 8080
  eas-processor serve service.json --processors ./my_processors --log-level debug

Each service answers at http://HOST:PORT/api/predict/<name of the service>."""
)
@click.argument("files", nargs=-1, required=True, metavar="SERVICE.json...")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; :: is all, IPv4 and IPv6.",
)
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any free one.",
)
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    help="Speak TensorFlow Serving's gRPC there, too. 0: any free one. Off without it.",
)
@click.option(
    "--processors",
    multiple=True,
    metavar="DIR",
    help="A folder of processors, or one processor's folder. May be repeated.",
)
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning"]),
)
@click.option(
    "--log-format",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "text", "json"]),
    help="auto: text on a terminal, JSON lines elsewhere.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set one of the host's bounds; --show-config lists them. May be repeated.",
)
@click.option(
    "--access-log",
    default="",
    metavar="FILE",
    help="A line for each request; - for standard error. Off without it.",
)
@click.option(
    "--access-log-sample",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="The part of the requests that are logged.",
)
@click.option(
    "--otlp-endpoint",
    default="",
    metavar="URL",
    help="Send traces there, as http://127.0.0.1:4318. Needs eas-processor[otel].",
)
@click.option(
    "--host-processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that share the port and the workers; for machines with many cores.",
)
@click.option("--tls-cert", metavar="FILE", help="HTTPS: the server's certificate chain, PEM.")
@click.option("--tls-key", metavar="FILE", help="HTTPS: its key, PEM.")
@click.option("--tls-client-ca", metavar="FILE", help="HTTPS: who signs clients' certificates.")
@click.option("--show-config", is_flag=True, help="Print all that is in force, and end.")
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    host: str,
    port: int,
    grpc_port: int | None,
    processors: tuple[str, ...],
    log_level: str,
    log_format: str,
    settings: tuple[str, ...],
    access_log: str,
    access_log_sample: float,
    otlp_endpoint: str,
    host_processes: int,
    tls_cert: str | None,
    tls_key: str | None,
    tls_client_ca: str | None,
    show_config: bool,
) -> None:
    """Serve one or more service JSON files on one port, until Ctrl-C or SIGTERM."""
    import asyncio

    import uvloop

    from eas_processor import process
    from eas_processor.cli import bounds, image, model_server
    from eas_processor.cli.speaker import Speaker
    from eas_processor.config import load_service
    from eas_processor.errors import ConfigError
    from eas_processor.http import tls
    from eas_processor.http.sockets import free_port, shown
    from eas_processor.observe import logs, watching

    logs.configure(log_level, log_format)
    process.prepare()
    limits = bounds.changed(settings).each_of(host_processes)
    if len(files) == 1 and load_service(Path(files[0])).container is not None:
        given = image.flags(context, files[0])
        context.exit(model_server.run([files[0], *given]))  # an image of TensorFlow Serving
    _refuse_twice(files)
    read = _reader(processors, limits, host_processes > 1)
    plans = {Path(file): read(Path(file)) for file in files}
    if show_config:
        for line in bounds.shown(limits, plans.values()):
            click.echo(line)
        return
    if grpc_port and grpc_port == port:
        raise ConfigError(f"--port and --grpc-port are both {port}: each needs a port of its own")
    pem = _pem(tls_cert, tls_key, tls_client_ca)
    secured = tls.context(*pem) if pem else None
    if grpc_port is not None and host_processes > 1:
        grpc_port = free_port(host, grpc_port)  # which all processes must know
    observing = watching.Observing(
        log_level, log_format, access_log, access_log_sample, otlp_endpoint
    )
    watched = watching.start(observing)

    async def run() -> None:
        from eas_processor.host import Host
        from eas_processor.pool.awake import Awake
        from eas_processor.serving.deployment import Deployment

        deployment = Deployment(read, Awake(), lambda: running.forget_routes())
        deployment.add(plans)
        serving = fronts = None  # whoever needs neither has none of their memory
        if grpc_port is not None or host_processes > 1:
            from eas_processor.fronts.messages import Grpc, Serving

            serving = Serving(grpc=None if grpc_port is None else Grpc(grpc_port, list(pem)))
            if host_processes > 1:
                from eas_processor.fronts.hosting import Fronts

                fronts = Fronts(host_processes, limits, observing, pem, serving)
        running = Host(
            deployment,
            limits,
            _dialects(deployment),
            _grpc(deployment, watched, host, serving, fronts),
            watched,
            secured,
        )
        if fronts is not None:
            running.share_with(fronts)
        scheme = "https" if secured else "http"
        speaker = Speaker(list(plans.values()), shown(host), scheme)
        await running.run(host, port, speaker.listening, speaker.ready)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _refuse_twice(files: tuple[str, ...]) -> None:
    from eas_processor.errors import ConfigError

    paths = [Path(file).resolve() for file in files]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise ConfigError(f"{files[number]} is given twice; it is one service")


def _grpc(
    deployment: Deployment,
    watched: Watching,
    host: str,
    serving: Serving | None,
    fronts: Fronts | None,
) -> Listeners:
    """What listens beside HTTP: gRPC, where a port was given, with HTTP's certificates."""
    grpc = serving.grpc if serving is not None else None
    if serving is None or grpc is None:
        return lambda metrics, bodies: ()
    from eas_processor.fronts import dialects
    from eas_processor.rpc import tfserving
    from eas_processor.serving.states import ServiceStates

    services = deployment.services
    endpoint = dialects.endpoint(host, grpc, shared=fronts is not None)

    def listeners(metrics: Metrics, bodies: Bodies) -> Sequence[Listener]:
        options = dialects.grpc_options(serving, grpc, bodies, watched.watchers)
        states = ServiceStates(services)
        server = tfserving.listener(endpoint, services, states, metrics, options)
        if fronts is not None:
            fronts.methods = server.methods
        return [server]

    return listeners


def _pem(certificate: str | None, key: str | None, client_ca: str | None) -> Sequence[bytes]:
    """The texts of the files, as `http.tls` and gRPC want them; none if none are given."""
    if certificate is None and key is None and client_ca is None:
        return ()
    from eas_processor.errors import ConfigError

    if certificate is None or key is None:
        raise ConfigError("HTTPS needs both --tls-cert and --tls-key")
    paths = [Path(key), Path(certificate), *([Path(client_ca)] if client_ca else [])]
    try:
        return [path.read_bytes() for path in paths]
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from None


def _dialects(deployment: Deployment) -> Callable[[Metrics], list[Resolver]]:
    """TensorFlow Serving's REST API, over the same services."""
    import os

    from eas_processor.api.rest import RestApi, RestOptions
    from eas_processor.config.tokens import ADMIN_TOKEN_VARIABLE
    from eas_processor.serving.states import ServiceStates

    services = deployment.services
    admin_token = os.environ.get(ADMIN_TOKEN_VARIABLE, "").strip()
    options = RestOptions(admin_token=admin_token, reload=deployment.reload)
    states = ServiceStates(services)
    return lambda metrics: [RestApi(services, states, metrics, options).resolve]


def _reader(
    processors: tuple[str, ...], limits: Limits, shared: bool
) -> Callable[[Path], ServicePlan]:
    """What reads a service JSON, at the start and at each reload."""
    from eas_processor.cli import config_notes
    from eas_processor.config import load_service
    from eas_processor.observe import progress
    from eas_processor.registry import Registry
    from eas_processor.serving.plan import ServicePlan

    folders = [Path(folder) for folder in processors]

    def read(file: Path) -> ServicePlan:
        config = load_service(file)
        config_notes.tell(config)
        return ServicePlan(config, Registry(folders), limits, progress.for_stream(), shared)

    return read
