"""A worker process: started by exec with one inherited socket, watched, and ended.

Never forked, never pickled to. Its output comes back as log lines; the last explain a death.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

import eas_processor.worker
from eas_processor.config import Limits
from eas_processor.errors import Code, ConfigError, StartError
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import Call
from eas_processor.pool.channel import Channel
from eas_processor.worker.frames import PROTOCOL_VERSION, Kind

OUTPUT_DRAIN_S = 0.2  # after the end, for the last lines
WALL_GRACE_S = 0.5  # a process whose wall is gone may end by itself, so that we learn why
OUTPUT_LINES_KEPT = 20
OUTPUT_LINE_BYTES_MAX = 64 * 1024
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024
WINDOW_US = 2000  # keep a worker of short calls supplied with about so much work

log = structlog.get_logger("worker")


@dataclass(frozen=True)
class WorkerSpec:
    """All that is needed to start a worker of one service.

    python: the interpreter. environment: added to the host's. load: the LOAD message (entry, paths,
    packages, model_dir, config). window_calls_max: calls it may hold however short they are.
    """

    service: str
    python: Path
    load: dict[str, Any]
    concurrency: int
    window_calls_max: int
    limits: Limits
    environment: dict[str, str] = field(default_factory=dict)


class Worker:
    """One process on the far side, from start to end."""

    def __init__(
        self,
        spec: WorkerSpec,
        on_answers: Callable[[], None],
        on_exit: Callable[[Worker], None],
        awake: Awake,
    ) -> None:
        self._spec = spec
        self._on_exit = on_exit
        self._on_answers = on_answers
        self._window = spec.concurrency
        self._channel = Channel(self._answers_came, self._wall_lost, awake)
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES_KEPT)
        self._stopping = False
        self._exited = asyncio.Event()
        self.versions: dict[str, str] = {}
        self.exit_reason = ""

    @property
    def pid(self) -> int:
        """Of the process; 0 before it is started."""
        return self._process.pid if self._process else 0

    @property
    def in_flight(self) -> int:
        """Calls at the worker."""
        return len(self._channel.in_flight)

    @property
    def room(self) -> int:
        """How many more calls the worker should be given now."""
        return self._window - len(self._channel.in_flight)

    def _answers_came(self) -> None:
        """Measure the window anew.

        It is as many calls as the worker runs at once, or, where they are so short that crossing
        the wall one by one would cost more than running them, as many as it does in WINDOW_US.
        """
        self._window = self._spec.concurrency
        mean = self._channel.run_us_mean
        if mean < WINDOW_US / self._window:
            self._window = min(self._spec.window_calls_max, int(WINDOW_US / max(mean, 1.0)))
        self._on_answers()

    def send(self, call: Call) -> None:
        """Give the worker a call."""
        self._channel.send(call)

    def calls(self) -> list[Call]:
        """The calls at the worker."""
        return list(self._channel.in_flight.values())

    async def start(self) -> None:
        """Start the process and load the processor.

        Raises ConfigError (the user's mistake), or StartError with the reason in words.
        """
        limits = self._spec.limits
        await self._spawn()
        try:
            hello = await self._expect(Kind.HELLO, limits.worker_start_timeout_s)
            if hello["protocol"] != PROTOCOL_VERSION:
                raise StartError("the worker speaks another version of the wall")
            self._channel.send_control(Kind.LOAD, self._spec.load)
            loaded = await self._expect(Kind.LOADED, limits.model_load_timeout_s)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                self.kill()  # it would not notice before it has loaded
            await self.stop()
            raise
        self.versions = {"python": hello["python"], **loaded["versions"]}
        for note in loaded["notes"]:
            log.warning(note, service=self._spec.service, pid=self.pid)
        log.bind(**self.versions).info(  # a plug-in's names may be our own: ours win
            "worker loaded", service=self._spec.service, pid=self.pid, load_s=loaded["load_s"]
        )

    async def stop(self) -> None:
        """Close the wall and wait for the process to end, by force if it takes too long."""
        self._stopping = True
        self._channel.close()
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._exited.wait(), self._spec.limits.worker_stop_timeout_s)
        except TimeoutError:
            self.kill()
            await self._exited.wait()

    def kill(self) -> None:
        """End the process group at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> None:
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise StartError(f"no socket for a worker: {error.strerror}") from None
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
            folder = os.path.dirname(eas_processor.worker.__file__)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    str(self._spec.python),
                    "-s",
                    folder,
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    limit=OUTPUT_LINE_BYTES_MAX,
                    pass_fds=(theirs.fileno(),),
                    env=_environment(self._spec.environment),
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise StartError(f"cannot run {self._spec.python}: {error}") from None
        self._watcher = asyncio.create_task(self._watch(self._process))
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=ours)

    async def _expect(self, kind: Kind, timeout_s: float) -> dict[str, Any]:
        """The worker's next message, which must be `kind`."""
        try:
            frame = await self._channel.receive_control(timeout_s)
        except TimeoutError:
            raise StartError(f"the worker did not load within {timeout_s:g} s") from None
        except ConnectionError:
            await self._exited.wait()
            raise StartError(f"the worker {self.exit_reason}") from None
        if frame.kind == Kind.FAILED:
            reason = frame.payload.decode()
            if frame.code == Code.INVALID_ARGUMENT:
                raise ConfigError(reason)
            raise StartError(reason)
        if frame.kind != kind:
            raise StartError(f"the worker said {frame.kind} where {kind.name} was due")
        message: dict[str, Any] = json.loads(frame.payload)
        return message

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of the process; then say what it died of, and fail what it held."""
        reader = asyncio.create_task(self._read_output(process))
        status = await process.wait()
        await asyncio.wait({reader}, timeout=OUTPUT_DRAIN_S)  # a grandchild may keep it open
        reader.cancel()
        self.exit_reason = self._describe_exit(status)
        self._exited.set()
        self._channel.close()
        self._channel.fail_calls(f"the worker {self.exit_reason} while it held this call")
        if not self._stopping:
            self._on_exit(self)

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        """Carry what the worker prints to the log."""
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line over the bound: asyncio has dropped it
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            self._output.append(text)
            log.debug(text, service=self._spec.service, pid=process.pid)

    def _describe_exit(self, status: int) -> str:
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-status).name}"
            return f"was ended by signal {-status}"
        last = next((line for line in reversed(self._output) if line.strip()), "")
        return f"exited with status {status}" + (f": {last}" if last else "")

    def _wall_lost(self, reason: str) -> None:
        """A worker without a wall is of no use, whatever it still does."""
        if reason:
            log.warning("wall lost", service=self._spec.service, pid=self.pid, reason=reason)
        self._window = 0  # what has no room is given no calls
        if not self._stopping:
            asyncio.get_running_loop().call_later(WALL_GRACE_S, self.kill)


def _environment(added: dict[str, str]) -> dict[str, str]:
    """The host's environment without what would leak its own Python into the worker's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **added}
