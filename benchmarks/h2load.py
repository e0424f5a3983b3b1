"""The load generator for gRPC: one run of h2load against one method."""

import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.failure import BenchmarkError
from benchmarks.results import Sample

EXTRA_S_MAX = 20  # to connect, and to write the result
HEADERS = ("content-type: application/grpc", "te: trailers")
FRAME_BYTES = 5  # flag and length, before a message
_FAILED = re.compile(r"(\d+) failed, (\d+) errored, (\d+) timeout")


def find_h2load() -> str:
    """The path of h2load; raises with how to get it."""
    found = shutil.which("h2load")
    if found is None:
        raise BenchmarkError(
            "h2load, the load generator for gRPC, is not installed: `apt-get install "
            "nghttp2-client` on Debian and Ubuntu, `dnf install nghttp2` on Fedora"
        )
    return found


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def load(url: str, body: Path, connections: int, streams: int, seconds: int) -> Sample:
    """Keep `streams` calls open on each connection for `seconds`; one thread.

    url: with the method, as http://HOST:PORT/package.Service/Method. body: a framed message. What a
    call's trailers say is not looked at: ask the server what it has counted.
    """
    with tempfile.NamedTemporaryFile("r", prefix="h2load-") as log:
        command = [find_h2load(), "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}"]
        command += [f"--data={body}", f"--log-file={log.name}"]
        command += [f"--header={line}" for line in HEADERS]
        ran = subprocess.run(
            [*command, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds + EXTRA_S_MAX,
            check=False,
        )
        failed = _FAILED.search(ran.stdout)
        if ran.returncode != 0 or failed is None:
            raise BenchmarkError(f"h2load failed (exit code {ran.returncode}):\n{ran.stdout}")
        lines = [line.split("\t") for line in log.read().splitlines()]
    took_us = [int(micros) for _, status, micros in lines if status == "200"]
    if len(took_us) < 2:
        raise BenchmarkError(f"h2load got {len(took_us)} answers:\n{ran.stdout}")
    return Sample(
        rate=len(took_us) / seconds,
        p50_us=statistics.median(took_us),
        p99_us=statistics.quantiles(took_us, n=100)[98],
        errors=sum(map(int, failed.groups())) + len(lines) - len(took_us),
    )
