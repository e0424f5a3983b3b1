"""`eas-processor processors`: what there is, and what of it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eas_processor.cli import options

if TYPE_CHECKING:
    from eas_processor.registry import Manifest

HEADS = ("NAME", "TENSORFLOW", "PYTHON", "DEVICE", "STATE", "ALIASES")


@click.command(
    epilog="""\b
Examples:
  eas-processor processors
  eas-processor processors --json
  eas-processor processors --processors ./my_processors"""
)
@click.option("--json", "as_json", is_flag=True, help="All that is known, for programs.")
@options.processors
def command(as_json: bool, processors: tuple[str, ...]) -> None:
    """List the processors: TensorFlow, Python, device, installed or not, and why not."""
    import json
    from pathlib import Path

    from eas_processor.registry import Registry

    registry = Registry([Path(folder) for folder in processors])
    rows = [_row(manifest) for manifest in registry.all()]
    for problem in registry.broken.values():
        click.echo(f"not read: {problem}", err=True)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = [HEADS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["why_not"]:
            reasons.setdefault(str(row["why_not"]), []).append(str(row["name"]))
    for reason, names in reasons.items():
        click.echo(f"\nNot installable here: {', '.join(names)}: {reason}.")


def _row(manifest: Manifest) -> dict[str, object]:
    from eas_processor.runtimes import find, why_not

    runtime = find(manifest)
    return {
        "name": manifest.name,
        "description": manifest.description,
        "tensorflow": manifest.tensorflow,
        "python": list(manifest.python),
        "device": manifest.device,
        "aliases": list(manifest.aliases),
        "folder": str(manifest.folder),
        "installed": runtime is not None,
        "interpreter": str(runtime.python) if runtime else None,
        "why_not": None if runtime else why_not(manifest),
    }


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    python, aliases = row["python"], row["aliases"]
    assert isinstance(python, list) and isinstance(aliases, list)
    state = "installed" if row["installed"] else "not here" if row["why_not"] else "not installed"
    return (
        str(row["name"]),
        str(row["tensorflow"] or "-"),
        " ".join(python) or "any",
        str(row["device"]),
        state,
        " ".join(aliases),
    )
