"""`eas-processor processors` as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.runtimes.packages import write_processor, write_wheel

PROGRAM = "from eas_processor.cli import main; main()"


def listing(tmp_path: Path, *arguments: str) -> str:
    environment = {**os.environ, "EAS_PROCESSOR_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", PROGRAM, "processors", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=True
    ).stdout


def test_the_table_has_a_line_for_each_with_its_state_and_aliases(tmp_path):
    lines = [line.split() for line in listing(tmp_path).splitlines()]

    assert lines[0] == ["NAME", "TENSORFLOW", "PYTHON", "DEVICE", "STATE", "ALIASES"]
    by_name = {line[0]: line for line in lines if line}
    assert by_name["echo"] == ["echo", "-", "any", "cpu", "installed"]
    assert by_name["tensorflow_gpu_1.15"][1:4] == ["1.15.5", "3.7", "gpu"]
    assert by_name["tensorflow_gpu_1.15"][-1] == "tensorflow_gpu"
    assert "\x1b" not in listing(tmp_path)


def test_what_can_not_be_installed_is_told_with_the_reason(tmp_path):
    pin = write_wheel(tmp_path / "packages", "tiny", {"tiny.py": ""})
    write_processor(tmp_path, "old", [pin], python=["3.99"])

    text = listing(tmp_path, "--processors", str(tmp_path))

    assert "not here" in next(line for line in text.splitlines() if line.startswith("old"))
    assert "Not installable here: old: it needs Python 3.99" in text


def test_json_has_all_of_it(tmp_path):
    rows = {row["name"]: row for row in json.loads(listing(tmp_path, "--json"))}

    assert rows["tensorflow_cpu_1.15"]["aliases"] == ["tensorflow_cpu", "tensorflow"]
    assert rows["tensorflow_cpu_1.15"]["installed"] is False
    assert rows["echo"]["why_not"] is None
