"""A worker process: started by exec with one inherited socket, watched, and ended.

Never forked, never pickled to. Its output comes back as log lines; the last explain a death.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import time
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
from eas_processor.pool.door import Door, wall_ends
from eas_processor.pool.lane import Lane
from eas_processor.pool.loss import Loss, of_exit, oom_kills
from eas_processor.worker import output
from eas_processor.worker.frames import PROTOCOL_VERSION, Kind

OUTPUT_DRAIN_S = 0.2  # after the end, for the last lines
FAULT_EVERY_S = 1.0  # of those that a processor's code has, one is told so often
KILL_TIMEOUT_S = 10.0  # for the kernel; a process that waits for a disk does not end
WALL_GRACE_S = 0.5  # a process whose wall is gone may end by itself, so that we learn why
OUTPUT_LINES_KEPT = 20
OUTPUT_LINE_BYTES_MAX = 64 * 1024
HOST_VARIABLES = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"})

log = structlog.get_logger("worker")


@dataclass(frozen=True)
class WorkerSpec:
    """All that is needed to start a worker of one service.

    python: the interpreter. environment: added to the host's. load: the LOAD message (entry, paths,
    packages, model_dir, config). window_calls_max: calls it may hold however short they are.
    batch_calls_max: calls that may travel together. memory_bytes_max: beyond it, it is replaced.
    door: whether other processes of the host may have walls to it, too.
    """

    service: str
    python: Path
    load: dict[str, Any]
    concurrency: int
    window_calls_max: int
    limits: Limits
    environment: dict[str, str] = field(default_factory=dict)
    batch_calls_max: int = 1
    memory_bytes_max: int | None = None
    door: bool = False


class Worker(Lane):
    """One process on the far side, from start to end.

    lent: how many of the host's other processes have a wall of their own to it.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        on_answers: Callable[[], None],
        on_exit: Callable[[Worker], None],
        awake: Awake,
    ) -> None:
        super().__init__(on_answers, awake, spec.concurrency, spec.window_calls_max)
        self._spec = spec
        self._on_exit = on_exit
        self._door: Door | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES_KEPT)
        self._stopping = False
        self._exited = asyncio.Event()
        self._oom_kills = 0
        self._quiet_until_s = 0.0
        self.versions: dict[str, str] = {}
        self.signatures = b""  # a serialised tensorflow.serving.SignatureDefMap
        self.loss: Loss | None = None
        self.exit_reason = ""
        self.lent = 0

    @property
    def pid(self) -> int:
        """Of the process; 0 before it is started."""
        return self._process.pid if self._process else 0

    @property
    def busy(self) -> bool:
        """Whether calls are at it, or another process might still send it some."""
        return self.in_flight > 0 or self.lent > 0

    @property
    def window(self) -> tuple[int, int]:
        """The least and the most calls that may be at it, whatever they take."""
        return self._window_least, self._window_most

    def let_in(self, number: int) -> socket.socket | None:
        """Give it one more wall, of that number; our end, or None if that cannot be had now."""
        return self._door.let_in(number) if self._door else None

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
        except BaseException:
            await self.stop()
            raise
        self.versions = {"python": hello["python"], **loaded["versions"]}
        self.signatures = base64.b64decode(loaded["signatures"])
        self.joins = bool(loaded["joins"])
        if self.joins:  # what runs, and as much again that waits for the next run
            enough = 2 * loaded["threads"] * self._spec.batch_calls_max
            self._window_least = max(self._window, min(enough, self._spec.window_calls_max))
            self._window = self._window_least
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
        if not self.versions:
            self.kill()  # it would not notice before it has loaded
        try:
            await asyncio.wait_for(self._exited.wait(), self._spec.limits.worker_stop_timeout_s)
        except TimeoutError:
            self.kill()
            try:
                await asyncio.wait_for(self._exited.wait(), KILL_TIMEOUT_S)
            except TimeoutError:
                log.error("a worker cannot be ended", service=self._spec.service, pid=self.pid)

    def kill(self, loss: Loss | None = None, reason: str = "") -> None:
        """End the process group at once. loss, reason: why, if it is for a fault."""
        if loss is not None and self.loss is None:
            self.loss, self.exit_reason = loss, reason
        if self._process is not None and not self._exited.is_set():  # children may be left
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> None:
        try:
            ours, theirs = wall_ends()
            self._door = Door() if self._spec.door else None
        except OSError as error:
            raise StartError(f"no socket for a worker: {error.strerror}") from None
        with theirs:
            inherited = [theirs.fileno()]
            if self._door:
                inherited.append(self._door.inherited.fileno())
            folder = os.path.dirname(eas_processor.worker.__file__)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    str(self._spec.python),
                    "-s",
                    folder,
                    *map(str, inherited),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    limit=OUTPUT_LINE_BYTES_MAX,
                    pass_fds=inherited,
                    env=_environment(self._spec.environment),
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise StartError(f"cannot run {self._spec.python}: {error}") from None
            except BaseException:  # cancelled: without a wall a process that did start ends itself
                ours.close()
                raise
        self._oom_kills = oom_kills()
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
            code = Code(frame.code) if frame.code in tuple(Code) else Code.UNKNOWN
            raise StartError(reason, code)
        if frame.kind != kind:
            raise StartError(f"the worker said {frame.kind} where {kind.name} was due")
        message: dict[str, Any] = json.loads(frame.payload)
        return message

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of the process; then say what it died of, and fail what it held."""
        reader = asyncio.create_task(self._read_output(process))
        status = await process.wait()
        with contextlib.suppress(OSError):  # what the processor has started goes with it
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait({reader}, timeout=OUTPUT_DRAIN_S)  # a grandchild may keep it open
        reader.cancel()
        if self.loss is None:
            self.loss, self.exit_reason = of_exit(status, self._output, self._oom_kills)
        self._exited.set()
        self._channel.close()
        if self._door:
            self._door.close()
        try:
            self.fail_calls(f"the worker {self.exit_reason} while it held this call")
        finally:
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
            self._printed(line.decode("utf-8", "replace").rstrip())

    def _printed(self, text: str) -> None:
        """Log what the worker has printed; where its code failed is for everyone to see."""
        fields = {"service": self._spec.service, "pid": self.pid}
        if not text:
            return
        found = output.traceback_in(text)
        if found is None:
            self._output.append(text)
            log.debug(text, **fields)
            return
        self._output.append(found.strip().rpartition("\n")[2])
        now_s, tell = time.monotonic(), log.debug
        if now_s >= self._quiet_until_s:  # each request may fail so
            self._quiet_until_s, tell = now_s + FAULT_EVERY_S, log.error
        tell("the processor failed", exception=found.rstrip(), **fields)

    def _wall_lost(self, reason: str) -> None:
        """A worker without a wall is of no use, whatever it still does."""
        super()._wall_lost(reason)
        if reason:
            log.warning("wall lost", service=self._spec.service, pid=self.pid, reason=reason)
        if not self._stopping:
            asyncio.get_running_loop().call_later(WALL_GRACE_S, self.kill)


def _environment(added: dict[str, str]) -> dict[str, str]:
    """The host's environment without what is meant for its own Python and gRPC alone."""
    kept = {name: value for name, value in os.environ.items() if name not in HOST_VARIABLES}
    return {**kept, "PYTHONUNBUFFERED": "1", **added}
