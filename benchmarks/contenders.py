"""Who takes part: how each is started, asked, and put under load."""

import http.client
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks import messages, wrk
from benchmarks.failure import BenchmarkError
from benchmarks.models import OUTPUT, SIGNATURE, Model
from benchmarks.processes import POLL_S, Program, free_port
from benchmarks.results import NO_CONNECTIONS, Sample

ANSWER_S_MAX = 20.0
CONNECTIONS = (1, 16, 64)
HEAD_START_S = 0.2  # so that two bare processes begin at the same moment
PEERS = Path(__file__).with_name("peers")
READY_S_MAX = 120.0
RELATIVE_TOLERANCE = 1e-4  # TensorFlow orders its sums differently with other thread counts


@dataclass(frozen=True)
class Setting:
    """What all contenders of one model share."""

    model: Model
    folder: Path  # logs, bodies and service files of this run
    processor: str
    processor_python: Path
    peer_python: Path
    ending: ExitStack  # ends what was started

    def start(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str] | None = None,
        talks: bool = False,
    ) -> Program:
        """Start a program that is ended with the run, whatever happens."""
        program = Program(command, self.log(name), environment, talks)
        self.ending.callback(program.end)
        return program

    @property
    def body(self) -> Path:
        """The file with the request's body."""
        return self.folder / f"{self.model.name}.body"

    @property
    def expected(self) -> Path:
        """The file with the answer of bare TensorFlow, an .npy."""
        return self.folder / f"{self.model.name}.expected.npy"

    def log(self, name: str) -> Path:
        """Where a program of this model writes."""
        return self.folder / f"{self.model.name}-{name}.log"


class Contender(Protocol):
    """One of those compared."""

    loads: tuple[int, ...]  # numbers of connections; NO_CONNECTIONS where there is no network
    programs: list[Program]

    def wait_ready(self) -> None:
        """Return when it can be measured."""

    def check(self) -> None:
        """Raise unless its answer is right."""

    def measure(self, connections: int, seconds: int) -> Sample:
        """Put it under load."""


class Bare:
    """TensorFlow's callable in a loop, in one or more processes that run at the same time."""

    loads: tuple[int, ...] = (NO_CONNECTIONS,)

    def __init__(self, setting: Setting, processes: int, threads: int, name: str) -> None:
        self._title = name
        source = setting.folder / f"{setting.model.name}.npy"
        np.save(source, setting.model.example())
        self.programs = []
        self._answers = []
        self._expected = setting.expected
        for number in range(processes):
            target = setting.expected
            if name != "bare":
                target = setting.folder / f"{setting.model.name}.{name}-{number}.npy"
            command = [str(setting.processor_python), str(PEERS / "bare_tensorflow.py")]
            command += [str(setting.model.folder), SIGNATURE, str(source), str(target)]
            command += [str(threads)]
            self._answers.append(target)
            self.programs.append(setting.start(f"{name}-{number}", command, talks=True))

    def wait_ready(self) -> None:
        """Each says its TensorFlow once it has answered."""
        for program in self.programs:
            json.loads(program.hear(READY_S_MAX))

    def check(self) -> None:
        """The first one is the measure of all others, so this compares the rest to it."""
        for file in self._answers:
            _compare(self._title, np.load(file), np.load(self._expected))

    def measure(self, connections: int, seconds: int) -> Sample:
        """All of them from the same moment on."""
        order = {"start": time.monotonic() + HEAD_START_S, "seconds": seconds}
        for program in self.programs:
            program.say(json.dumps(order))
        told = [json.loads(program.hear(seconds + ANSWER_S_MAX)) for program in self.programs]
        return Sample(
            rate=sum(one["runs"] / one["seconds"] for one in told),
            p50_us=float(np.mean([one["p50_us"] for one in told])),
            p99_us=max(one["p99_us"] for one in told),
            errors=0,
        )


class Server:
    """Something that answers HTTP on a port of its own."""

    loads: tuple[int, ...] = CONNECTIONS

    def __init__(self, setting: Setting, name: str, answers: bool = True) -> None:
        self.port = free_port()
        self.programs: list[Program] = []
        self.setting = setting
        self._name = name
        self._answers = answers  # the echo host does not

    def start(self, command: list[str], environment: dict[str, str] | None = None) -> "Server":
        """Start the program that serves."""
        self.programs.append(self.setting.start(self._name, command, environment))
        return self

    def wait_ready(self) -> None:
        """Until `/readyz` is answered with 200."""
        until = time.monotonic() + READY_S_MAX
        status = 0
        while status != http.client.OK:
            self.programs[0].check_alive()
            if time.monotonic() > until:
                raise BenchmarkError(
                    f"{self._name} is not ready after {READY_S_MAX:.0f} s (status {status}); "
                    f"see {self.programs[0].log}"
                )
            time.sleep(POLL_S)
            try:
                status, _ = self._ask("GET", "/readyz")
            except OSError:
                status = 0  # it does not listen yet

    def check(self) -> None:
        """One request; its answer must be bare TensorFlow's."""
        status, body = self._ask("POST", self._path, self.setting.body.read_bytes())
        if status != http.client.OK:
            words = body[:300].decode("utf-8", "replace")
            raise BenchmarkError(f"{self._name} answered {status}: {words}")
        expected = np.load(self.setting.expected)
        if not self._answers:
            if len(body) != messages.response_bytes(OUTPUT, expected):
                raise BenchmarkError(f"{self._name} answered {len(body)} bytes")
            return
        try:
            _compare(self._name, messages.output(body, OUTPUT), expected)
        except ValueError as error:
            raise BenchmarkError(f"{self._name} answered wrongly: {error}") from error

    def measure(self, connections: int, seconds: int) -> Sample:
        """wrk against it; returns when it has come to rest."""
        url = f"http://127.0.0.1:{self.port}{self._path}"
        sample = wrk.load(url, self.setting.body, connections, seconds)
        self.programs[0].settle()
        return sample

    @property
    def _path(self) -> str:
        return f"/api/predict/{self.setting.model.name}"

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S_MAX)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _compare(name: str, got: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    if got.shape != expected.shape or not np.allclose(
        got, expected, rtol=RELATIVE_TOLERANCE, atol=0
    ):
        raise BenchmarkError(f"{name} answered {got.ravel()[:4]} …, not {expected.ravel()[:4]} …")


def _ours(setting: Setting) -> Server:
    """A service JSON with EAS's defaults: one instance, no batching."""
    service = {
        "name": setting.model.name,
        "processor": setting.processor,
        "model_path": str(setting.model.folder),
        "metadata": {"instance": 1, "cpu": os.cpu_count()},
    }
    file = setting.folder / f"{setting.model.name}.json"
    file.write_text(json.dumps(service))
    server = Server(setting, "ours")
    command = [str(Path(sys.executable).with_name("eas-processor")), "serve", str(file)]
    return server.start([*command, "--host", "127.0.0.1", "--port", str(server.port)])


def _fastapi(setting: Setting, workers: int) -> Server:
    server = Server(setting, f"fastapi-{workers}")
    command = [str(setting.peer_python), "-m", "uvicorn", "fastapi_server:app"]
    command += ["--host", "127.0.0.1", "--port", str(server.port), "--workers", str(workers)]
    command += ["--app-dir", str(PEERS), "--loop", "uvloop", "--http", "httptools"]
    environment = {
        "MODEL": str(setting.model.folder),
        "SIGNATURE": SIGNATURE,
        "MESSAGES": str(messages.DESCRIPTORS),
    }
    return server.start([*command, "--no-access-log", "--log-level", "warning"], environment)


def _echo(setting: Setting) -> Server:
    size = messages.response_bytes(OUTPUT, np.load(setting.expected))
    server = Server(setting, "echo", answers=False)
    script = str(PEERS / "echo_server.py")
    return server.start([sys.executable, script, str(server.port), str(size)])


CONTENDERS: dict[str, tuple[str, Callable[[Setting], Contender]]] = {
    "bare": ("bare TensorFlow, one process", lambda s: Bare(s, 1, 0, "bare")),
    "bare2": ("bare TensorFlow, two processes of one thread", lambda s: Bare(s, 2, 1, "bare2")),
    "echo": ("echo host, no model", _echo),
    "ours": ("eas-processor", _ours),
    "fastapi": ("FastAPI, one worker", lambda s: _fastapi(s, 1)),
    "fastapi2": ("FastAPI, two workers", lambda s: _fastapi(s, 2)),
}
