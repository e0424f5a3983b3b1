"""`python -m benchmarks.dialects`: the same model asked in every dialect, in one run.

One `eas-processor serve` with REST and gRPC beside the EAS dialect; bare `grpc.aio` echo and the
bare HTTP echo host are the floors. Rounds are interleaved, ratios are formed inside a round. Where
the time goes: CPU time of the host and of its workers for each answer, and what reading and
printing JSON took in that very host.

`--share 0.15` holds every process but the workers to a part of a core: what two host processes
bring where the machine has room for them, on one that has not.
"""

import http.client
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks import environments, h2load, messages, wrk
from benchmarks.call_times import FOLDER, CallTimes
from benchmarks.failure import BenchmarkError
from benchmarks.models import MODELS, OUTPUT, Model
from benchmarks.processes import POLL_S, Program, free_port
from benchmarks.results import Results, Sample
from benchmarks.setting import PROGRAMS, READY_S_MAX, compare
from benchmarks.share import held
from eas_processor.codec import binary, serving, tensors

EXIT_FAILED = 3
ANSWER_S_MAX = 30.0
ECHO_START_S_MAX = 30.0
LONE = 1
PREDICT = "/tensorflow.serving.PredictionService/Predict"
PROTOBUF = {"Content-Type": binary.PROTOBUF, "Accept": binary.PROTOBUF}
JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}
GOOD = ("200", "OK")
LEFT = ("499", "CANCELLED")  # at the end of a load its last calls are not awaited
BINARY, ECHO, HTTP_ECHO = "REST, protobuf", "bare grpc.aio echo", "bare HTTP echo"
JSON_ROWS, JSON_COLUMNS = "REST, JSON rows", "REST, JSON columns"
GRPC, GRPC_FRONTS = "gRPC", "gRPC, two host processes"


@dataclass
class Way:
    """One way to ask.

    By connections, each with an entry for a round: cpu_us, of an answer: (the host, its workers);
    json_us, of one request that is JSON: (reading it, printing its answer), medians.
    """

    title: str
    program: Program
    load: Callable[[int, int], Sample]  # connections, seconds
    json: Sequence[CallTimes] = ()
    cpu_us: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    json_us: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    def measure(self, connections: int, seconds: int) -> Sample:
        """One load, and who used how much of the CPU meanwhile."""
        before, calls = _cpu_s(self.program), [times.count for times in self.json]
        sample = self.load(connections, seconds)
        after = _cpu_s(self.program)
        answers = max(1.0, sample.rate * seconds)
        host, workers = ((b - a) / answers * 1e6 for a, b in zip(before, after, strict=True))
        self.cpu_us.setdefault(connections, []).append((host, workers))
        if self.json:
            new = (times.since(count) for times, count in zip(self.json, calls, strict=True))
            read, printed = (statistics.median(times_us or [0.0]) for times_us in new)
            self.json_us.setdefault(connections, []).append((read, printed))
        self.program.settle()
        return sample


def _cpu_s(program: Program) -> tuple[float, float]:
    """Of the host's processes and of its workers."""
    host = workers = 0.0
    for pid, (_, used_s) in program.tree().items():
        if _is_worker(pid):
            workers += used_s
        else:
            host += used_s
    return host, workers


def _is_worker(pid: int) -> bool:
    try:
        return b"eas_processor/worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Server:
    """`eas-processor serve` with one service, HTTP and gRPC."""

    def __init__(self, model: Model, processor: str, folder: Path, processes: int) -> None:
        self.model = model
        self.port, self.grpc_port = free_port(), free_port()
        service = {"name": model.name, "processor": processor, "model_path": str(model.folder),
                   "metadata": {"instance": 1, "cpu": os.cpu_count()}}  # fmt: skip
        file = folder / f"{model.name}-{processes}.json"
        file.write_text(json.dumps(service))
        times = folder / f"{model.name}-{processes}"
        times.mkdir()
        command = [sys.executable, "-m", "benchmarks.programs.timed_host", "serve", str(file)]
        command += ["--port", str(self.port), "--grpc-port", str(self.grpc_port)]
        command += ["--host-processes", str(processes)]
        log = folder / f"{model.name}-{processes}.log"
        self.program = Program(command, log, {FOLDER: str(times)}, talks=False)
        self.json = [CallTimes(times / name) for name in ("predict_request", "predict_answer")]

    def wait_ready(self) -> None:
        """Until /readyz says yes."""
        until = time.monotonic() + READY_S_MAX
        while self._readiness() != http.client.OK:
            self.program.check_alive()
            if time.monotonic() > until:
                raise BenchmarkError(f"not ready; see {self.program.log}")
            time.sleep(POLL_S)

    def _readiness(self) -> int:
        try:
            return self.ask("GET", "/readyz", b"", {})[0]
        except (OSError, http.client.HTTPException):
            return 0

    def ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """One HTTP request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S_MAX)
        try:
            connection.request(method, path, body or None, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, message: bytes) -> bytes:
        """One gRPC call of Predict, by the official client."""
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}", options) as channel:
            answer: bytes = channel.unary_unary(PREDICT)(message, timeout=ANSWER_S_MAX)
            return answer

    def failed(self) -> int:
        """How many requests it has not answered well, of whatever dialect."""
        _, page = self.ask("GET", "/metrics", b"", {})
        rows = re.findall(r'eas_requests_total\{[^}]*code="([^"]*)"\} (\d+)', page.decode())
        return sum(int(count) for code, count in rows if code not in (*GOOD, *LEFT))


@dataclass(frozen=True)
class Bodies:
    """One request in each form, and what all must answer."""

    eas: bytes
    protobuf: bytes
    rows: bytes
    columns: bytes

    @classmethod
    def of(cls, model: Model) -> "Bodies":
        """The example of a model."""
        values = model.example()
        protobuf = tensors.request({model.input: values}, model.signature, [OUTPUT])
        spec = serving.parse("PredictRequest", protobuf)
        spec.model_spec.name = model.name
        asked = {"signature_name": model.signature}
        return cls(
            messages.request(model.signature, model.input, values),
            spec.SerializeToString(),
            json.dumps({**asked, "instances": values.tolist()}).encode(),
            json.dumps({**asked, "inputs": {model.input: values.tolist()}}).encode(),
        )


def _ways(
    server: Server, fronts: Server, bodies: Bodies, folder: Path, stack: ExitStack
) -> list[Way]:
    """Every way, after its answer has been found to be that of the EAS dialect."""
    model = server.model
    eas, predict = f"/api/predict/{model.name}", f"/v1/models/{model.name}:predict"
    status, answer = server.ask("POST", eas, bodies.eas, OCTETS)
    if status != http.client.OK:
        raise BenchmarkError(f"EAS answered {status}: {answer[:300]!r}")
    expected = messages.output(answer, OUTPUT)

    def over_http(title: str, path: str, body: bytes, headers: Mapping[str, str]) -> Way:
        status, answer = server.ask("POST", path, body, headers)
        if status != http.client.OK:
            raise BenchmarkError(f"{title} answered {status}: {answer[:300]!r}")
        compare(title, _scores(answer, headers), expected)
        load = _wrk(folder, server.port, path, body, headers)
        return Way(title, server.program, load, server.json if headers is JSON else ())

    def over_grpc(title: str, to: Server) -> Way:
        compare(title, tensors.outputs(to.call(bodies.protobuf))[OUTPUT].values, expected)
        return Way(title, to.program, _h2load(folder, to.grpc_port, bodies.protobuf))

    reply = server.call(bodies.protobuf)
    grpc_port, http_port = free_port(), free_port()
    grpc_echo = _floor("grpc_echo_server.py", grpc_port, len(reply), folder, stack)
    http_echo = _floor("echo_server.py", http_port, len(answer), folder, stack)
    return [
        Way(HTTP_ECHO, http_echo, _wrk(folder, http_port, eas, bodies.eas, OCTETS)),
        Way("EAS", server.program, _wrk(folder, server.port, eas, bodies.eas, OCTETS)),
        over_http(BINARY, predict, bodies.protobuf, PROTOBUF),
        over_http(JSON_ROWS, predict, bodies.rows, JSON),
        over_http(JSON_COLUMNS, predict, bodies.columns, JSON),
        Way(ECHO, grpc_echo, _h2load(folder, grpc_port, bodies.protobuf)),
        over_grpc(GRPC, server),
        over_grpc(GRPC_FRONTS, fronts),
    ]


def _scores(answer: bytes, headers: Mapping[str, str]) -> NDArray[Any]:
    if headers is PROTOBUF:
        return tensors.outputs(answer)[OUTPUT].values
    document = json.loads(answer)
    found = document["predictions"] if "predictions" in document else document["outputs"]
    return np.array(found, np.float32)


def _floor(script: str, port: int, answer_bytes: int, folder: Path, stack: ExitStack) -> Program:
    command = [sys.executable, str(PROGRAMS / script), str(port), str(answer_bytes)]
    program = Program(command, folder / f"{script}.log", talks=False)
    stack.callback(program.end)
    until = time.monotonic() + ECHO_START_S_MAX
    while not _listens(port):
        program.check_alive()
        if time.monotonic() > until:
            raise BenchmarkError(f"{script} does not listen; see {program.log}")
        time.sleep(POLL_S)
    return program


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _file(folder: Path, body: bytes) -> Path:
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".body", delete=False) as file:
        file.write(body)
    return Path(file.name)


def _wrk(
    folder: Path, port: int, path: str, body: bytes, headers: Mapping[str, str]
) -> Callable[[int, int], Sample]:
    url = f"http://127.0.0.1:{port}{path}"
    return partial(wrk.load, wrk.Target(url, _file(folder, body), headers))


def _h2load(folder: Path, port: int, message: bytes) -> Callable[[int, int], Sample]:
    body = _file(folder, h2load.framed(message))
    url = f"http://127.0.0.1:{port}{PREDICT}"

    def load(connections: int, seconds: int) -> Sample:
        # Clients keep few channels and many calls on each.
        channels = max(1, connections // 8)
        return h2load.load(url, body, channels, connections // channels, seconds)

    return load


@click.command()
@click.option("--model", "names", multiple=True, type=click.Choice(["softmax", "image"]),
              default=("softmax", "image"), show_default=True)  # fmt: skip
@click.option("--processor", default="tensorflow_cpu_2.21", show_default=True)
@click.option("--connections", multiple=True, type=int, default=(1, 64), show_default=True)
@click.option("--seconds", default=2, show_default=True)
@click.option("--rounds", default=4, show_default=True)
@click.option("--share", type=click.FloatRange(0.02, 1),
              help="Hold each process that is no worker to this part of a core.")  # fmt: skip
def main(
    names: Sequence[str],
    processor: str,
    connections: Sequence[int],
    seconds: int,
    rounds: int,
    share: float | None,
) -> None:
    """Ask the same model in every dialect, and compare."""
    try:
        wrk.find_wrk()
        h2load.find_h2load()
        environments.processor_python(processor)
        with environments.alone():
            for name in names:
                _run(MODELS[name](), processor, connections, seconds, rounds, share)
    except BenchmarkError as error:
        click.echo(error, err=True)
        sys.exit(EXIT_FAILED)


def _run(
    model: Model,
    processor: str,
    connections: Sequence[int],
    seconds: int,
    rounds: int,
    share: float | None,
) -> None:
    results = Results()
    with tempfile.TemporaryDirectory(prefix="eas-benchmark-") as name, ExitStack() as stack:
        folder = Path(name)
        servers = [Server(model, processor, folder, processes) for processes in (1, 2)]
        for server in servers:
            stack.callback(server.program.end)
        for server in servers:
            server.wait_ready()
        bodies = Bodies.of(model)
        ways = _ways(servers[0], servers[1], bodies, folder, stack)
        if share is not None:
            pids = {pid for way in ways for pid in way.program.tree()}
            stack.enter_context(held((pid for pid in pids if not _is_worker(pid)), share))
        for way in ways:
            way.load(min(16, max(connections)), 1)  # warm-up, not counted
        for _ in range(rounds):
            for count in connections:
                for way in ways:
                    sample = way.measure(count, seconds * model.stretch)
                    results.add((model.name, way.title, count), sample)
        if failed := sum(server.failed() for server in servers):
            raise BenchmarkError(f"{failed} requests were not answered well")
    sizes = f"{len(bodies.protobuf):,} bytes in protobuf, {len(bodies.rows):,} in JSON"
    click.echo(f"\n{model.title}: {sizes}; medians of {rounds} rounds")
    for count in connections:
        for way in ways:
            _tell(results, model, way, count)
    _tell_ratios(results, model, connections, ways)


def _tell(results: Results, model: Model, way: Way, count: int) -> None:
    median = results.median((model.name, way.title, count))
    assert median is not None
    host, workers = (statistics.median(part) for part in zip(*way.cpu_us[count], strict=True))
    click.echo(
        f"{count:>4} open  {way.title:<26}{median.rate:>10,.0f}/s  p50 {median.p50_us:>9,.0f} µs  "
        f"p99 {median.p99_us:>9,.0f} µs  CPU host {host:>7,.0f} µs, workers {workers:>7,.0f} µs  "
        f"errors {median.errors}"
    )
    if way.json:
        read, printed = (statistics.median(part) for part in zip(*way.json_us[count], strict=True))
        click.echo(f"{'':<10}of which JSON: read {read:,.0f} µs, answer printed {printed:,.0f} µs")


def _tell_ratios(
    results: Results, model: Model, connections: Sequence[int], ways: Sequence[Way]
) -> None:
    def line(words: str, ratios: list[float]) -> None:
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        click.echo(f"{words:<74}{middle:>6.2f} ({low:.2f} … {high:.2f})")

    for count in connections:

        def rates(title: str, over: str, count: int = count) -> list[float]:
            cells = [(model.name, title, count), (model.name, over, count)]
            return results.paired(cells, lambda a, b: a.rate / b.rate)

        line(f"{count} open: gRPC, of the bare echo's rate (goal 0.75)", rates(GRPC, ECHO))
        line(f"{count} open: two host processes, of one's rate", rates(GRPC_FRONTS, GRPC))
    if LONE not in connections:
        return
    for way in ways:
        if way.json:
            binary_us = [sample.p50_us for sample in results.cells[model.name, BINARY, LONE]]
            json_us = [sample.p50_us for sample in results.cells[model.name, way.title, LONE]]
            rounds = zip(json_us, way.json_us[LONE], binary_us, strict=True)
            rest_of = [(whole - read) / binary for whole, (read, _), binary in rounds]
            line(f"{way.title}, lone: all but reading, of a binary one (goal 1.3)", rest_of)


if __name__ == "__main__":
    main()
