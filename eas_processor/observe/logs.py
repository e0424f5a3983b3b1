"""Structured logs on standard error: readable on a terminal, JSON lines elsewhere.

Never a body, never a token. The only module that configures structlog.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def configure(level: str = "info", style: str = "auto") -> None:
    """level: debug (with all that workers print), info or warning. style: auto, text or json."""
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    renderer: structlog.typing.Processor
    if style == "text":
        renderer = structlog.dev.ConsoleRenderer(
            colors=_wants_colours(), pad_event_to=0, sort_keys=False
        )
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    else:
        renderer = structlog.processors.JSONRenderer()
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(_Stream()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )


def _wants_colours() -> bool:
    """On a terminal, unless NO_COLOR says otherwise (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


class _Stream:
    """Standard error, whose reader may be gone or its disk full: that must end nothing else."""

    def write(self, text: str) -> None:
        """Write what can be written."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()
