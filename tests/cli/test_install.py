"""`eas-processor install` as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.runtimes.packages import write_processor, write_wheel

PROGRAM = "from eas_processor.cli import main; main()"


def run(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "EAS_PROCESSOR_CACHE": str(tmp_path / "cache")}
    environment["UV_CACHE_DIR"] = str(tmp_path / "uv")
    command = [sys.executable, "-c", PROGRAM, "install", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_it_prints_the_interpreter_and_goes_on_after_a_failure(tmp_path):
    pin = write_wheel(tmp_path / "packages", "tiny", {"tiny.py": ""})
    write_processor(tmp_path, "works", [pin])
    write_processor(tmp_path, "fails", [pin], python=["3.99"])

    ran = run(tmp_path, "fails", "works", "--processors", str(tmp_path))

    assert ran.returncode == 3
    name, _, python = ran.stdout.strip().partition(": ")
    assert name == "works" and Path(python).exists()
    assert "uv python install 3.99" in ran.stderr
    assert ran.stderr.strip().splitlines()[-1] == "error: 1 of 2 not installed: fails."
    assert "Traceback" not in ran.stderr


def test_an_unknown_name_is_a_mistake_of_the_user(tmp_path):
    ran = run(tmp_path, "tensorflow_cpu_1.5")

    assert ran.returncode == 2
    assert "did you mean tensorflow_cpu_1.15?" in ran.stderr and "Traceback" not in ran.stderr


def test_no_name_at_all_is_a_mistake_of_the_user(tmp_path):
    ran = run(tmp_path)

    assert ran.returncode == 2 and "--all-cpu" in ran.stderr
