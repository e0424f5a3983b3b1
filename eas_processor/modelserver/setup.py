"""What a model server is to be, read once at its start: flags, the files they name, this machine.

`read` opens every file that a flag names, so that a mistake ends the start and not a load.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from eas_processor.config import Limits
from eas_processor.config.tokens import ADMIN_TOKEN_VARIABLE, TOKEN_VARIABLE
from eas_processor.modelserver import files, flag_rules
from eas_processor.modelserver.configs import BatchingParameters, Monitoring, Ssl
from eas_processor.modelserver.flags import Flags
from eas_processor.modelserver.processors import Processors
from eas_processor.modelserver.service_json import PathMap
from eas_processor.observe.progress import Progress
from eas_processor.registry import Registry

NO_MOUNTS = PathMap()
NO_MONITORING = Monitoring()


@dataclass(frozen=True)
class Setup:
    """All that loads and servers need to know.

    paths: where the folders of a container are here. workers: processes for each version.
    environment: of the workers, beside the host's. batching: None where requests are not joined.
    """

    flags: Flags
    processors: Processors
    limits: Limits
    new_progress: Callable[[], Progress]
    paths: PathMap = NO_MOUNTS
    workers: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    batching: BatchingParameters | None = None
    session_config: str = ""
    monitoring: Monitoring = NO_MONITORING
    ssl: Ssl | None = None


def read(
    flags: Flags,
    limits: Limits,
    new_progress: Callable[[], Progress],
    *,
    paths: PathMap = NO_MOUNTS,
    workers: int = 1,
    environment: dict[str, str] | None = None,
) -> tuple[Setup, list[str]]:
    """Check the flags and read what they name; also what the user should know.

    limits: of the host as a whole.

    Raises ConfigError. Blocking.
    """
    flags, notes = flag_rules.checked(with_tokens(flags))
    folders = [Path(paths.local(folder)) for folder in split(flags.processors)]
    batching = None
    if flags.enable_batching:
        path = paths.local(flags.batching_parameters_file)
        batching = files.read_batching(path) if path else BatchingParameters()
    setup = Setup(
        flags=flags,
        processors=Processors(Registry(folders), flags.processor, flags.model_processors),
        limits=limits.each_of(flags.host_processes),
        new_progress=new_progress,
        paths=paths,
        workers=workers,
        environment=environment or {},
        batching=batching,
        session_config=_text(paths, flags.tensorflow_session_config_file),
        monitoring=files.read_monitoring(paths.local(flags.monitoring_config_file))
        if flags.monitoring_config_file
        else NO_MONITORING,
        ssl=files.read_ssl(paths.local(flags.ssl_config_file)) if flags.ssl_config_file else None,
    )
    return setup, notes


def split(text: str) -> list[str]:
    """The items of a comma list."""
    return [item.strip() for item in text.split(",") if item.strip()]


def with_tokens(flags: Flags) -> Flags:
    """Tokens of the environment, which other users can not see, where no flag has one."""
    return msgspec.structs.replace(
        flags,
        token=flags.token or os.environ.get(TOKEN_VARIABLE, "").strip(),
        admin_token=flags.admin_token or os.environ.get(ADMIN_TOKEN_VARIABLE, "").strip(),
    )


def _text(paths: PathMap, path: str) -> str:
    return files.read_text(paths.local(path)) if path else ""
