"""The log on a terminal."""

import pty
import subprocess
import sys

import pytest

SCRIPT = """
import structlog
from eas_processor.observe import logs
logs.configure("info", "text")
structlog.get_logger("x").info("here")
"""


@pytest.mark.parametrize(("given", "coloured"), [("", True), ("1", False)])
def test_no_color_is_obeyed(given, coloured):
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal, open(theirs, "wb", buffering=0) as end:
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            stderr=end, timeout=60, check=True, env={"NO_COLOR": given, "TERM": "xterm"},
        )  # fmt: skip
        said = terminal.read(10_000)
    assert b"here" in said and (b"\x1b[" in said) == coloured
