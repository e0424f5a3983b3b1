"""Who watches requests: the access log, the tracer, both or nobody, as the user asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from eas_processor.observe import access, traces
from eas_processor.observe.exchange import Watcher


class Observing(msgspec.Struct, frozen=True):
    """What was asked for on the command line: logs, and who watches requests.

    access_log: a path, "-" for standard error, "" for none.
    """

    log_level: str = "info"
    log_format: str = "auto"
    access_log: str = ""
    access_log_sample: float = 1.0
    otlp_endpoint: str = ""


@dataclass(frozen=True)
class Watching:
    """watchers: told of each request. ticks: called a few times a second. closes: at the end."""

    watchers: tuple[Watcher, ...] = ()
    ticks: tuple[Callable[[], None], ...] = ()
    closes: tuple[Callable[[], None], ...] = ()


def start(asked_for: Observing) -> Watching:
    """Raises ConfigError."""
    tracer = traces.configure(asked_for.otlp_endpoint)
    found = Watching()
    if tracer is not None:
        found = Watching((tracer.record,), (), (tracer.close,))
    if not asked_for.access_log:
        return found
    log = access.AccessLog(asked_for.access_log, asked_for.access_log_sample, asked_for.log_format)
    return Watching(
        (*found.watchers, log.write), (*found.ticks, log.tick), (*found.closes, log.close)
    )
