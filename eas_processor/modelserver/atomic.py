"""A file's text exchanged for another, whole or not at all. Blocking."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

NEW_FILE_MODE = 0o666  # less what the umask takes away


def write_text(path: str, text: str) -> None:
    """Mode and owner stay where that is allowed, and a link stays one: it is followed.

    Raises OSError, having changed nothing.
    """
    path = os.path.realpath(path)
    draft = f"{path}.{secrets.token_hex(8)}.part"
    try:
        _write_draft(draft, text, _status(path))
        os.replace(draft, path)
    finally:
        with contextlib.suppress(OSError):  # what went wrong before is what is to be told
            Path(draft).unlink(missing_ok=True)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _write_draft(draft: str, text: str, old: os.stat_result | None) -> None:
    mode = NEW_FILE_MODE if old is None else 0o600  # closed until it is as the old one was
    with open(
        draft, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)
    ) as file:
        if old is not None:
            _give(file.fileno(), old)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _give(descriptor: int, old: os.stat_result) -> None:
    """Group, mode and owner, as far as user and file system allow."""
    with contextlib.suppress(OSError):
        os.fchown(descriptor, -1, old.st_gid)
    with contextlib.suppress(OSError):  # before it is another's
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    with contextlib.suppress(OSError):
        os.fchown(descriptor, old.st_uid, -1)
