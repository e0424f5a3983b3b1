"""Holds processes to a part of a core each, by control groups (Linux, as root).

Whether a host scales over cores shows on a machine that has few of them, too, if each of its
processes may use a small part of one only: then it is they that limit, and not the machine.
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.failure import BenchmarkError

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 10_000
_numbers = itertools.count()


@contextmanager
def held(pids: Iterable[int], share: float) -> Iterator[None]:
    """Until the end each process has `share` of a core at most. Raises BenchmarkError."""
    is_new = (ROOT / "cgroup.controllers").exists()
    base = ROOT if is_new else ROOT / "cpu"
    groups: list[tuple[Path, int, Path]] = []
    try:
        if is_new:
            (base / "cgroup.subtree_control").write_text("+cpu")
        for pid in pids:
            before = base / _group_of(pid, is_new)
            group = base / f"eas-benchmark-{os.getpid()}-{next(_numbers)}"
            group.mkdir()
            groups.append((group, pid, before))
            quota_us = int(share * PERIOD_US)
            if is_new:
                (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        _let_go(groups)
        words = f"{error.filename}: {error.strerror}"
        words = f"--share needs control groups and the right to make them: {words}"
        raise BenchmarkError(words) from None
    try:
        yield
    finally:
        _let_go(groups)


def _group_of(pid: int, is_new: bool) -> str:
    """Where it is now, below the base."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if (is_new and not controllers) or "cpu" in controllers.split(","):
            return path.lstrip("/")
    return ""


def _let_go(groups: list[tuple[Path, int, Path]]) -> None:
    for group, pid, before in groups:
        with suppress(OSError):  # it may have ended
            (before / "cgroup.procs").write_text(str(pid))
        with suppress(OSError):
            group.rmdir()
