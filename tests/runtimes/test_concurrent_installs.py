"""Installs that meet: two at once, and one that was killed in the middle. Real processes."""

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eas_processor.registry import Manifest, read_manifest
from eas_processor.runtimes import find
from tests.runtimes.packages import write_gated_source, write_processor

WAIT_S_MAX = 60
LINE_S_MAX = 20
INSTALL = """
import sys
from pathlib import Path
from eas_processor.observe.progress import for_stream
from eas_processor.registry import read_manifest
from eas_processor.runtimes import install
print(install(read_manifest(Path(sys.argv[1])), for_stream()).python)
"""


class Gate:
    """Two pipes by name: the build writes into one when it begins and waits for the other."""

    def __init__(self, folder: Path) -> None:
        self.paths = [folder / "arrived", folder / "go"]
        for path in self.paths:
            os.mkfifo(path)
        # Open for both directions, so that no open of either side ever waits for the other.
        self._arrived, self._go = (os.open(path, os.O_RDWR | os.O_NONBLOCK) for path in self.paths)

    def wait_for_build(self) -> int:
        """The pid of the next build that has begun."""
        ready, _, _ = select.select([self._arrived], [], [], WAIT_S_MAX)
        assert ready, "no build began"
        return int(os.read(self._arrived, 64).split()[0])

    @property
    def quiet(self) -> bool:
        """Has no further build begun?"""
        return not select.select([self._arrived], [], [], 0)[0]

    def open(self) -> None:
        """Let one build go on."""
        os.write(self._go, b"g")

    def close(self) -> None:
        os.close(self._arrived)
        os.close(self._go)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    for _ in range(4):  # whatever still waits may end
        gate.open()
    gate.close()


@pytest.fixture
def gated(tmp_path: Path, cache: Path, gate: Gate) -> Manifest:
    """A processor whose install stops in the middle until the gate opens."""
    pin = write_gated_source(tmp_path / "packages", "tiny", *gate.paths)
    return read_manifest(write_processor(tmp_path, "gated", [pin]) / "processor.toml")


@contextmanager
def installing(manifest: Manifest) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", INSTALL, str(manifest.folder / "processor.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S_MAX)


def wait_for_line(process: "subprocess.Popen[str]", words: str) -> None:
    """Read what it says until `words` come; it is killed if they do not come in time."""
    assert process.stderr is not None
    watchdog = threading.Timer(LINE_S_MAX, process.kill)
    watchdog.start()
    try:
        for line in process.stderr:
            if words in line:
                return
    finally:
        watchdog.cancel()
        watchdog.join()
    raise AssertionError(f"it never said {words!r}")


def result_of(process: "subprocess.Popen[str]") -> Path:
    output, errors = process.communicate(timeout=WAIT_S_MAX)
    assert process.returncode == 0, errors
    return Path(output.strip())


def test_of_two_installs_at_once_the_second_waits_and_takes_what_the_first_made(gated, gate):
    with installing(gated) as first:
        gate.wait_for_build()
        with installing(gated) as second:
            wait_for_line(second, "another process is installing it")
            assert find(gated) is None
            gate.open()
            assert result_of(first) == result_of(second)
    assert gate.quiet  # nothing was built twice
    assert find(gated) is not None


def test_after_a_kill_in_the_middle_the_next_install_waits_for_the_orphan_and_starts_over(
    gated, gate
):
    with installing(gated) as first:
        gate.wait_for_build()
        first.kill()
        first.wait(WAIT_S_MAX)
        assert find(gated) is None
        with installing(gated) as second:
            # uv and its build live on and still write there: they hold the lock.
            wait_for_line(second, "another process is installing it")
            assert gate.quiet
            gate.open()
            wait_for_line(second, "unfinished")
            runtime = result_of(second)
    assert find(gated).python == runtime
    code = "import tiny; print(tiny.COLOUR)"
    ran = subprocess.run([runtime, "-c", code], capture_output=True, timeout=60, check=True)
    assert ran.stdout.strip() == b"green"


def test_after_a_kill_of_the_whole_family_the_next_install_starts_over_at_once(gated, gate):
    with installing(gated) as first:
        build = gate.wait_for_build()
        # The installer, its uv and uv's build, as the end of a container does it.
        family = [first.pid, *ancestors(build, until=first.pid), build]
        for pid in family:
            os.kill(pid, 9)
        first.wait(WAIT_S_MAX)
        with installing(gated) as second:
            gate.wait_for_build()
            gate.open()
            assert result_of(second) == find(gated).python


def ancestors(pid: int, until: int) -> list[int]:
    """The parents of `pid` up to but not including `until`."""
    found: list[int] = []
    give_up_at = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < give_up_at:
        status = Path(f"/proc/{pid}/stat").read_text()
        pid = int(status.rpartition(")")[2].split()[1])
        if pid in (until, 1):
            return found
        found.append(pid)
    raise AssertionError("a family without an end")
