"""`eas-processor version`."""

import click


@click.command()
def command() -> None:
    """Show the versions of this program, of Python and of the libraries below."""
    import platform
    from importlib.metadata import version
    from importlib.util import find_spec

    from eas_processor import __version__

    click.echo(f"eas-processor {__version__}")
    click.echo(f"Python {platform.python_version()}")
    for library in ("uvloop", "httptools", "protobuf"):
        click.echo(f"{library} {version(library)}")
    native = find_spec("eas_processor.codec._skeleton")
    click.echo(f"large JSON bodies: {'in C' if native else 'in Python, as no C was compiled'}")
