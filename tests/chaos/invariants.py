"""What must be true after any fault. The only place that judges."""

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from tests.chaos.load import Outcome

MEMORY_KEPT_MAX = 12  # shared memory: eight free pieces, and one for each client of the load


def check_outcomes(outcomes: Sequence[Outcome], allowed: Collection[int]) -> None:
    """Every question was answered: rightly, or with an allowed status and words why not."""
    assert outcomes, "the load stood still"
    for one in outcomes:
        assert one.status, f"no answer: {one}"
        assert one.status != 200 or one.is_right, f"the answer to something else: {one}"
        assert one.status == 200 or one.status in allowed, f"an error that nobody caused: {one}"
        assert one.status == 200 or one.words.strip(), f"an error without words: {one}"


def children(pid: int) -> set[int]:
    """All processes below one, however deep. One that ends while we look has none."""
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                below = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                found.update(map(int, below.split()))
    return found.union(*map(children, found))


def is_alive(pid: int) -> bool:
    """Whether it exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_files(pid: int) -> int:
    """How many file descriptors it has; memory kept for large bodies counts beyond its bound."""
    kept = others = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            is_memory = os.readlink(descriptor).startswith("/memfd:")
        except FileNotFoundError:
            continue  # closed while we looked
        kept, others = kept + is_memory, others + (not is_memory)
    return others + max(0, kept - MEMORY_KEPT_MAX)


def resident_bytes(pid: int) -> int:
    """How much memory it uses."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def check_nothing_left(workers: Collection[int], scratch: Path) -> None:
    """The server is gone: so are its workers and its files in the temporary folder."""
    orphans = [pid for pid in workers if is_alive(pid)]
    assert not orphans, f"workers without a server: {orphans}"
    files = [path for path in scratch.rglob("*") if not path.is_dir()]
    assert not files, f"left in the temporary folder: {files}"
