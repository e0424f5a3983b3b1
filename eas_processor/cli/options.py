"""Options that several commands have."""

import click

timeout = click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds for the answer.",
)
processors = click.option(
    "--processors", multiple=True, metavar="DIR", help="A folder of processors."
)
