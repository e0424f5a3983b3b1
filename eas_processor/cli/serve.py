"""`eas-processor serve`: read the service JSONs, build the host, run it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from eas_processor.config import Limits
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
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any free one.",
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
def command(
    files: tuple[str, ...],
    host: str,
    port: int,
    processors: tuple[str, ...],
    log_level: str,
    log_format: str,
) -> None:
    """Serve one or more service JSON files on one port, until Ctrl-C or SIGTERM."""
    import asyncio

    import uvloop

    from eas_processor.config import Limits
    from eas_processor.host import Host
    from eas_processor.observe import logs

    logs.configure(log_level, log_format)
    _allow_open_files()
    limits = Limits()
    plans = _plans(files, processors, limits)
    speaker = _Speaker(plans, host)
    serving = Host(plans, limits).run(host, port, speaker.listening, speaker.ready)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


def _allow_open_files() -> None:
    """As many as the system lets us have: each connection is one."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _plans(
    files: tuple[str, ...], processors: tuple[str, ...], limits: Limits
) -> list[ServicePlan]:
    import structlog

    from eas_processor.config import load_service
    from eas_processor.errors import ConfigError
    from eas_processor.observe import progress
    from eas_processor.registry import Registry
    from eas_processor.serving.plan import ServicePlan

    log = structlog.get_logger("config")
    registry = Registry([Path(folder) for folder in processors])
    plans: dict[str, ServicePlan] = {}
    for file in files:
        config = load_service(Path(file))
        for warning in config.warnings:
            log.warning(warning, file=file)
        if config.ignored:
            log.info("keys without effect here", file=file, keys=", ".join(config.ignored))
        if config.name in plans:
            raise ConfigError(f"{file}: name: another file has a service {config.name!r} already")
        plans[config.name] = ServicePlan(config, registry, limits, progress.for_stream())
    return list(plans.values())


class _Speaker:
    """Says on standard error what a person at a terminal wants to know."""

    def __init__(self, plans: list[ServicePlan], host: str) -> None:
        self._plans = plans
        self._base = f"http://{host}"

    def listening(self, port: int) -> None:
        """The port is open; nothing is ready yet."""
        self._base += f":{port}"
        for plan in self._plans:
            if plan.generated_token:
                _say(f"{plan.name}: generated token {plan.token}")
        _say(f"listening on {self._base}")

    def ready(self) -> None:
        """All services are."""
        for plan in self._plans:
            _say(f"{plan.name}: ready at {self._base}/api/predict/{plan.name}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens: no reason not to serve
        click.echo(text, err=True)
