"""The service JSONs of one host: started together, and read anew without losing a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from eas_processor.errors import ConfigError, ServingError
from eas_processor.pool.awake import Awake
from eas_processor.serving.service import Service, Services
from eas_processor.serving.version import Version

if TYPE_CHECKING:
    from eas_processor.serving.plan import ServicePlan

log = structlog.get_logger("reload")


async def _bring_up(file: Path, version: Version) -> None:
    """Raises what the version's start does, with the file that it is of."""
    try:
        await version.start()
    except ServingError as error:
        if str(file) not in error.message:
            error.message = f"{file}: {error.message}"
        raise


class Deployment:
    """One service for each file. `services` by name; it changes when a file's name does.

    read(file): the plan of a service JSON as it is now; raises ConfigError. on_change(): called
    when requests should be routed anew.
    """

    def __init__(
        self, read: Callable[[Path], ServicePlan], awake: Awake, on_change: Callable[[], None]
    ) -> None:
        self._read = read
        self._awake = awake
        self._on_change = on_change
        self._files: dict[Path, str] = {}  # to the name of its service
        self._reloading = asyncio.Lock()
        self.services = Services()

    def add(self, plans: Mapping[Path, ServicePlan]) -> None:
        """Services that `start` will bring up. Raises ConfigError if two have one name."""
        for file, plan in plans.items():
            if plan.name in self.services:
                raise ConfigError(f"{file}: name: another file has a service {plan.name!r} already")
            self._files[file] = plan.name
            service = self.services[plan.name] = self._service(plan)
            service.add(1, plan)

    @property
    def drain_timeout_s(self) -> float:
        """How long requests in flight may go on when the host stops."""
        return max((s.drain_timeout_s for s in self.services.values()), default=0.0)

    async def start(self) -> None:
        """Bring all services up. Raises ServingError at the first that does not come.

        A reload waits until they are: what is not there yet cannot be replaced.
        """
        async with self._reloading:
            await self._start()

    async def _start(self) -> None:
        tasks = [
            asyncio.create_task(_bring_up(file, version))
            for file, name in self._files.items()
            for version in self.services[name].versions.values()
        ]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def reload(self) -> dict[str, str]:
        """Read every file again and replace its service's version by what it says now.

        Gives for each file what went wrong, or "". What cannot be brought up leaves what serves as
        it was.
        """
        async with self._reloading:
            files = list(self._files)
            outcomes = await asyncio.gather(*(self._reload(file) for file in files))
        return {str(file): outcome for file, outcome in zip(files, outcomes, strict=True)}

    async def _reload(self, file: Path) -> str:
        try:
            plan = await asyncio.to_thread(self._read, file)
            await self._replace(file, plan)
        except ServingError as error:
            log.error("not reloaded", file=str(file), reason=error.message)
            return error.message
        except Exception as error:  # whatever it is, the other files are not to suffer
            log.exception("not reloaded", file=str(file))
            return f"{type(error).__name__}: {error}"
        log.info("reloaded", file=str(file), service=plan.name)
        if plan.generated_token and plan.token == self.services[plan.name].token:
            log.warning("generated token", service=plan.name, token=plan.token)
        return ""

    async def _replace(self, file: Path, plan: ServicePlan) -> None:
        old_name = self._files[file]
        if plan.name == old_name:
            service = self.services[plan.name]
            await service.replace(plan, lambda: plan.configure(service))
            return
        if plan.name in self.services or plan.name in self._files.values():
            raise ConfigError(f"{file}: name: another file has a service {plan.name!r} already")
        service = self._service(plan, self.services[old_name].token)
        self._files[file] = plan.name  # so that no other file takes it meanwhile
        try:
            await service.replace(plan)
        except BaseException:
            self._files[file] = old_name
            raise
        self.services[plan.name] = service
        old = self.services.pop(old_name)
        self._on_change()
        for version in tuple(old.versions.values()):
            await old.retire(version)

    def _service(self, plan: ServicePlan, token: str | None = None) -> Service:
        service = Service(plan.name, self._awake, self._on_change)
        service.token = token
        plan.configure(service)
        return service

    async def stop(self) -> None:
        """End all services. Whoever wants the calls in flight to finish has waited for them."""
        await asyncio.gather(*(service.stop() for service in self.services.values()))

    def kill(self) -> None:
        """End all workers by force, without waiting."""
        for service in self.services.values():
            service.kill()
