"""`examples/mnist/demo.py`: what it says where it can not show the example, and what it leaves."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eas_processor.errors import Code, ServingError

DEMO = Path(__file__).parents[2] / "examples" / "mnist" / "demo.py"


class Server:
    """A server that serves until it is ended."""

    ended = False

    def __init__(self, *command: Any) -> None:
        pass

    def poll(self) -> int | None:
        return 0 if self.ended else None

    def terminate(self) -> None:
        self.ended = True

    def wait(self) -> int:
        assert self.ended
        return 0


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", [str(DEMO)])
    return module


@pytest.mark.parametrize(
    ("processor", "words"),
    [("echo", "echo runs no TensorFlow"), ("tensorflow_cpu_9", "There is no processor")],
)
def test_a_processor_that_can_not_show_the_example_is_refused(processor: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, DEMO, processor, "--port", "1"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("error: " + words)


def test_a_server_that_does_not_answer_is_told_of_and_ended(
    demo: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server()

    def fail(base: str) -> None:
        raise ServingError(Code.UNAVAILABLE, "no answer: reset")

    monkeypatch.setattr(demo.subprocess, "Popen", lambda command: server)
    monkeypatch.setattr(demo, "_wait_ready", lambda *_: True)
    monkeypatch.setattr(demo, "_show", fail)
    assert demo.main() == 3
    assert server.ended and capsys.readouterr().err == "error: no answer: reset\n"
