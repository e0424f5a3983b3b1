"""`--grpc_channel_arguments`: gRPC's own names for what its server can be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from eas_processor.errors import ConfigError
from eas_processor.http2.upkeep import Bounds
from eas_processor.rpc import wire

FOR_EVER = (1 << 31) - 1  # and -1: how gRPC writes that there is no bound

log = structlog.get_logger("grpc")


class Settings(NamedTuple):
    """bounds: of each connection. receive_bytes_max, send_bytes_max: of a message. shares_port:
    whether other servers may listen on the port, too.
    """

    bounds: Bounds
    receive_bytes_max: int
    send_bytes_max: int
    shares_port: bool


def _seconds(value: int) -> float | None:
    return None if value in (-1, FOR_EVER) else value / 1000


def _bytes(value: int) -> int:
    return wire.LENGTH_MAX if value == -1 else value


def _count(value: int) -> int:
    return FOR_EVER if value == -1 else value


_READ: dict[str, tuple[str, Callable[[int], Any]]] = {
    "grpc.max_concurrent_streams": ("streams_max", _count),
    "grpc.max_metadata_size": ("fields_bytes_max", _count),
    "grpc.absolute_max_metadata_size": ("fields_bytes_max", _count),
    "grpc.max_connection_idle_ms": ("idle_s", _seconds),
    "grpc.max_connection_age_ms": ("age_s", _seconds),
    "grpc.max_connection_age_grace_ms": ("age_grace_s", _seconds),
    "grpc.keepalive_time_ms": ("ping_s", _seconds),
    "grpc.keepalive_timeout_ms": ("ping_answer_s", _seconds),
    "grpc.max_message_length": ("receive_bytes_max", _bytes),
    "grpc.max_receive_message_length": ("receive_bytes_max", _bytes),
    "grpc.max_send_message_length": ("send_bytes_max", _bytes),
    "grpc.so_reuseport": ("shares_port", bool),
}
KNOWN = tuple(_READ)


def settings(arguments: Sequence[str]) -> Settings:
    """What they say, each as KEY=VALUE; the last of a name counts. Raises ConfigError.

    What is not known is logged: most of gRPC's arguments are about the inside of its own library.
    """
    told: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(f"--grpc_channel_arguments: {argument!r} is not KEY=VALUE")
        if key not in _READ:
            log.warning("this channel argument has no effect", argument=key, known=KNOWN)
            continue
        name, read = _READ[key]
        digits = value.removeprefix("-")
        if not digits.isdecimal() or int(value) < -1:
            words = "this channel argument is no whole number (-1 for no bound): it has no effect"
            log.warning(words, argument=key, value=value)
            continue
        told[name] = read(int(value))
    receive, send = (told.pop(f"{way}_bytes_max", wire.LENGTH_MAX) for way in ("receive", "send"))
    shares_port = told.pop("shares_port", False)
    return Settings(Bounds(**told), receive, send, shares_port)


DEFAULTS = settings(())
