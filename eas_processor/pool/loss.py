"""Why a worker is no more, as metrics and people are told."""

from __future__ import annotations

import contextlib
import enum
import signal
from collections.abc import Sequence
from pathlib import Path

VMSTAT = Path("/proc/vmstat")


class Loss(enum.Enum):
    """Why a worker is no more; the value is its name in metrics."""

    CRASH = "crash"  # a signal that we did not send
    EXIT = "exit"  # it ended itself
    HANG = "hang"  # no answer long after a deadline
    MEMORY = "memory"  # over its limit, or ended by the kernel for want of memory
    START = "start"  # a new one did not come up


def of_exit(status: int, printed: Sequence[str], oom_kills_before: int) -> tuple[Loss, str]:
    """Why, and in words, from the status of a process that nobody had asked to end.

    printed: its last lines. oom_kills_before: what `oom_kills` said when it was started.
    """
    if status == -signal.SIGKILL and oom_kills() > oom_kills_before:
        return Loss.MEMORY, "was ended by the kernel, which ran out of memory"
    if status < 0:
        with contextlib.suppress(ValueError):
            return Loss.CRASH, f"was ended by {signal.Signals(-status).name}"
        return Loss.CRASH, f"was ended by signal {-status}"
    last = next((line for line in reversed(printed) if line.strip()), "")
    return Loss.EXIT, f"exited with status {status}" + (f": {last}" if last else "")


def oom_kills() -> int:
    """How many processes of this machine the kernel has ended for want of memory."""
    with contextlib.suppress(OSError):
        for line in VMSTAT.read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
