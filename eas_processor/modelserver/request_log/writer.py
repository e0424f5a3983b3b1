"""The thread of one model's log. It is given more than the disk takes: it leaves out and counts."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import structlog

from eas_processor.codec import tfrecord
from eas_processor.errors import Code
from eas_processor.modelserver.request_log.files import LogFiles
from eas_processor.modelserver.request_log.records import Exchanged, record

WAITING_BYTES_MAX = 64 << 20  # taken and not yet written, for each model
GATHER_S = 0.05  # what comes within this of a first record is written with it
WRITE_BYTES = 1 << 20  # enough for one system call

log = structlog.get_logger("request log")

Count = Callable[[Code, int], None]


class Writer:
    """count(code, records): what became of them: OK, RESOURCE_EXHAUSTED (left out, the disk is
    too slow), UNAVAILABLE (the disk refused them) or INTERNAL. Safe to be called in any thread.
    """

    def __init__(self, name: str, sampling_rate: float, files: LogFiles, count: Count) -> None:
        self.sampling_rate = sampling_rate
        self._name = name
        self._files = files
        self._count = count
        self._entries: queue.SimpleQueue[Exchanged | None] = queue.SimpleQueue()
        # Each is added to by one thread alone: their difference needs no lock.
        self._taken_bytes = 0
        self._done_bytes = 0
        self._leaving_out = False
        self._failing = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self, exchanged: Exchanged) -> None:
        """Take it, or leave it out. Called on the event loop; never waits."""
        size = exchanged.size
        waiting = self._taken_bytes - self._done_bytes
        if size > tfrecord.RECORD_BYTES_MAX or (waiting and waiting + size > WAITING_BYTES_MAX):
            self._leave_out()
            return
        self._leaving_out = self._leaving_out and waiting > 0
        self._taken_bytes += size
        self._entries.put(exchanged)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="request log", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Take no more; what was taken is still written."""
        self._closing.set()
        self._entries.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until all is written, but no longer than that."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _leave_out(self) -> None:
        self._count(Code.RESOURCE_EXHAUSTED, 1)
        if not self._leaving_out:
            log.warning("the disk is too slow: requests are left out", model=self._name)
        self._leaving_out = True

    def _run(self) -> None:
        ending = False
        while not ending:
            entries = [self._entries.get()]
            self._closing.wait(GATHER_S)
            try:
                while True:
                    entries.append(self._entries.get_nowait())
            except queue.Empty:
                pass
            ending = None in entries
            self._write([entry for entry in entries if entry is not None])
        self._files.close()

    def _write(self, entries: Sequence[Exchanged]) -> None:
        pending: list[bytes] = []
        size = 0
        for entry in entries:
            made = self._made(entry)
            if made is not None:
                pending.append(tfrecord.encode(made))
            size += entry.size
            if size >= WRITE_BYTES:
                self._append(pending)
                self._done_bytes += size
                pending, size = [], 0
        self._append(pending)
        self._done_bytes += size

    def _made(self, entry: Exchanged) -> bytes | None:
        try:
            return record(self._name, self.sampling_rate, entry)
        except Exception:
            log.exception("a request was not logged", model=self._name)
            self._count(Code.INTERNAL, 1)
            return None

    def _append(self, pending: list[bytes]) -> None:
        if not pending:
            return
        try:
            self._files.append(b"".join(pending))
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            self._count(Code.UNAVAILABLE, len(pending))
            if not self._failing:
                why = str(error)  # with the path
                log.error("requests are not logged", model=self._name, reason=why)
            self._failing = True
        else:
            self._count(Code.OK, len(pending))
            self._failing = False
