"""Changes of the configuration: asked for, or found in its file.

Where the file is ours to write, each is written and taken in before the next one begins: what was
written is served, what could not be written is not, and neither is ever taken for news.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

import structlog

from eas_processor.errors import ServingError
from eas_processor.modelserver.configs import ModelConfig
from eas_processor.modelserver.model import Model
from eas_processor.modelserver.source import ConfigSource
from eas_processor.serving.version import in_thread

log = structlog.get_logger("models")

T = TypeVar("T")
Configs = Mapping[str, ModelConfig]
Adopted = tuple[ServingError | None, list[Model]]


class Changes:
    """adopt(configs): begin to serve exactly these; gives the refusal of a label, and the models
    that are new. Raises ConfigError, having changed nothing.

    served(), check(configs): what is served now, and whether somebody may ask for these: else a
    ServingError. Of labels a file may be ahead: nobody waits for an answer, so they wait.
    """

    def __init__(
        self,
        source: ConfigSource,
        served: Callable[[], Configs],
        check: Callable[[Configs], None],
        adopt: Callable[[Configs], Adopted],
    ) -> None:
        self._source = source
        self._served = served
        self._check = check
        self._adopt = adopt
        # Another's file is only read, and that may take long: nobody waits for it.
        self._turn: contextlib.AbstractAsyncContextManager[None] = (
            asyncio.Lock() if source.is_ours else contextlib.nullcontext()
        )
        self._tasks: set[asyncio.Task[Any]] = set()

    async def make(self, change: Callable[[Configs], Configs]) -> Adopted:
        """Adopt what comes of what is served. Raises ServingError, having changed nothing."""
        return await self._to_the_end(self._make(change))

    async def reload(self) -> Adopted:
        """Adopt what the file or the flags say. Raises ServingError, having changed nothing."""
        return await self._to_the_end(self._reload())

    def follow(self, poll_s: float) -> None:
        """From now on adopt what comes to stand in the file."""
        self._begin(self._follow(poll_s))

    def stop(self) -> None:
        """Adopt nothing more."""
        for task in self._tasks:
            task.cancel()

    async def _make(self, change: Callable[[Configs], Configs]) -> Adopted:
        async with self._turn:
            configs = change(self._served())
            self._check(configs)
            if self._source.is_ours:  # else there is no turn, and nothing may come in between
                await in_thread(lambda: self._source.write(configs))
            return self._adopt(configs)

    async def _reload(self) -> Adopted:
        async with self._turn:
            return self._adopt(await in_thread(partial(self._source.read, bool(self._served()))))

    async def _follow(self, poll_s: float) -> None:
        """What can not be read is told once; what was there goes on."""
        said = ""
        while True:
            await asyncio.sleep(poll_s)
            try:
                await self._look()
                said = ""
            except ServingError as error:
                if error.message != said:
                    log.error("config file not taken", reason=error.message)
                said = error.message

    async def _look(self) -> None:
        async with self._turn:
            read = partial(self._source.read_if_changed, bool(self._served()))
            configs = await in_thread(read)
            if configs is not None:
                log.info("config file has changed", file=self._source.name)
                refused, _ = self._adopt(configs)
                if refused is not None:
                    log.error("labels stay until all can be moved", reason=refused.message)

    async def _to_the_end(self, work: Coroutine[Any, Any, Adopted]) -> Adopted:
        """Do it, also when whoever waits for it goes away: file and models must not part."""
        return await asyncio.shield(self._begin(work))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # is for who waits for it, or for nobody any more
