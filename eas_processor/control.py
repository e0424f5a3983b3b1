"""The local control socket: `eas-processor status` and `reload` talk to a running host over it.

One line asks, one JSON text answers, then the connection ends. The socket lies in a folder that
only its user can enter; its name is the host's process id. A dead host's socket is removed by who
finds it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from eas_processor.errors import ConfigError, StartError
from eas_processor.http import unix_sockets

LINE_BYTES_MAX = 4096
LINE_TIMEOUT_S = 5.0
BACKLOG = 100
TOLD_TIMEOUT_S = 1.0
SUFFIX = ".sock"
NOT_OURS = "it belongs to another user"
ELSEWHERE = "set XDG_RUNTIME_DIR to a folder of your own, here and for the host"

Command = Callable[[], Awaitable[object]]


def folder() -> Path:
    """Where the sockets of this user's hosts are."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"eas-processor-{os.getuid()}"


class Control:
    """The host's end. commands: by name; what each gives is sent as JSON."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._unix: unix_sockets.UnixListener | None = None
        self._path = folder() / f"{os.getpid()}{SUFFIX}"

    async def open(self) -> None:
        """Listen. Raises StartError where the socket cannot be made."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self._path.parent):
                raise PermissionError(0, NOT_OURS)
            self._path.parent.chmod(0o700)  # whoever made it, and however
            # An earlier process with our number may have left one behind.
            self._unix = unix_sockets.listen(str(self._path), BACKLOG)
            self._server = await asyncio.start_unix_server(
                self._serve, sock=self._unix.socket, limit=LINE_BYTES_MAX
            )
        except OSError as error:
            words = error.strerror or str(error)
            raise StartError(f"no control socket at {self._path}: {words}") from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), LINE_TIMEOUT_S)
            command = self._commands.get(line.decode("utf-8", "replace").strip())
            answer = await command() if command else {"error": "no such command"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await asyncio.wait_for(writer.drain(), LINE_TIMEOUT_S)
        except (TimeoutError, ValueError, ConnectionError):
            writer.transport.abort()  # whoever asked does not want the answer
        finally:
            writer.close()

    def close(self) -> None:
        """Listen no more; leave nothing behind."""
        if self._unix is not None:
            self._unix.remove()
        if self._server is not None:
            self._server.close()


def _is_ours(place: Path) -> bool:
    """Whether it is a folder of this user, or their link to one: else anybody might answer."""
    found = place.stat()
    return stat.S_ISDIR(found.st_mode) and {place.lstat().st_uid, found.st_uid} == {os.getuid()}


def ask(command: str, pid: int | None, timeout_s: float) -> dict[str, object]:
    """Ask a running host. pid: which, if there are several.

    Raises ConfigError if it is not clear which or there is none, StartError if it does not answer.
    """
    connection = _connect(pid)
    connection.settimeout(timeout_s)
    with connection:
        try:
            connection.sendall(command.encode() + b"\n")
            data = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            raise StartError(f"the host did not answer: {error}") from None
    if not data:
        raise StartError("the host did not answer: it ended")
    answer: dict[str, object] = json.loads(data)
    return answer


def _connect(pid: int | None) -> socket.socket:
    place = folder()
    if place.exists() and not _is_ours(place):
        raise ConfigError(f"nobody is asked in {place}: {NOT_OURS}; {ELSEWHERE}")
    found: dict[int, socket.socket] = {}
    for path in sorted(place.glob("*" + SUFFIX)):
        if path.stem.isdigit():
            connection = _try(path)
            if connection is not None:
                found[int(path.stem)] = connection
    if pid is None and len(found) == 1:
        return next(iter(found.values()))
    chosen = found.pop(pid, None) if pid is not None else None
    told = [] if chosen or pid is not None else [_told(*one) for one in found.items()]
    for other in found.values():
        other.close()
    if chosen is not None:
        return chosen
    running = ", ".join(map(str, found)) or "none"
    if pid is not None:
        raise ConfigError(f"no host with process id {pid} is running here; running: {running}")
    if found:
        raise ConfigError(f"several hosts are running: choose one with --pid: {', '.join(told)}")
    raise ConfigError("no host is running here; start one with `eas-processor serve`")


def _told(pid: int, connection: socket.socket) -> str:
    """A host's process id and what it serves, if it says so soon."""
    connection.settimeout(TOLD_TIMEOUT_S)
    try:
        connection.sendall(b"status\n")
        services = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))["services"]
        names = " ".join(service["name"] for service in services)
    except (OSError, ValueError, LookupError, TypeError):
        return str(pid)
    return f"{pid} ({names or 'nothing yet'})"


def _try(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
        return connection
    except ConnectionRefusedError:
        unix_sockets.remove_stale(str(path))
    except OSError:
        pass
    connection.close()
    return None
