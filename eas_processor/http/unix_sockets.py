"""UNIX sockets at paths: no server takes another's unless it means to; each removes only its own.

Who opens or removes one locks its folder: another server's, which is bound and does not listen yet,
refuses connections as one does whose server was killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator

LOCK_S = 1.0  # no server of ours needs it for longer; a lock that somebody else keeps is ignored
LOCK_POLL_S = 0.01
STALE = errno.ECONNREFUSED  # nobody listens on the socket
LISTENING = (0, errno.EAGAIN)  # somebody does; perhaps with a full queue


class UnixListener:
    """A socket that listens at its path. taken: from a server that still listened there."""

    def __init__(self, path: str, listening: socket.socket, taken: bool) -> None:
        self.path = path
        self.socket = listening
        self.taken = taken
        self._identity = _identity(path)

    def remove(self) -> None:
        """Leave nothing at the path that is ours.

        To be called before the socket is closed: then a new one may be given its inode number.
        """
        ours, self._identity = self._identity, None
        with _locked(self.path), contextlib.suppress(OSError):
            if ours is not None and _identity(self.path) == ours:
                os.unlink(self.path)


def listen(path: str, backlog: int, take: bool = False) -> UnixListener:
    """Listen there, in the place of a socket whose server was killed. Raises OSError.

    take: also in the place of a server that listens, which keeps the callers that it has.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _locked(path):
            taken = _bind(made, path, take)
            made.listen(backlog)
            return UnixListener(path, made, taken)
    except BaseException:
        made.close()
        raise


def remove_stale(path: str) -> None:
    """Remove the socket there if its server was killed."""
    with _locked(path), contextlib.suppress(OSError):
        if _called(path) == STALE:
            os.unlink(path)


def _bind(made: socket.socket, path: str, take: bool) -> bool:
    """Gives whether another server listened there."""
    try:
        made.bind(path)
        return False
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    called = _called(path)
    taken = take and called in LISTENING
    if not taken and called != STALE:
        raise OSError(errno.EADDRINUSE, _what_is_at(path))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    made.bind(path)
    return taken


def _what_is_at(path: str) -> str:
    if _is_socket(path):
        return "another server listens there: end it first, or choose another path"
    return "what is there is no socket: remove it, or choose another path"


def _called(path: str) -> int:
    """What comes of a call, as an errno. Never waits: a full queue is an answer."""
    if not _is_socket(path):
        return errno.ENOTSOCK
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        return caller.connect_ex(path)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Alone in the folder of a path, as far as it can be locked."""
    try:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield
        return
    try:
        _lock(folder)
        yield
    finally:
        os.close(folder)


def _lock(folder: int) -> None:
    end_s = time.monotonic() + LOCK_S
    while time.monotonic() < end_s:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(LOCK_POLL_S)
        except OSError:  # not every file system can
            return
