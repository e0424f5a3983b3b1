"""`eas-processor serve` for an image deployment of TensorFlow Serving: the file says all.

The script of the container holds the model server's flags. Options of `serve` that were given
beside the file become flags, which count more; those that have no such flag are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.core import ParameterSource

from eas_processor.errors import ConfigError

# The flag that does there what an option does here.
FLAGS = {
    "--host": "--host",
    "--port": "--rest_api_port",
    "--grpc-port": "--port",
    "--processors": "--processors",
    "--log-level": "--log_level",
    "--log-format": "--log_format",
    "--access-log": "--access_log",
    "--access-log-sample": "--access_log_sample",
    "--otlp-endpoint": "--otlp_endpoint",
    "--host-processes": "--host_processes",
}


def flags(context: click.Context, file: str) -> list[str]:
    """The options that were given, as flags. Raises ConfigError for one that has none."""
    given = dict(_given(context))
    without = [option for option in given if option not in FLAGS]
    if without:
        raise ConfigError(
            f"{file}: an image of TensorFlow Serving takes its flags from containers[0].script; "
            f"without effect here: {', '.join(without)}"
        )
    return [f"{FLAGS[option]}={text}" for option, text in given.items()]


def _given(context: click.Context) -> Iterator[tuple[str, str]]:
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if isinstance(option, click.Option) and source is ParameterSource.COMMANDLINE:
            value = context.params[option.name or ""]
            yield option.opts[0], ",".join(value) if isinstance(value, tuple) else str(value)
