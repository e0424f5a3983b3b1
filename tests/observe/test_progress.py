"""What progress shows: lines for a log, a bar for a terminal."""

import io

import pytest

from eas_processor.observe.progress import BarProgress, LineProgress, NoProgress, for_stream


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_at_most_every_five_seconds():
    clock, lines = Clock(), []
    progress = LineProgress(lines.append, clock)
    progress.start("model", 20_000_000, "B")
    for _ in range(20):
        clock.now += 1
        progress.advance(1_000_000)
    progress.finish()

    assert lines == [
        "model: started",
        "model: 5 of 20 MB (25 %)",
        "model: 10 of 20 MB (50 %)",
        "model: 15 of 20 MB (75 %)",
        "model: 20 of 20 MB (100 %)",
        "model: ended after 20.0 s",
    ]


def test_a_note_is_said_once_and_repeated_with_the_amount():
    clock, lines = Clock(), []
    progress = LineProgress(lines.append, clock)
    progress.start("model", None, "files")
    progress.note("unpacking")
    progress.note("unpacking")
    clock.now += 6
    progress.advance(3)

    assert lines[1:] == ["model: unpacking", "model: 3 files, unpacking"]


def test_more_than_the_total_is_still_a_hundred_percent():
    clock, lines = Clock(), []
    progress = LineProgress(lines.append, clock)
    progress.start("model", 10, "files")
    clock.now += 6
    progress.advance(11)

    assert lines[-1] == "model: 10 of 10 files (100 %)"


def test_finishing_twice_or_without_a_start_says_nothing():
    lines: list[str] = []
    progress = LineProgress(lines.append, Clock())
    progress.finish()
    progress.advance(1)
    progress.note("nothing")

    assert lines == []


@pytest.mark.parametrize("total", [None, 2_000_000])
def test_a_terminal_gets_a_bar_with_title_and_note(total, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()
    progress = for_stream(terminal)
    assert isinstance(progress, BarProgress)
    progress.start("model [1]", total, "B")
    progress.note("downloading [x]")
    progress.advance(5_000_000)
    progress.finish()
    progress.finish()

    assert "model [1]" in terminal.getvalue() and "downloading [x]" in terminal.getvalue()
    if total:
        assert "2.0/2.0 MB" in terminal.getvalue()


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    progress = for_stream(terminal)
    progress.start("model", 10, "files")
    progress.advance(10)
    progress.finish()

    assert "\x1b[3" not in terminal.getvalue() and "\x1b[9" not in terminal.getvalue()


def test_a_pipe_and_a_dumb_terminal_get_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(for_stream(Terminal()), LineProgress)
    pipe = io.StringIO()
    for_stream(pipe).start("model", None, "B")

    assert pipe.getvalue() == "model: started\n"


def test_no_progress_takes_every_call():
    progress = NoProgress()
    progress.start("model", None, "B")
    progress.advance(1)
    progress.note("x")
    progress.finish()
