"""`tensorflow.ProfilerService`: TensorBoard's "capture profile", of a worker.

    Profile → tell the worker to begin (Kind.PROFILE) → so long as was asked → tell it to end

No port is opened for it: TensorFlow's own profiler server listens on all interfaces and asks nobody
who they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from functools import partial

from eas_processor.codec import profiling
from eas_processor.codec.profiling import Wish
from eas_processor.errors import Code, ServingError
from eas_processor.pool.call import Answer
from eas_processor.pool.worker import Worker
from eas_processor.rpc.calls import Answering, GrpcCall, Request
from eas_processor.rpc.dispatch import Methods, unary
from eas_processor.rpc.routes import check_token
from eas_processor.serving.service import Service
from eas_processor.serving.version import Version
from eas_processor.worker.frames import Kind

NAME = "tensorflow.ProfilerService"
DURATION_MS_MAX = 10 * 60 * 1000
ANSWER_TIMEOUT_S = 120.0  # for what was recorded to be put together
HEARD_S = 600.0  # a busy worker may be late to begin or to end it, and must not leave it
MODEL = "model"  # in a call's metadata: whose worker


class ProfilerService:
    """services: live, by name. token: what each call must carry, if anything."""

    def __init__(self, services: Mapping[str, Service], token: str | None = None) -> None:
        self._services = services
        self._token = token
        self._sessions: dict[str, set[asyncio.Event]] = {}  # of several workers, maybe
        self._recordings: set[asyncio.Task[bytes]] = set()

    def methods(self, answering: Answering) -> Methods:
        """All methods, for a server."""
        methods = {"Profile": self.profile, "Monitor": self.monitor, "Terminate": self.terminate}
        return unary(NAME, {n: answering.method(NAME, n, method) for n, method in methods.items()})

    async def profile(self, request: Request) -> bytes:
        """ProfileRequest → ProfileResponse, once the time is over."""
        check_token(self._token, request.context)
        wish = profiling.wish(request.body)
        if not 0 < wish.duration_ms <= DURATION_MS_MAX:
            words = f"duration_ms must be from 1 to {DURATION_MS_MAX}; was {wish.duration_ms}"
            raise ServingError(Code.INVALID_ARGUMENT, words)
        worker = self._worker(_model(request))
        ended = asyncio.Event()
        session = self._sessions.setdefault(wish.session_id, set())
        session.add(ended)
        # A task of its own: what has begun is ended, though the client may have left.
        recording = asyncio.create_task(_record(worker, wish, ended))
        self._recordings.add(recording)
        recording.add_done_callback(self._recorded)
        try:
            return profiling.response(await asyncio.shield(recording))
        finally:
            ended.set()
            session.discard(ended)
            if not session:
                del self._sessions[wish.session_id]

    async def monitor(self, request: Request) -> bytes:
        """As TensorFlow's own server answers it on a CPU or GPU."""
        raise ServingError(Code.UNIMPLEMENTED, "unimplemented.")

    async def terminate(self, request: Request) -> bytes:
        """TerminateRequest → TerminateResponse: the session's recordings end now."""
        check_token(self._token, request.context)
        for ended in self._sessions.get(profiling.session(request.body), ()):
            ended.set()
        return b""

    def _recorded(self, recording: asyncio.Task[bytes]) -> None:
        self._recordings.discard(recording)
        if not recording.cancelled():
            recording.exception()  # who asked has been told, or has left

    def _worker(self, name: str) -> Worker:
        """Of the newest version of the model that is named, or of the first that runs on 2.x."""
        if name and name not in self._services:
            raise ServingError(Code.NOT_FOUND, f"there is no model {name}")
        for service in [self._services[name]] if name else self._services.values():
            able = [v for v in service.versions.values() if v.ready and (name or _can(v))]
            newest = max(able, key=lambda version: version.number, default=None)
            if newest is not None and newest.pool is not None and newest.pool.ready:
                return newest.pool.ready[0]
        words = f"the model {name} is not ready" if name else "no model on TensorFlow 2 is ready"
        raise ServingError(Code.UNAVAILABLE, words)


def _can(version: Version) -> bool:
    return version.runtime.get("tensorflow", "").startswith("2.")


def _model(request: Request) -> str:
    for key, value in request.context.metadata():
        if key == MODEL and isinstance(value, str):
            return value
    return ""


async def _record(worker: Worker, wish: Wish, ended: asyncio.Event) -> bytes:
    begin = _tell(worker, json.dumps(wish.levels).encode())
    try:
        await _answer(begin)
    except BaseException:
        begin.answer.add_done_callback(partial(_end_what_began, worker))
        raise
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wish.duration_ms / 1000):
                await ended.wait()
    finally:
        end = _end(worker)
    return await _answer(end)


def _tell(worker: Worker, body: bytes) -> GrpcCall:
    """Tell the worker, which is heard long after anybody waits: what it began is to be ended."""
    call = GrpcCall(body, time.monotonic() + HEARD_S, kind=Kind.PROFILE)
    worker.send(call)
    return call


def _end(worker: Worker) -> GrpcCall:
    return _tell(worker, b"")


def _end_what_began(worker: Worker, began: asyncio.Future[Answer]) -> None:
    """After nobody waited for it any more; else the recorder would be taken for ever."""
    if not began.cancelled() and began.result().code == Code.OK:
        _end(worker)


async def _answer(told: GrpcCall) -> bytes:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await asyncio.shield(told.answer)
    except TimeoutError:
        words = f"no answer within {ANSWER_TIMEOUT_S:g} s"
        raise ServingError(Code.DEADLINE_EXCEEDED, words) from None
    if answer.code != Code.OK:
        raise ServingError(Code(answer.code), answer.body.decode("utf-8", "replace"))
    return answer.body
