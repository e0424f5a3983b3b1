"""How long work tells how far it is: installing a runtime, downloading a model.

`Progress` is what the work calls; `for_stream` gives the bar for a terminal or the lines for a log.
The work does not know which. Calls may come from any thread, one piece of work at a time.
"""

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import rich.progress

LINE_EVERY_S = 5.0
BAR_REFRESH_PER_S = 8
MEGABYTE = 1_000_000


class Progress(Protocol):
    """One piece of work after another: start, any number of advance and note, finish."""

    def start(self, title: str, total: float | None, unit: str) -> None:
        """Begin. total: how many units there will be, None if nobody knows; unit "B" is bytes."""

    def advance(self, amount: float) -> None:
        """So many units more are done."""

    def note(self, text: str) -> None:
        """What is being done right now, in a few words."""

    def finish(self) -> None:
        """The work is over, well or not. Harmless when nothing was started."""


class NoProgress:
    """Says nothing."""

    def start(self, title: str, total: float | None, unit: str) -> None:
        """Nothing."""

    def advance(self, amount: float) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class LineProgress:
    """One line at the start of each step and every LINE_EVERY_S seconds, for logs and pipes."""

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._title = self._unit = self._note = ""
        self._total: float | None = None
        self._done = 0.0
        self._started_at = self._said_at = 0.0

    def start(self, title: str, total: float | None, unit: str) -> None:
        """Begin, and say so."""
        self._title, self._total, self._unit, self._note = title, total, unit, ""
        self._done = 0.0
        self._started_at = self._clock()
        self._say("started")

    def advance(self, amount: float) -> None:
        """Count; says something if the last line is LINE_EVERY_S old."""
        self._done += amount
        if self._title and self._clock() - self._said_at >= LINE_EVERY_S:
            self._say(f"{self._amount()}{', ' + self._note if self._note else ''}")

    def note(self, text: str) -> None:
        """Remember what is being done, and say it if it is new."""
        if self._title and text != self._note:
            self._note = text
            self._say(text)

    def finish(self) -> None:
        """End, and say how long it took."""
        if self._title:
            self._say(f"ended after {self._clock() - self._started_at:.1f} s")
            self._title = ""

    def _say(self, words: str) -> None:
        self._said_at = self._clock()
        self._write(f"{self._title}: {words}")

    def _amount(self) -> str:
        scale, unit = (MEGABYTE, "MB") if self._unit == "B" else (1, self._unit)
        if not self._total:
            return f"{self._done / scale:.0f} {unit}"
        done = min(self._done, self._total)
        percent = 100 * done / self._total
        return f"{done / scale:.0f} of {self._total / scale:.0f} {unit} ({percent:.0f} %)"


class BarProgress:
    """A bar on a terminal, drawn by rich. Leaves nothing on the screen but finished bars."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def start(self, title: str, total: float | None, unit: str) -> None:
        """Draw a new bar."""
        self.finish()
        self._bar = _new_bar(self._stream, unit, total is not None)
        self._task = self._bar.add_task(title, total=total, note="")
        self._bar.start()

    def advance(self, amount: float) -> None:
        """Move the bar on, at most to its end: totals are often a little off."""
        if self._bar is not None and self._task is not None:
            task = self._bar.tasks[0]
            if task.total is not None:
                amount = min(amount, task.total - task.completed)
            self._bar.advance(self._task, amount)

    def note(self, text: str) -> None:
        """Write it at the end of the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, note=text)

    def finish(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None


def _new_bar(stream: IO[str], unit: str, known: bool) -> "rich.progress.Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Column

    console = Console(file=stream, no_color="NO_COLOR" in os.environ)
    note = Column(no_wrap=True, overflow="ellipsis", ratio=1)  # the rest of the line, cut if long
    counts = [DownloadColumn() if unit == "B" else MofNCompleteColumn()] if known else []
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20),
        *counts,
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False, table_column=note),
        console=console,
        refresh_per_second=BAR_REFRESH_PER_S,
        expand=True,
    )


class Working:
    """`with Working(progress, …)`: start now, finish on the way out however that happens."""

    def __init__(self, progress: Progress, title: str, total: float | None, unit: str) -> None:
        self._progress = progress
        self._arguments = (title, total, unit)

    def __enter__(self) -> Progress:
        self._progress.start(*self._arguments)
        return self._progress

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.finish()


def for_stream(stream: IO[str] | None = None) -> Progress:
    """A bar if `stream` (stderr if not given) is a terminal that can draw one, lines otherwise."""
    stream = stream or sys.stderr
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return BarProgress(stream)

    def write(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return LineProgress(write)
