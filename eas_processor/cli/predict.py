"""`eas-processor predict`: one request to a model or a running service, the answer as a table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eas_processor.cli import options

if TYPE_CHECKING:
    from eas_processor.pool.call import Answer
    from eas_processor.worker.frames import Kind

VALUES_SHOWN = 10


@click.command(
    epilog="""\b
Examples:
  eas-processor predict service.json request.bin
  eas-processor predict examples/mnist/model digits.npy --signature predict_images
  eas-processor predict model/ request.json --processor tensorflow_cpu_1.15
  eas-processor predict http://127.0.0.1:8080/api/predict/mnist digits.npy --token T

A .json request: {"signature_name": "...", "inputs": {"images": [[0.1, ...]]}}.
Two inputs as .npy: --input a=a.npy --input b=b.npy."""
)
@click.argument("target", metavar="MODEL|SERVICE.json|URL")
@click.argument("request_file", metavar="[REQUEST.bin|.json|.npy]", required=False)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE.npy",
    help="One input, instead of a request file. May be repeated.",
)
@click.option("--signature", default="", help="Default: the model's own default.")
@click.option("--output", "outputs", multiple=True, help="Only this output. May be repeated.")
@click.option("--processor", help="Which processor runs it; default: the JSON's, else the newest.")
@options.processors
@click.option("--token", default="", help="Of a running service.")
@click.option("--save", type=click.Path(), help="Write the answer's bytes here.")
@click.option(
    "--save-request", type=click.Path(), help="Write the request's bytes: a warm-up file."
)
@options.timeout
def command(
    target: str,
    request_file: str | None,
    inputs: tuple[str, ...],
    processor: str | None,
    processors: tuple[str, ...],
    token: str,
    timeout: float,
    **more: Any,
) -> None:
    """Run one prediction and print the outputs."""
    from eas_processor.cli import local
    from eas_processor.errors import Code
    from eas_processor.observe import logs

    logs.configure("warning")
    if bool(request_file) == bool(inputs):
        raise click.UsageError("give a request file, or --input NAME=FILE.npy, and not both")
    for pair in inputs:
        if "=" not in pair:
            raise click.UsageError(f"--input {pair}: write --input NAME=FILE.npy")
    maker = _RequestMaker(request_file, inputs, more["signature"], list(more["outputs"]))

    async def question(ask: Callable[[Kind, bytes], Awaitable[Answer]]) -> Answer:
        from eas_processor.worker.frames import Kind

        body = await maker.make(ask)
        if more["save_request"]:
            _write(more["save_request"], body)
        return await ask(Kind.PROCESS, body)

    _refuse_bare_address(target)
    if target.startswith(("http://", "https://")) and "/api/predict/" in target:
        from eas_processor.cli import remote

        answer = remote.ask(target, token, question, timeout)
    else:
        answer = local.ask(local.plan(target, processor, processors), question, timeout)
    if answer.code != Code.OK:
        click.echo(f"error: {answer.body.decode('utf-8', 'replace').strip()}", err=True)
        raise click.exceptions.Exit(1)
    if more["save"]:
        _write(more["save"], answer.body)
    try:
        _print_outputs(answer.body)
    except ValueError:  # not every processor answers a PredictResponse
        click.echo(answer.body)


def _refuse_bare_address(target: str) -> None:
    """A URL may be a model's, too: but not one without a path, or a service without a name."""
    from eas_processor.errors import ConfigError

    scheme, there, rest = target.partition("://")
    address, _, path = rest.partition("/")
    if there and scheme in ("http", "https") and path.strip("/") in ("", "api/predict"):
        raise ConfigError(
            f"{target} names no service: write {scheme}://{address}/api/predict/<service>"
        )


class _RequestMaker:
    """Makes the request's bytes from what the user gave, asking the model for types if need be."""

    def __init__(
        self, file: str | None, inputs: tuple[str, ...], signature: str, outputs: list[str]
    ) -> None:
        self._file = Path(file) if file else None
        self._inputs = inputs
        self._signature = signature
        self._outputs = outputs

    async def make(self, ask: Callable[[Kind, bytes], Awaitable[Answer]]) -> bytes:
        """Raises ConfigError for what cannot become a request of this model."""
        from eas_processor.codec import predict
        from eas_processor.errors import ConfigError

        file = self._file
        if file is not None and file.suffix not in (".json", ".npy"):
            try:
                return file.read_bytes()
            except OSError as error:
                raise ConfigError(f"{file}: {error.strerror}") from None
        signature, outputs = self._signature, self._outputs
        values: dict[str, Any] = {}
        if file is not None and file.suffix == ".json":
            named, values, filtered = predict.read_json(file)
            signature, outputs = signature or named, outputs or filtered
        values |= {name: _read_npy(Path(path)) for name, path in self._pairs()}
        lone = _read_npy(file) if file is not None and file.suffix == ".npy" else None
        types = await self._types(ask, signature)
        if lone is not None:
            if len(types) != 1:
                raise ConfigError(
                    f"the signature has {len(types)} inputs ({', '.join(types)}); "
                    "give each with --input NAME=FILE.npy"
                )
            values = {next(iter(types)): lone}
        unknown = [name for name in values if name not in types]
        if unknown:
            raise ConfigError(f"no input {unknown[0]!r}; the signature has {', '.join(types)}")
        typed = {name: (types[name], value) for name, value in values.items()}
        return predict.request(signature, typed, outputs)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for pair in self._inputs:
            name, _, path = pair.partition("=")
            yield name, path

    async def _types(
        self, ask: Callable[[Kind, bytes], Awaitable[Answer]], signature: str
    ) -> dict[str, str]:
        import json

        from eas_processor.errors import Code, ConfigError
        from eas_processor.worker.frames import Kind

        answer = await ask(Kind.DESCRIBE, signature.encode())
        if answer.code != Code.OK:
            raise ConfigError(answer.body.decode("utf-8", "replace").strip())
        try:
            return {entry["name"]: entry["type"] for entry in json.loads(answer.body)["inputs"]}
        except (ValueError, LookupError, TypeError):
            raise ConfigError(
                "the processor does not tell its inputs; give the request as its bytes (.bin)"
            ) from None


def _write(path: str, body: bytes) -> None:
    from eas_processor.errors import ConfigError

    try:
        Path(path).write_bytes(body)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def _read_npy(path: Path) -> Any:
    import numpy as np

    from eas_processor.errors import ConfigError

    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{path}: not a .npy file: {error}") from None


def _print_outputs(body: bytes) -> None:
    """One line for each output: name, type, shape, the first values."""
    import numpy as np

    from eas_processor.codec import predict

    outputs = predict.response(body)
    rows = [("output", "type", "shape", "values")]
    for name, (type_name, array) in sorted(outputs.items()):
        shown = np.array2string(
            array.ravel()[:VALUES_SHOWN], precision=6, max_line_width=10_000, separator=" "
        )
        more = " …" if array.size > VALUES_SHOWN else ""
        rows.append((name, type_name, str(list(array.shape)), shown + more))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        click.echo("  ".join(cells).rstrip())
