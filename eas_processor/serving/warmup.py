"""Warm-up: recorded requests, replayed through a worker before it may serve.

A `.bin` file is one serialised PredictRequest; a `.txt` file holds one request a line. The requests
cross the same wall as a client's. Source: EAS, "warm up model services".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from eas_processor.errors import Code, ConfigError, ServingError, StartError
from eas_processor.pool.call import AwaitedCall
from eas_processor.pool.worker import Worker
from eas_processor.worker.frames import Kind

REPLAYS = 5  # EAS sends each file five times in a row
REQUESTS_MAX = 1000  # TensorFlow Serving's bound on warm-up records

log = structlog.get_logger("warmup")


@dataclass(frozen=True)
class WarmupRequest:
    """One recorded request. label: the file, and the place in it if it holds several.

    replays: how often it is sent. translate: makes the body from the model's signatures (a
    serialised SignatureDefMap) where it depends on them; raises ServingError.
    """

    label: str
    body: bytes = b""
    kind: Kind = Kind.PROCESS
    replays: int = REPLAYS
    translate: Callable[[bytes], bytes] | None = None


def read(path: Path, bytes_max: int) -> list[WarmupRequest]:
    """The requests of one file. Raises ConfigError if it cannot be used."""
    try:
        if path.stat().st_size > bytes_max:
            raise ConfigError(f"warm-up file {path} is over {bytes_max >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"warm-up file {path}: {error.strerror or error}") from None
    if path.suffix == ".txt":
        lines = [line.rstrip(b"\r") for line in data.split(b"\n")]
        requests = [
            WarmupRequest(f"{path.name}:{number}", line)
            for number, line in enumerate(lines, 1)
            if line
        ]
    else:
        requests = [WarmupRequest(path.name, data)] if data else []
    if not requests:
        raise ConfigError(
            f"warm-up file {path} holds no request; write one with the SDK's req.to_string()"
        )
    if len(requests) > REQUESTS_MAX:
        raise ConfigError(f"warm-up file {path} holds over {REQUESTS_MAX} requests")
    return requests


async def replay(worker: Worker, requests: Sequence[WarmupRequest], timeout_s: float) -> None:
    """Send each request as often as it says, one after another.

    Raises StartError, naming the file, at the first that is not answered well, with that answer's
    code. timeout_s: for all.
    """
    end_s = time.monotonic() + timeout_s
    for request in requests:
        times_ms = []
        try:
            translate = request.translate
            body = translate(worker.signatures) if translate else request.body
        except ServingError as error:
            raise _failed(request, error.code, error.message) from None
        for _ in range(request.replays):
            started = time.perf_counter()
            call = AwaitedCall(request.kind, body, max(0.0, end_s - time.monotonic()))
            worker.send(call)
            answer = await call.wait()
            times_ms.append(round((time.perf_counter() - started) * 1000, 2))
            if answer.code != Code.OK:
                raise _failed(request, answer.code, answer.body.decode("utf-8", "replace"))
        log.info("warmed up", request=request.label, first_ms=times_ms[0], last_ms=times_ms[-1])


def _failed(request: WarmupRequest, code: int, why: str) -> StartError:
    told = Code(code) if code <= Code.UNAUTHENTICATED else Code.UNAVAILABLE
    return StartError(f"warm-up with {request.label} failed: {why}", told)
