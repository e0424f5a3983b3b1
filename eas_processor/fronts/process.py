"""One front as process 1 sees it: a process, a connection, the walls that were handed to it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from eas_processor.errors import StartError
from eas_processor.fronts.asked import Questions
from eas_processor.fronts.calls import Calls
from eas_processor.fronts.link import Link
from eas_processor.fronts.messages import (
    WORKER,
    Call,
    Counts,
    Forgotten,
    Hung,
    Question,
    Released,
    Rest,
    ToFront,
    ToHost,
)
from eas_processor.http.messages import Application
from eas_processor.pool.door import Door
from eas_processor.pool.loss import Loss
from eas_processor.pool.worker import Worker
from eas_processor.rpc.dispatch import Methods

START = str(Path(__file__).with_name("__main__.py"))
UNSENT_BYTES_MAX = 1 << 30  # what a front that does not read may leave with us
SILENT_TIMEOUT_S = 30.0  # it tells its counts every second

log = structlog.get_logger("fronts")


class FrontProcess:
    """From start to end. index: which of the host's processes it is. app: answers questions.
    methods: answer calls.

    on_counts(index, counts): it has told what it counted. on_end(): it has ended. speaks: whether
    it has ever been heard.
    """

    def __init__(
        self,
        index: int,
        app: Application,
        methods: Methods,
        on_counts: Callable[[int, Counts], None],
        on_end: Callable[[], None],
    ) -> None:
        self.index = index
        self._on_counts = on_counts
        self._on_end = on_end
        self._link: Link[ToHost] = Link(ToHost, self._heard, self._lost)
        self._questions = Questions(app, self.send)
        self._calls = Calls(methods, self.send)
        self._door: Door | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._lent: dict[int, Worker] = {}
        self._heard_at_s = time.monotonic()
        self.speaks = False

    @property
    def pid(self) -> int:
        """Of its process; 0 before it is started."""
        return self._process.pid if self._process else 0

    async def start(self, board_descriptor: int) -> None:
        """Start the process. Raises StartError."""
        try:
            self._door = Door()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise StartError(f"no socket for a further process: {error.strerror}") from None
        with theirs:
            inherited = (theirs.fileno(), self._door.inherited.fileno(), board_descriptor)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-P", START, *map(str, inherited)),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=inherited,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise StartError(f"cannot run {sys.executable}: {error}") from None
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._link, sock=ours)

    async def wait(self) -> str:
        """Until it has ended; how, in words."""
        assert self._process is not None
        status = await self._process.wait()
        self._link.close()
        self._lost()
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-status).name}"
        return f"exited with status {status}"

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def send(self, message: ToFront) -> None:
        """Tell it; one that does not listen is ended."""
        self._link.send(message)
        if self._link.unsent_bytes > UNSENT_BYTES_MAX:
            log.error("a process of the host reads nothing: ended", pid=self.pid)
            self.kill()

    def lend(self, number: int, worker: Worker) -> None:
        """Give it a wall to a worker, unless it has one. Tried again later if that fails."""
        if number in self._lent or self._door is None:
            return
        end = worker.let_in(self.index)
        if end is not None and self._door.hand(WORKER.pack(number), end):
            self._lent[number] = worker
            worker.lent += 1

    def give_back(self, number: int) -> None:
        """It has no wall to that worker any more."""
        worker = self._lent.pop(number, None)
        if worker is not None:
            worker.lent -= 1

    def tick(self, now_s: float) -> None:
        """End it if it has not been heard of for long: its clients wait in vain."""
        if now_s > self._heard_at_s + SILENT_TIMEOUT_S:
            log.error("a process of the host is silent: ended", pid=self.pid)
            self.kill()

    def _heard(self, message: ToHost) -> None:
        self._heard_at_s = time.monotonic()
        self.speaks = True
        match message:
            case Question():
                self._questions.ask(message)
            case Rest():
                self._questions.rest(message)
            case Call():
                self._calls.ask(message)
            case Forgotten(number):
                self._questions.forget(number)
                self._calls.forget(number)
            case Counts():
                self._on_counts(self.index, message)
            case Released(number):
                self.give_back(number)
            case Hung(number, reason) if number in self._lent:
                self._lent[number].kill(Loss.HANG, reason)

    def _lost(self) -> None:
        """Its connection or its process has ended; the one soon follows the other."""
        self.kill()
        self._questions.forget_all()
        self._calls.forget_all()
        for number in tuple(self._lent):
            self.give_back(number)
        if self._door is not None:
            self._door.close()
            self._door = None
            self._on_end()
