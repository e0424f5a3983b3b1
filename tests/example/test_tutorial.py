"""`docs/custom-processor.md`, followed to the letter: its files written, its commands run."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).parents[2]
TUTORIAL = REPO / "docs" / "custom-processor.md"
FINISHED = REPO / "examples" / "custom_processor"
COMMAND_S_MAX = 120
READY_S_MAX = 300  # the first start installs a package
STOP_S_MAX = 30
POLL_S = 0.05

BLOCK = re.compile(
    r"(?:^`(?P<path>[\w./]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


def blocks() -> Iterator[tuple[str, str, str]]:
    """(path or "", kind, text) of each fenced block, in order."""
    for match in BLOCK.finditer(TUTORIAL.read_text()):
        yield match["path"] or "", match["kind"], match["text"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Reader:
    """Somebody with two terminals: one that serves, one for the other commands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        scripts = str(Path(sys.executable).parent)
        self._environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"]}
        self._log = folder / "server.log"

    def write(self, path: str, text: str) -> None:
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, commands: str) -> str:
        """Run a block of commands; what it printed."""
        commands = commands.replace("8080", str(self._port))
        if commands.startswith("eas-processor serve"):
            self._serve(commands)
            return ""
        done = subprocess.run(
            ["bash", "-euc", commands],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stderr}\n{self.server_log()}"
        return done.stdout

    def server_log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def stop(self) -> None:
        """Ctrl-C in the first terminal: it drains and ends well."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            assert self._server.wait(STOP_S_MAX) == 0, self.server_log()
            self._server = None

    def leave(self) -> None:
        """Close the terminal, whatever still runs in it."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(STOP_S_MAX)

    def _serve(self, command: str) -> None:
        self.stop()
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                command.split(),
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        give_up_at = time.monotonic() + READY_S_MAX
        while not self._ready():
            assert self._server.poll() is None, self.server_log()
            assert time.monotonic() < give_up_at, self.server_log()
            time.sleep(POLL_S)  # between two looks; readiness itself is asked for

    def _ready(self) -> bool:
        url = f"http://127.0.0.1:{self._port}/readyz"
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=5) as response,
        ):
            return bool(response.status == 200)
        return False


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    printed: str | None = None
    compared = 0
    try:
        for path, kind, text in blocks():
            if path:
                reader.write(path, text)
            elif kind == "sh":
                printed = reader.run(text)
            else:
                assert printed is not None, f"nothing was run before:\n{text}"
                assert printed.strip() == text.strip(), reader.server_log()
                compared += 1
        reader.stop()
    finally:
        reader.leave()
    assert compared == 5


def test_the_example_folder_holds_what_the_tutorial_makes() -> None:
    told = {path: text for path, _, text in blocks() if path}
    assert len(told) == 9
    for path, text in told.items():
        assert (FINISHED / path).read_text() == text, path


def test_the_lock_file_of_the_example_fits_its_requirements() -> None:
    spelling = FINISHED / "my_processors" / "spelling"
    (wanted,) = (spelling / "requirements.in").read_text().split()
    assert f"\n{wanted} \\\n    --hash=sha256:" in (spelling / "requirements.lock").read_text()
