"""Programs of the benchmark: real ones, small."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.failure import BenchmarkError
from benchmarks.processes import Program

ECHO_LINES = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
# A child in a session of its own, as a worker of ours is, that ignores the polite signal.
STUBBORN_CHILD = """
import subprocess, sys
code = "import signal; signal.signal(15, signal.SIG_IGN); print('x', flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", code], stdout=-1, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        program.end()


def lives(pid: int) -> bool:
    """False also for one that is dead and waits to be buried by init."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def start(programs: list[Program], code: str, log: Path) -> Program:
    programs.append(Program([sys.executable, "-c", code], log))
    return programs[-1]


def test_a_program_is_talked_with_line_by_line(programs: list[Program], tmp_path: Path) -> None:
    program = start(programs, ECHO_LINES, tmp_path / "lines.log")
    program.say("one")
    program.say("two")
    assert [program.hear(20), program.hear(20)] == ["ONE", "TWO"]


def test_a_program_that_died_is_reported_with_the_end_of_its_log(
    programs: list[Program], tmp_path: Path
) -> None:
    program = start(programs, "import sys; sys.exit('no such model')", tmp_path / "server.log")
    with pytest.raises(BenchmarkError, match=r"(?s)server ended with exit code 1.*no such model"):
        program.hear(20)


def test_a_silent_program_is_not_waited_for_without_end(
    programs: list[Program], tmp_path: Path
) -> None:
    program = start(programs, "import sys; sys.stdin.read()", tmp_path / "silent.log")
    with pytest.raises(BenchmarkError, match="said nothing"):
        program.hear(0.2)


def test_the_end_of_a_program_is_the_end_of_its_stubborn_children(
    programs: list[Program], tmp_path: Path
) -> None:
    program = start(programs, STUBBORN_CHILD, tmp_path / "parent.log")
    child = int(program.hear(20))
    assert lives(child) and child in program.tree()
    program.end()
    assert not lives(child)
