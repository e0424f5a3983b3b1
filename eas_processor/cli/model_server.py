"""`eas-model-server`: tensorflow_model_server's flags, or EAS's service JSON for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from eas_processor.modelserver.flags import Flags, Parsed
    from eas_processor.modelserver.service_json import Launch

FAILED = 255  # tensorflow_model_server ends with -1
NOT_PARSED = "Error parsing text-format "


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Serve models the way tensorflow_model_server does."""
    context.exit(run(list(arguments)))


def main() -> None:
    """Entry point of `eas-model-server`."""
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)


def run(arguments: list[str]) -> int:
    """Do what the arguments say; the exit code. What goes wrong is told on standard output.

    A file that does not parse is told on standard error, too.
    """
    from eas_processor.errors import ServingError
    from eas_processor.modelserver import flags as flag_reader
    from eas_processor.modelserver.usage import usage

    try:
        launch = _launch(arguments)
        parsed = launch.parsed if launch else flag_reader.parse(arguments, os.environ)
        if launch is None:
            _refuse_file_among_flags(parsed)
        for argument in parsed.unknown:
            print(flag_reader.unknown_argument(argument))
        if parsed.unknown or parsed.flags.help:
            print(usage(), end="")
        if parsed.flags.help:
            return 0
        if parsed.flags.version:
            return _version(parsed.flags)
        sys.stdout.flush()
        _serve(parsed, launch)
    except flag_reader.FlagError as error:
        print(f"{error}\n{usage()}", end="")
        return FAILED
    except ServingError as error:
        print(f"Failed to start server. Error: {error.message}", flush=True)
        if NOT_PARSED in error.message:  # launch scripts look for it there
            print(error.message, file=sys.stderr, flush=True)
        return FAILED
    return 0


def _launch(arguments: list[str]) -> Launch | None:
    """What a service JSON says, and the flags behind it, where that is what was given."""
    if not arguments or arguments[0].startswith("-") or not arguments[0].endswith(".json"):
        return None
    from eas_processor.config import load_service
    from eas_processor.errors import ConfigError
    from eas_processor.modelserver import service_json
    from eas_processor.registry import Registry

    config = load_service(Path(arguments[0]))
    if config.container is None:
        raise ConfigError(
            f"{arguments[0]} names a processor; start it with `eas-processor serve {arguments[0]}`"
        )
    return service_json.launch(config, Registry(), arguments[1:])


def _refuse_file_among_flags(parsed: Parsed) -> None:
    from eas_processor.errors import ConfigError

    files = [word for word in parsed.unknown if word.endswith(".json") and word[0] not in "-–—"]
    if files and not parsed.flags.help:
        raise ConfigError(
            f"{files[0]}: a service JSON comes first: eas-model-server {files[0]} --port=…"
        )


def _version(flags: Flags) -> int:
    from eas_processor import __version__
    from eas_processor.modelserver.configs import ModelConfig
    from eas_processor.modelserver.processors import Processors
    from eas_processor.registry import Registry

    chosen = Processors(Registry(), flags.processor).of(ModelConfig(name="", base_path="/"))
    print(f"TensorFlow ModelServer: eas-processor {__version__}")
    print(f"TensorFlow Library: {chosen.tensorflow or 'none'}")
    return 0


def _serve(parsed: Parsed, launch: Launch | None) -> None:
    import asyncio

    import structlog
    import uvloop

    from eas_processor import process
    from eas_processor.cli import config_notes
    from eas_processor.cli.model_server_host import run_host
    from eas_processor.config import Limits
    from eas_processor.modelserver import flag_rules
    from eas_processor.modelserver import setup as setups
    from eas_processor.observe import logs, progress

    flag_rules.refuse_values(parsed.flags)  # those of the log, before it is set up
    logs.configure(parsed.flags.log_level, parsed.flags.log_format)
    process.prepare()
    limits = Limits()
    if launch is None:
        setup, notes = setups.read(parsed.flags, limits, progress.for_stream)
    else:
        config_notes.tell(launch.config)
        setup, notes = setups.read(
            parsed.flags,
            limits,
            progress.for_stream,
            paths=launch.paths,
            workers=launch.workers,
            environment=launch.environment,
        )
        notes = [*launch.notes, *notes]
    for note in (*parsed.notes, *notes):
        structlog.get_logger("flags").warning(note)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_host(setup))
