"""`python -m benchmarks.host_processes`: what further host processes bring on this machine.

One host for each number of processes, with the echo processor, so that nothing but the host is
measured. They are loaded in turn, round by round; the ratios are formed inside a round.
"""

import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import click

from benchmarks.environments import alone
from benchmarks.failure import BenchmarkError
from benchmarks.processes import Program, free_port
from benchmarks.results import Sample
from benchmarks.wrk import Target, load

START_S_MAX = 60.0
BODY_BYTES = 3 * 1024


class Host:
    """`eas-processor serve` with so many processes."""

    def __init__(self, folder: Path, processes: int, workers: int) -> None:
        self.processes = processes
        port = free_port()
        name = f"echo{processes}"
        service = {"name": name, "processor": "echo", "metadata": {"instance": workers}}
        file = folder / f"{name}.json"
        file.write_text(json.dumps(service))
        body = folder / "body"
        body.write_bytes(os.urandom(BODY_BYTES))
        self._program = Program(
            [sys.executable, "-m", "eas_processor", "serve", str(file), "--port", str(port),
             "--host-processes", str(processes)],
            folder / f"{name}.log",
        )  # fmt: skip
        self._base = f"http://127.0.0.1:{port}"
        self._target = Target(f"{self._base}/api/predict/{name}", body, {})

    def wait_ready(self) -> None:
        """Until all of its processes listen."""
        end_s = time.monotonic() + START_S_MAX
        while not self._listening():
            self._program.check_alive()
            if time.monotonic() > end_s:
                raise BenchmarkError(f"{self.processes} processes did not come up")
            time.sleep(0.1)

    def _listening(self) -> bool:
        port = int(self._base.rpartition(":")[2])
        rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
        listening = [row for row in rows if row.split()[1:4:2] == [f"0100007F:{port:04X}", "0A"]]
        if len(listening) < self.processes:
            return False
        try:
            with urllib.request.urlopen(f"{self._base}/readyz", timeout=5):
                return True
        except OSError:  # 503
            return False

    def measure(self, connections: int, seconds: int) -> tuple[Sample, float]:
        """One load, and how many µs of CPU time an answer took in all processes together."""
        before_s = self._program.cpu_s()
        sample = load(self._target, connections, seconds)
        used_s = self._program.cpu_s() - before_s
        return sample, used_s / (sample.rate * seconds) * 1e6

    def close(self) -> None:
        """End it."""
        self._program.end()


@click.command()
@click.option("--processes", "numbers", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--workers", default=1, show_default=True, help="Instances of the processor.")
@click.option("--connections", multiple=True, type=int, default=(1, 64), show_default=True)
@click.option("--seconds", default=2, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(
    numbers: Sequence[int], workers: int, connections: Sequence[int], seconds: int, rounds: int
) -> None:
    """Compare hosts of several numbers of processes."""
    seen: dict[tuple[int, int], list[tuple[Sample, float]]] = defaultdict(list)
    with alone(), tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        hosts = [
            stack.enter_context(closing(Host(Path(folder), number, workers))) for number in numbers
        ]
        for host in hosts:
            host.wait_ready()
            host.measure(16, 1)
        for _ in range(rounds):
            for count in connections:
                for host in hosts:
                    seen[count, host.processes].append(host.measure(count, seconds))
    click.echo(f"{len(os.sched_getaffinity(0))} cores, {workers} workers, 3 KB bodies")
    for count in connections:
        first = [sample.rate for sample, _ in seen[count, numbers[0]]]
        for number in numbers:
            samples = [sample for sample, _ in seen[count, number]]
            cpu_us = statistics.median(cpu_us for _, cpu_us in seen[count, number])
            ratios = [s.rate / base for s, base in zip(samples, first, strict=True)]
            click.echo(
                f"{count:>4} connections, {number} processes: "
                f"{statistics.median(s.rate for s in samples):>8,.0f} answers/s, "
                f"p50 {statistics.median(s.p50_us for s in samples):>6,.0f} µs, "
                f"CPU {cpu_us:>4,.0f} µs, "
                f"{statistics.median(ratios):.2f} × ({min(ratios):.2f} … {max(ratios):.2f}), "
                f"errors {sum(s.errors for s in samples)}"
            )


if __name__ == "__main__":
    main()
