"""`eas-processor describe`: a model's signatures, without a server."""

from __future__ import annotations

from typing import Any

import click

from eas_processor.cli import options


@click.command(
    epilog="""\b
Examples:
  eas-processor describe examples/mnist/model
  eas-processor describe service.json --signature predict_images --json
  eas-processor describe model.tar.gz --processor tensorflow_cpu_1.15"""
)
@click.argument("target", metavar="MODEL|SERVICE.json")
@click.option("--processor", help="Which processor loads it; default: the JSON's, else the newest.")
@options.processors
@click.option("--signature", default="*", help="Only this one; default: all.")
@click.option("--json", "as_json", is_flag=True, help="What an empty request would answer.")
@options.timeout
def command(
    target: str,
    processor: str | None,
    processors: tuple[str, ...],
    signature: str,
    as_json: bool,
    timeout: float,
) -> None:
    """Show the signatures of a model: its inputs and outputs, their types and shapes."""
    import json

    from eas_processor.cli import local
    from eas_processor.errors import Code, ConfigError, ServingError
    from eas_processor.observe import logs
    from eas_processor.worker.frames import Kind

    logs.configure("warning")
    plan = local.plan(target, processor, processors)
    answer = local.ask(plan, lambda ask: ask(Kind.DESCRIBE, signature.encode()), timeout)
    if answer.code != Code.OK:
        words = answer.body.decode("utf-8", "replace")
        if answer.code in (Code.INVALID_ARGUMENT, Code.NOT_FOUND):  # there is no such signature
            raise ConfigError(words)
        raise ServingError(Code(answer.code), words)
    if as_json:
        click.echo(answer.body, nl=False)
        return
    try:
        found = json.loads(answer.body)
        for entry in [found] if "signature_name" in found else found.values():
            click.echo(_signature(entry))
    except (ValueError, LookupError, TypeError, AttributeError):  # not every processor has any
        click.echo(answer.body)


def _signature(entry: dict[str, Any]) -> str:
    lines = [f"signature {entry['signature_name']}"]
    for side in ("inputs", "outputs"):
        for tensor in entry[side]:
            shape = "any rank" if tensor.get("unknown_rank") else tensor["shape"]
            lines.append(f"  {side[:-1]:6} {tensor['name']:24} {tensor['type']:12} {shape}")
    return "\n".join(lines)
