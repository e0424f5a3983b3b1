"""The command line. Each command is a module, imported only when it is the one that is run."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from eas_processor import __version__

COMMANDS = {
    "serve": "Serve one or more service JSON files.",
    "model-server": "Serve models the way tensorflow_model_server does.",
    "reload": "Read the service JSONs of a running host anew.",
    "status": "Show what a running host is doing.",
    "tune": "Measure which settings suit a model, and write the best.",
    "predict": "Run one prediction and print the answer.",
    "describe": "Show the signatures of a model, without a server.",
    "install": "Install processors' runtimes.",
    "processors": "List the processors.",
    "version": "Show versions.",
}


class LazyGroup(click.Group):
    """Knows the commands' names and one line on each; imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(
            f"eas_processor.cli.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With a suggestion where a name is misspelt."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else f" Known: {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        """Run it; a reader that has seen enough (`| head`) is no failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if not _output_is_closed():
                raise
            ctx.exit(0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: help need not import anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _output_is_closed() -> bool:
    """Whether nobody reads standard output; what is left of it then goes nowhere."""
    import os
    import select

    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)  # errors are told unasked
    closed = bool(poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return closed


@click.command(
    cls=LazyGroup,
    epilog="""\b
Examples:
  eas-processor serve service.json
  eas-processor predict service.json request.bin
  eas-processor install tensorflow_cpu_1.15

Exit codes: 0 all well, 1 the prediction failed, 2 a mistake in what you gave,
3 could not start, 130 interrupted with Ctrl-C (a server ends with 0).""",
)
@click.version_option(__version__, prog_name="eas-processor", message="%(prog)s %(version)s")
def group() -> None:
    """Run EAS model processors on your own machine."""


def main() -> None:
    """Entry point: a mistake of the user is one clear line and an exit code, never a traceback."""
    from eas_processor.errors import ConfigError, ServingError

    try:
        sys.exit(group.main(standalone_mode=False))  # click gives the code of ctx.exit, or None
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ServingError as error:
        click.echo(f"error: {error.message}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 3)
    except KeyboardInterrupt:
        sys.exit(130)
