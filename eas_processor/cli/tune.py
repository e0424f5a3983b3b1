"""`eas-processor tune`: try a model's settings on this machine, show them, write the best."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eas_processor.cli import options

if TYPE_CHECKING:
    from eas_processor.config import ServiceConfig
    from eas_processor.tuning.settings import Measured, Setting

MEMORY_KEPT_BYTES = 1 << 30  # of the machine's, for everything else


@click.command(
    epilog="""\b
Examples:
  eas-processor tune service.json
  eas-processor tune service.json --p99-ms 20 --connections 64
  eas-processor tune service.json --request recorded.bin --dry-run

The requests are those of --request, else of the service JSON's warm_up_data_path, else ones that
fit the signature. The load comes from this process, so it takes part of the machine itself."""
)
@click.argument("file", metavar="SERVICE.json")
@click.option("--p99-ms", type=click.FloatRange(min=0.01), help="The goal: p99 within this bound.")
@click.option("--connections", default=16, show_default=True, type=click.IntRange(1, 4096),
              help="How many ask at once.")  # fmt: skip
@click.option("--seconds", default=3.0, show_default=True, type=click.FloatRange(0.2, 3600),
              help="How long each setting is measured.")  # fmt: skip
@click.option("--request", "request_files", multiple=True, type=click.Path(exists=True),
              help="A recorded request (.bin). May be repeated.")  # fmt: skip
@options.processors
@click.option("--dry-run", is_flag=True, help="Leave the service JSON as it is.")
@click.pass_context
def command(
    context: click.Context,
    file: str,
    p99_ms: float | None,
    connections: int,
    seconds: float,
    request_files: tuple[str, ...],
    processors: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Measure which settings suit a model: workers, threads and batch size.

    Prints throughput, p50, p99 and memory of each, and writes the one with the most requests a
    second (within --p99-ms, if it is given) into the service JSON, whose comments stay.
    """
    from eas_processor.config import jsonc_edit, load_service
    from eas_processor.observe import logs
    from eas_processor.tuning import settings, table

    logs.configure("warning", "text")
    config = load_service(Path(file))
    run = _runner(config, request_files, processors, connections, seconds)
    measured = asyncio.run(_search(run, _layouts(config), connections))
    chosen = settings.best(measured, p99_ms)
    for line in table.lines(measured, chosen):
        click.echo(line)
    if chosen is None:
        click.echo(f"no setting keeps p99 within {p99_ms:g} ms with {connections} asking at once")
        context.exit(1)
    if dry_run:
        return
    path = Path(file)
    text = jsonc_edit.changed(path.read_text("utf-8-sig"), chosen.setting.keys(), file)
    path.write_text(text, "utf-8")
    click.echo(f"{file}: written: {chosen.setting}")


def _layouts(config: ServiceConfig) -> list[Setting]:
    import os

    from eas_processor.tuning import settings

    with_threads = "tensorflow" in config.processor
    cores = len(os.sched_getaffinity(0))
    return settings.layouts(cores, cores, with_threads)


def _runner(
    config: ServiceConfig,
    request_files: tuple[str, ...],
    processors: tuple[str, ...],
    connections: int,
    seconds: float,
) -> Callable[[Setting], Awaitable[Measured]]:
    """What measures one setting, saying so."""
    from eas_processor.config import Limits
    from eas_processor.observe import progress
    from eas_processor.registry import Registry
    from eas_processor.serving.plan import ServicePlan
    from eas_processor.tuning.measure import measure

    limits = Limits()
    registry = Registry([Path(folder) for folder in processors])
    bodies = [Path(request).read_bytes() for request in request_files]

    async def run(setting: Setting) -> Measured:
        click.echo(f"measuring {setting}", err=True)
        applied = setting.applied(config, connections)
        plan = ServicePlan(applied, registry, limits, progress.for_stream())
        recorded = bodies or [request.body for request in await asyncio.to_thread(plan.warm_ups)]
        return await measure(setting, plan, recorded, connections, seconds)

    return run


async def _search(
    run: Callable[[Setting], Awaitable[Measured]], layouts: Sequence[Setting], callers: int
) -> list[Measured]:
    """The layouts without batching, then batch sizes that can fill up for the two best of them."""
    from eas_processor.tuning import settings

    measured: list[Measured] = []
    for layout in layouts:
        if measured and not _fits(measured[0], layout):
            click.echo(f"left out, for want of memory: {layout}", err=True)
            continue
        measured.append(await run(layout))
    sizes = [size for size in settings.BATCH_SIZES if size <= callers]
    for base in sorted(measured, key=lambda one: -one.per_s)[:2]:
        for size in sizes:
            measured.append(await run(base.setting.batched(size)))
    return measured


def _fits(first: Measured, layout: Setting) -> bool:
    """Whether that many workers have room, by what the first setting took for each of its own."""
    each = first.memory_bytes // first.setting.instances
    with open("/proc/meminfo", encoding="ascii") as file:
        available = next(line for line in file if line.startswith("MemAvailable"))
    return each * layout.instances + MEMORY_KEPT_BYTES < int(available.split()[1]) << 10
