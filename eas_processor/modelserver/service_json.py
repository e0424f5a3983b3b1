"""An image deployment of TensorFlow Serving, as a service JSON for EAS describes it, run here.

The image's version names a processor, the script is read for its flags, and what `storage` mounts
is mapped: the paths in flags and files stay as they were written for the container.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from eas_processor.config import Container, Mount, ServiceConfig
from eas_processor.errors import ConfigError
from eas_processor.modelserver import flags as flag_reader
from eas_processor.modelserver.flags import FlagError, Flags, Parsed
from eas_processor.registry import Registry

_TAG = re.compile(r"v?(?P<minor>\d+\.\d+)(?:\.\d+)?(?:[.-]?rc\d+)?(?P<rest>(?:-[a-z0-9]+)*)")
_NEWEST = re.compile(r"(?:latest|nightly)(?P<rest>(?:-[a-z0-9]+)*)")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_SHELL_SIGNS = frozenset({"&&", "||", ";", "|", "&", ">", "<", ">>"})
_BEFORE_A_PROGRAM = frozenset({"exec", "sh", "bash", "nohup", "env"})
_ENTRY_POINT = "tf_serving_entrypoint.sh"
_PROGRAM = "tensorflow_model_server"
_SCRIPT_HINT = "write /usr/bin/tf_serving_entrypoint.sh and flags, as --model_name=…"


class PathMap(msgspec.Struct, frozen=True):
    """From paths as the container would see them to where the files are: (mount path, source)."""

    mounts: tuple[tuple[str, str], ...] = ()

    def local(self, path: str) -> str:
        """The path here; one below no mount stays as it is. The longest mount path counts."""
        if not path.startswith("/"):
            return path
        asked = PurePosixPath(os.path.normpath(path))
        for place, source in sorted(self.mounts, key=lambda mount: -len(mount[0])):
            if asked.is_relative_to(place):
                rest = str(asked.relative_to(place))
                return source if rest == "." else f"{source.rstrip('/')}/{rest}"
        return path


class Launch(msgspec.Struct, frozen=True):
    """A service JSON as what it starts. workers: processes for each version."""

    config: ServiceConfig
    parsed: Parsed
    paths: PathMap
    workers: int
    environment: dict[str, str]
    notes: tuple[str, ...]


def launch(config: ServiceConfig, registry: Registry, more: Sequence[str] = ()) -> Launch:
    """Read a service JSON whose `container` is set. Raises ConfigError, FlagError.

    more: flags that were given beside the file; they count more than the script's.
    """
    container = config.container
    assert container is not None
    environment = dict(container.environment)
    arguments = _arguments(config, container, environment)
    try:
        parsed = flag_reader.parse(arguments)
    except FlagError as error:
        raise ConfigError(f"{config.source}: containers.script: {error}") from None
    if more:
        parsed = flag_reader.parse([*arguments, *more])
    flags = parsed.flags
    flags = msgspec.structs.replace(
        flags,
        processor=flags.processor or _processor(config, container, registry),
        token=flags.token or config.token or "",
    )
    return Launch(
        config=config,
        parsed=msgspec.structs.replace(parsed, flags=flags),
        paths=PathMap(tuple(_mount(config, mount) for mount in config.storage)),
        workers=config.metadata.instance,
        environment={**environment, **config.processor_envs},
        notes=tuple(_port_notes(config, container, flags)),
    )


def _mount(config: ServiceConfig, mount: Mount) -> tuple[str, str]:
    source = mount.source
    if "://" not in source:
        source = str(config.folder / os.path.expanduser(source))
    return os.path.normpath(mount.mount_path), source


def _arguments(
    config: ServiceConfig, container: Container, environment: dict[str, str]
) -> list[str]:
    """The script as arguments; assignments before the program go to the environment."""

    def wrong(what: str) -> ConfigError:
        return ConfigError(f"{config.source}: containers.script: {what}; {_SCRIPT_HINT}")

    if not container.script.strip():
        return flag_reader.entry_point(environment)
    try:
        words = _words(container.script)
    except ValueError as error:
        raise wrong(f"can not be read as a shell would: {error}") from None
    signs = _SHELL_SIGNS.intersection(words)
    if signs:
        raise wrong(f"one command is wanted, found {' and '.join(sorted(signs))}")
    while words and (_ASSIGNMENT.fullmatch(words[0]) or _base(words[0]) in _BEFORE_A_PROGRAM):
        word = words.pop(0)
        if "=" in word:
            name, _, value = word.partition("=")
            environment[name] = value
    program = _base(words[0]) if words else ""
    if program == _ENTRY_POINT:
        return [*flag_reader.entry_point(environment), *words[1:]]
    if program == _PROGRAM:
        return ["--rest_api_port=0", *words[1:]]
    raise wrong(f"{program or 'nothing'} is not a program that is run here")


def _words(script: str) -> list[str]:
    """As a shell splits them; `bash -c "…"` is what stands in the quotes."""
    words = shlex.split(script)
    for at, word in enumerate(words[:-1]):
        if word == "-c" and at and _base(words[at - 1]) in ("sh", "bash"):
            return [*words[: at - 1], *shlex.split(words[at + 1])]
    return words


def _base(word: str) -> str:
    return word.rpartition("/")[2]


def _processor(config: ServiceConfig, container: Container, registry: Registry) -> str:
    """The processor of an image's version; "" (the newest installed) for `latest`."""
    tag = container.tag or "latest"
    newest = _NEWEST.fullmatch(tag)
    version = _TAG.fullmatch(tag)
    device = "gpu" if "gpu" in tag else "cpu"
    there = [m for m in registry.all() if m.tensorflow and m.name.startswith("tensorflow_")]
    if newest:
        return there[-1].name if device == "gpu" and there else ""
    wanted = f"tensorflow_{device}_{version['minor']}" if version else ""
    if wanted in {manifest.name for manifest in there}:
        return wanted
    names = ", ".join(manifest.name for manifest in there if manifest.device == device)
    raise ConfigError(
        f"{config.source}: containers.image: there is no processor for the version in "
        f"{container.image!r}; there are: {names}. Name one of them in the script: --processor=NAME"
    )


def _port_notes(config: ServiceConfig, container: Container, flags: Flags) -> list[str]:
    """What is odd about the port that the platform would connect to."""
    port = container.port
    if port is None:
        return []
    if port not in (flags.port, flags.rest_api_port):
        return [
            f"{config.source}: containers.port: nothing listens on {port}: gRPC is on "
            f"{flags.port}, REST on {flags.rest_api_port or 'no port'}"
        ]
    if port == flags.port and not container.http2:
        return [
            f"{config.source}: port {port} speaks gRPC; the cloud service wants "
            "metadata.enable_http2 for it. It makes no difference here"
        ]
    return []
