"""The cache folder: one lock for each thing in it, and nothing half-made ever under a final name.

Work happens under a name that ends in `.partial`, below the lock of its key; what is complete is
renamed into place. A process killed at any moment leaves a partial, which the next one removes.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from eas_processor.errors import StartError
from eas_processor.observe.progress import Progress

_POLL_S = 0.05


def key_of(*parts: object) -> str:
    """A short name for whatever these parts identify."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[
        :32
    ]


@contextlib.contextmanager
def locked(cache: Path, key: str, wait_s: float, progress: Progress) -> Iterator[None]:
    """Hold the lock of a key, against other threads and other processes."""
    folder = cache / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{key}.lock", "ab") as file:
        deadline = time.monotonic() + wait_s
        said = False
        while not _try_lock(file.fileno()):
            if time.monotonic() >= deadline:
                raise StartError(
                    f"another process has held {file.name} for {wait_s:g} s; "
                    "is a fetch of the same model stuck? End it and start again"
                )
            if not said:
                progress.note("waiting: another process is fetching the same model")
                said = True
            time.sleep(_POLL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def fresh(partial: Path) -> Path:
    """An empty place to work in: what a killed process left there is removed."""
    remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    return partial


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def settle(partial: Path, final: Path) -> None:
    """Give a complete file or folder its final name, in a way that survives a power cut."""
    if partial.is_dir():
        for folder, _, _ in os.walk(partial):
            _sync(Path(folder))
    os.replace(partial, final)
    _sync(final.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def in_words(error: OSError, what: str) -> StartError:
    """An error of the disk, with what to do about it."""
    reason = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    hint = "set another cache folder or its rights"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "make room on the disk or set another cache folder"
    elif error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
        hint = "the archive holds a name that this file system can not store"
    return StartError(f"{what}: {reason}{where}; {hint}")
