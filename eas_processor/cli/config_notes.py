"""What a service JSON says that a person should know, told in the log when it is read."""

from __future__ import annotations

import structlog

from eas_processor.config import ServiceConfig

log = structlog.get_logger("config")


def tell(config: ServiceConfig) -> None:
    """Warn of what looks like a mistake; list what has no effect here."""
    file = str(config.source)
    for warning in config.warnings:
        log.warning(warning, file=file)
    if config.ignored:
        log.info("keys without effect here", file=file, keys=", ".join(config.ignored))
