"""Beyond TensorFlow Serving: list, add and remove models over REST, and read the files anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from eas_processor.api import auth
from eas_processor.api.rest_answers import Answers, Run, internal
from eas_processor.config.tokens import ADMIN_TOKEN_VARIABLE
from eas_processor.errors import Code, ServingError
from eas_processor.http.messages import Request
from eas_processor.observe.series import Series
from eas_processor.serving.service import Service
from eas_processor.serving.states import States

if TYPE_CHECKING:
    from eas_processor.modelserver.manager import ModelManager

log = structlog.get_logger("rest")


class Admin:
    """Changes what is served. manager: of a model server; without one, models are in files.

    reload(): read those anew; what went wrong by source, "" where nothing did.
    """

    def __init__(
        self,
        answers: Answers,
        token: str,
        manager: ModelManager | None = None,
        reload: Callable[[], Awaitable[dict[str, str]]] | None = None,
    ) -> None:
        self._answers = answers
        self._token = token.encode()
        self._manager = manager
        self._reload = reload
        self._tasks: set[asyncio.Task[None]] = set()

    def guard(self, request: Request) -> None:
        """Raise ServingError unless the request carries the administrator's token."""
        if not self._token:
            raise ServingError(
                Code.PERMISSION_DENIED,
                f"models can not be changed here: no admin token is set ({ADMIN_TOKEN_VARIABLE})",
            )
        if not auth.allows(self._token, request):
            raise ServingError(Code.UNAUTHENTICATED, "the admin token is missing or wrong")

    def add(self, series: Series) -> Run:
        """POST of one model's configuration; answered once the model has come or failed."""
        return lambda request: self._start(request, series, self._add(request.body))

    def remove(self, series: Series, name: str) -> Run:
        """DELETE of a model."""
        return lambda request: self._start(request, series, self._remove(name))

    def reload(self, series: Series) -> Run:
        """POST without a body: read the configuration anew."""
        return lambda request: self._start(request, series, self._read_anew())

    def listing(self, services: Mapping[str, Service], states: States) -> bytes:
        """All models, as JSON; where they can be added, with what would add them again."""
        manager = self._manager
        if manager is not None:
            from eas_processor.modelserver import admin

            rows = [admin.report_to_json(report) for report in manager.listing()]
        else:
            rows = [_row(service, states) for service in services.values()]
        return _json({"models": rows})

    def _start(
        self, request: Request, series: Series, work: Coroutine[Any, Any, dict[str, Any]]
    ) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(request, series, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, request: Request, series: Series, work: Coroutine[Any, Any, dict[str, Any]]
    ) -> None:
        try:
            self._answers.done(request, series, _json(await work))
        except ServingError as error:
            self._answers.fail(request, series, error)
        except Exception:
            log.exception("request failed", target=request.target.decode("latin-1"))
            self._answers.fail(request, series, internal())

    async def _add(self, body: bytes) -> dict[str, Any]:
        manager = self._changeable()
        from eas_processor.modelserver import admin

        config = admin.model_from_json(body)
        await manager.add(config)
        log.info("model added", model=config.name)
        (report,) = [r for r in manager.listing() if r.config.name == config.name]
        return admin.report_to_json(report)

    async def _remove(self, name: str) -> dict[str, Any]:
        await self._changeable().remove(name)
        log.info("model removed", model=name)
        return {"removed": name}

    async def _read_anew(self) -> dict[str, Any]:
        if self._reload is None:
            raise ServingError(Code.UNIMPLEMENTED, "there is nothing here that could be read anew")
        outcomes = await self._reload()
        wrong = [f"{source}: {why}" for source, why in outcomes.items() if why]
        if wrong:
            raise ServingError(Code.INVALID_ARGUMENT, "; ".join(wrong))
        return {"reloaded": list(outcomes)}

    def _changeable(self) -> ModelManager:
        if self._manager is None:
            words = "what is served here is in service JSON files: change those, then reload"
            raise ServingError(Code.UNIMPLEMENTED, words)
        return self._manager


def _row(service: Service, states: States) -> dict[str, Any]:
    told = service.report()
    return {
        "name": service.name,
        "ready": service.ready,
        "why": "" if service.ready else service.why(),
        "processor": told["processor"],
        "model_version_status": [
            {
                "version": str(row.version),
                "state": row.state,
                "status": {"error_code": row.code.name, "error_message": row.message},
            }
            for row in states.status(service.name)
        ],
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=4, ensure_ascii=False).encode() + b"\n"
