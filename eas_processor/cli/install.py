"""`eas-processor install`: make processors' runtimes."""

from __future__ import annotations

import click

from eas_processor.cli import options


@click.command(
    epilog="""\b
Examples:
  eas-processor install tensorflow_cpu_1.15
  eas-processor install tensorflow_cpu_2.7 tensorflow_gpu_2.7
  eas-processor install --all-cpu
  eas-processor install my_processor --processors ./my_processors
  EAS_PYTHON_3_7=/opt/py37/bin/python eas-processor install tensorflow_cpu_1.14

Runtimes lie in $EAS_PROCESSOR_CACHE (default: ~/.cache/eas-processor). One that is
there already is left as it is. `eas-processor processors` lists the names."""
)
@click.argument("names", nargs=-1, metavar="NAME…")
@click.option("--all-cpu", is_flag=True, help="Every processor that needs no GPU.")
@options.processors
def command(names: tuple[str, ...], all_cpu: bool, processors: tuple[str, ...]) -> None:
    """Install the runtimes of processors: an interpreter with its own pinned TensorFlow."""
    from pathlib import Path

    from eas_processor.errors import StartError
    from eas_processor.observe.progress import for_stream
    from eas_processor.registry import Registry
    from eas_processor.runtimes import install

    registry = Registry([Path(folder) for folder in processors])
    wanted = {manifest.name: manifest for manifest in map(registry.get, names)}
    if all_cpu:
        wanted |= {m.name: m for m in registry.all() if m.device == "cpu" and m.lock}
    if not wanted:
        raise click.UsageError("Name a processor, or say --all-cpu.")
    failed = []
    for manifest in wanted.values():
        try:
            runtime = install(manifest, for_stream())
        except StartError as error:
            if len(wanted) == 1:
                raise
            failed.append(manifest.name)
            click.echo(f"error: {error.message}", err=True)
        else:
            click.echo(f"{manifest.name}: {runtime.python}")
    if failed:
        raise StartError(f"{len(failed)} of {len(wanted)} not installed: {', '.join(failed)}.")
