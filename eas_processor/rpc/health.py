"""`grpc.health.v1.Health`, truthful: SERVING once everything is ready, until the server drains.

Asked about "", "PredictionService" or "ModelService" (with or without their package) it tells of
the whole server; asked about a model's name, of that model.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from eas_processor.codec import serving
from eas_processor.errors import Code, ServingError
from eas_processor.rpc import model_service, prediction
from eas_processor.rpc.calls import Answering, Request
from eas_processor.rpc.context import Context
from eas_processor.rpc.dispatch import Methods, Streaming, unary
from eas_processor.rpc.watchers import Watchers
from eas_processor.serving.service import Service

NAME = "grpc.health.v1.Health"
ALL = ""  # the whole server
WHOLE = frozenset(
    short
    for name in (prediction.NAME, model_service.NAME)
    for short in (ALL, name, name.rpartition(".")[2])
)

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3  # of HealthCheckResponse.ServingStatus


class Health:
    """services: live, by name. ready(): whether the whole server is."""

    def __init__(self, services: Mapping[str, Service], ready: Callable[[], bool]) -> None:
        self._services = services
        self._ready = ready
        self._is_draining = False
        self._watchers = Watchers(self._statuses, SERVICE_UNKNOWN)

    def methods(self, answering: Answering) -> Methods:
        """Both methods, for a server."""
        check = answering.method(NAME, "Check", self.check)
        watch = {f"/{NAME}/Watch".encode(): Streaming(self.watch)}
        return {**unary(NAME, {"Check": check}), **watch}

    def drain(self) -> None:
        """From now on nothing is serving, and whoever watches is let go."""
        self._is_draining = True
        self._watchers.end()

    async def check(self, request: Request) -> bytes:
        """HealthCheckRequest → HealthCheckResponse."""
        name = _asked(request.body)
        status = self._status(name)
        if status == SERVICE_UNKNOWN:
            raise ServingError(Code.NOT_FOUND, f"no service and no model is called {name!r}")
        return _response(status)

    async def watch(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        """HealthCheckRequest → a HealthCheckResponse now and at each change, until we drain."""
        name = _asked(request)
        told = None
        while not self._is_draining:
            status = self._status(name)
            if status != told:
                told = status
                yield _response(status)
            await self._watchers.change(ALL if name in WHOLE else name, status)
        yield _response(self._status(name))

    def _status(self, name: str) -> int:
        if name in WHOLE:
            serving = self._ready()
        elif name in self._services:
            serving = self._services[name].ready
        else:
            return SERVICE_UNKNOWN
        return SERVING if serving and not self._is_draining else NOT_SERVING

    def _statuses(self) -> dict[str, int]:
        """Of all that is known."""
        return {name: self._status(name) for name in (ALL, *self._services)}


def _message(name: str) -> Any:
    """The class of a message of health.proto."""
    return serving.message_of("health", f"grpc.health.v1.{name}")


def _asked(body: bytes) -> str:
    return str(serving.parse(_message("HealthCheckRequest"), body).service)


@functools.cache
def _response(status: int) -> bytes:
    made = _message("HealthCheckResponse")
    serialised: bytes = made(status=status).SerializeToString()
    return serialised
