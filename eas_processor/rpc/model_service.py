"""`tensorflow.serving.ModelService`: what is loaded, and a new configuration for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from eas_processor.codec import serving
from eas_processor.errors import Code, ServingError
from eas_processor.rpc.calls import Answering, Request
from eas_processor.rpc.dispatch import Methods, unary
from eas_processor.rpc.routes import Routes, check_token, spec_of
from eas_processor.serving.states import States

NAME = "tensorflow.serving.ModelService"


Apply = Callable[[Any], Awaitable[None]]


class ModelService:
    """apply: takes a ModelServerConfig in the place of the present one, raises ServingError; None
    where the models do not come from one. reload_token: what a reload must carry, if anything.
    """

    def __init__(
        self,
        states: States,
        routes: Routes,
        apply: Apply | None = None,
        reload_token: str | None = None,
    ) -> None:
        self._states = states
        self._routes = routes
        self._apply = apply
        self._reload_token = reload_token

    def methods(self, answering: Answering) -> Methods:
        """All methods, for a server."""
        methods = {
            "GetModelStatus": self.get_model_status,
            "HandleReloadConfigRequest": self.handle_reload_config_request,
        }
        return unary(NAME, {n: answering.method(NAME, n, method) for n, method in methods.items()})

    async def get_model_status(self, request: Request) -> bytes:
        """GetModelStatusRequest → GetModelStatusResponse."""
        spec = spec_of(serving.parse("GetModelStatusRequest", request.body))
        self._routes.check(spec.name, request.context)
        answer = serving.message("GetModelStatusResponse")()
        for row in self._states.status(spec.name, spec.number):  # as the peer, by no label
            entry = answer.model_version_status.add()
            entry.version = row.version
            entry.state = entry.State.Value(row.state)
            entry.status.error_code = int(row.code)
            entry.status.error_message = row.message
        serialised: bytes = answer.SerializeToString()
        return serialised

    async def handle_reload_config_request(self, request: Request) -> bytes:
        """ReloadConfigRequest → ReloadConfigResponse; returns once new models are available."""
        check_token(self._reload_token, request.context)
        if self._apply is None:
            words = "the models come from service JSONs: change those, then `eas-processor reload`"
            raise ServingError(Code.UNIMPLEMENTED, words)
        await self._apply(serving.parse("ReloadConfigRequest", request.body).config)
        answer = serving.message("ReloadConfigResponse")()
        answer.status.error_code = 0
        serialised: bytes = answer.SerializeToString()
        return serialised
