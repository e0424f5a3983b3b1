"""The models of one server: applies a configuration, and keeps to it while folders change.

    configuration (flags, file, reload, admin) → apply → models → look, load, unload (see `model`)

A model that is bad, missing or slow has its own tasks; it never holds up another, nor a reload.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from eas_processor.errors import Code, ConfigError, ServingError
from eas_processor.modelserver import files
from eas_processor.modelserver.changes import Adopted, Changes
from eas_processor.modelserver.configs import Logging, ModelConfig
from eas_processor.modelserver.model import Loading, Model
from eas_processor.modelserver.plan import ModelVersionPlan
from eas_processor.modelserver.settling import refuse, settle
from eas_processor.modelserver.setup import Setup
from eas_processor.modelserver.source import ConfigSource
from eas_processor.modelserver.status import ModelReport
from eas_processor.modelserver.watch import Watcher
from eas_processor.pool.awake import Awake
from eas_processor.serving.service import Service, Services
from eas_processor.serving.states import VersionStatus
from eas_processor.serving.version import VersionPlan, in_thread

DEPARTED_MAX = 1000  # models that are gone and still listed

log = structlog.get_logger("models")


class ModelManager:
    """services: the models that are served, by name; it changes while the server runs.

    on_change(): called when requests should be routed anew. make_plan: another way to run a
    version, for tests.
    """

    def __init__(
        self,
        setup: Setup,
        awake: Awake,
        on_change: Callable[[], None] = lambda: None,
        make_plan: Callable[[ModelConfig, str], VersionPlan] | None = None,
    ) -> None:
        flags = setup.flags
        self._setup = setup
        self._source = ConfigSource(flags, setup.paths)
        self._changes = Changes(self._source, lambda: self.configs, self._check_asked, self._adopt)
        self._awake = awake
        self._on_change = on_change
        self._loading = Loading(
            make_plan=make_plan or (lambda model, path: ModelVersionPlan(setup, model, path)),
            slots=asyncio.Semaphore(flags.num_load_threads or os.cpu_count() or 1),
            tries=1 + flags.max_num_load_retries,
            retry_s=max(0.0, flags.load_retry_interval_micros / 1e6),
            labels_may_wait=flags.allow_version_labels_for_unavailable_models,
        )
        self._models: dict[str, Model] = {}
        self._departed: dict[str, Model] = {}
        self._watchers: dict[str, Watcher] = {}
        self._initial: dict[str, ModelConfig] | None = None
        self._started = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.services = Services()

    # what is

    @property
    def drain_timeout_s(self) -> float:
        """How long requests in flight may go on when the host stops."""
        return max((s.drain_timeout_s for s in self.services.values()), default=0.0)

    @property
    def configs(self) -> dict[str, ModelConfig]:
        """What is to be served now."""
        return {name: model.config for name, model in self._models.items()}

    def logged(self) -> dict[str, Logging]:
        """The models whose requests are to be recorded, and how."""
        configs = self.configs
        return {name: config.logging for name, config in configs.items() if config.logging}

    @property
    def ready(self) -> bool:
        """Whether every model has a version that can be asked."""
        return all(service.ready for service in self.services.values())

    def why(self) -> dict[str, str]:
        """By model, what is wrong or not there yet; "" where it can be asked."""
        return {name: model.why() for name, model in self._models.items()}

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Of a model's versions, newest first. Raises ServingError NOT_FOUND."""
        rows: dict[int, VersionStatus] = {}
        for models in (self._departed, self._models):
            if name in models:
                rows.update({row.version: row for row in models[name].statuses()})
        if not rows:
            words = f"Could not find any versions of model {name}"
            raise ServingError(Code.NOT_FOUND, words)
        if version is None:
            return [rows[number] for number in sorted(rows, reverse=True)]
        if version not in rows:
            words = f"Could not find version {version} of model {name}"
            raise ServingError(Code.NOT_FOUND, words)
        return [rows[version]]

    def listing(self) -> list[ModelReport]:
        """Every model that is to be served."""
        return [
            ModelReport(
                config=model.config,
                processor=self._setup.processors.of(model.config).name,
                ready=model.service.ready,
                why=model.why(),
                versions=model.statuses(),
            )
            for model in self._models.values()
        ]

    # life

    async def read(self) -> None:
        """Read the configuration, before a port is open say. Raises ConfigError."""
        if self._initial is None:
            self._initial = await in_thread(self._source.read)
            self._check(self._initial)

    async def start(self) -> None:
        """Read the configuration and bring its models up; returns once each has come or failed.

        With `strict_startup` all must come, and a folder that is missing is waited for. Harmless
        when it was done already. Raises ServingError.
        """
        if self._started:
            return
        self._started = True
        strict = self._setup.flags.strict_startup
        await self.read()
        self.services.starting = True
        _, models = self._adopt(self._initial or {})
        poll_s = self._setup.flags.model_config_file_poll_wait_seconds
        if poll_s > 0:
            self._changes.follow(poll_s)
        troubles = await settle(models, wait_for_folders=strict)
        self.services.starting = False
        if strict:
            refuse(models, troubles)
        for name, why in troubles.items():
            log.error("model not available", model=name, reason=why)

    async def stop(self) -> None:
        """End everything. Whoever wants the calls in flight to finish has waited for them."""
        self._changes.stop()
        tasks = [*self._tasks, *(watcher.stop() for watcher in self._watchers.values())]
        await asyncio.gather(*(model.stop() for model in self._all_models()))
        await asyncio.gather(*tasks, return_exceptions=True)

    def kill(self) -> None:
        """End all workers by force."""
        for model in self._all_models():
            model.service.kill()

    # what shall be

    async def apply(self, configs: Mapping[str, ModelConfig]) -> None:
        """Serve these models and no others; returns once each new one has come or failed.

        Raises ServingError for what has not come; whatever can be served is served all the same.
        What can not be, or not be kept in a file that is ours, is refused as a whole.
        """
        await _come(await self._changes.make(lambda _: configs))

    async def apply_proto(self, config: Any) -> None:
        """The same for a ModelServerConfig message, as HandleReloadConfigRequest brings it."""
        if config.WhichOneof("config") != "model_config_list":
            raise ConfigError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported"
            )
        await self.apply(files.models_from_proto(config, "HandleReloadConfigRequest"))

    async def add(self, config: ModelConfig) -> None:
        """Serve one model more. Raises ServingError ALREADY_EXISTS, or what `apply` raises."""

        def more(served: Mapping[str, ModelConfig]) -> Mapping[str, ModelConfig]:
            if config.name in served:
                raise ServingError(Code.ALREADY_EXISTS, f"there is a model {config.name} already")
            return {**served, config.name: config}

        await _come(await self._changes.make(more))

    async def remove(self, name: str) -> None:
        """Serve one model less. Raises ServingError NOT_FOUND."""

        def less(served: Mapping[str, ModelConfig]) -> Mapping[str, ModelConfig]:
            if name not in served:
                raise ServingError(Code.NOT_FOUND, f"there is no model {name}")
            return {n: config for n, config in served.items() if n != name}

        await _come(await self._changes.make(less))

    async def reload(self) -> dict[str, str]:
        """Read the configuration anew, look into every folder; what went wrong, by source."""
        source = self._source.name
        try:
            await _come(await self._changes.reload())
        except ServingError as error:
            log.error("not reloaded", source=source, reason=error.message)
            return {source: error.message}
        finally:
            for watcher in self._watchers.values():
                watcher.look_now()
        return {source: ""}

    # how

    def _adopt(self, configs: Mapping[str, ModelConfig]) -> Adopted:
        """Begin to serve exactly these, as `Changes` says it."""
        self._check(configs)
        refused = None
        for name in [name for name in self._models if name not in configs]:
            self._let_go(name)
        for name, config in configs.items():
            model = self._models.get(name)
            if model is not None and model.config != config:
                model.configure(config)
                self._watchers[name].look_now()
                refused = refused or model.refusal()
        new = [self._take_in(c) for name, c in configs.items() if name not in self._models]
        self._on_change()
        return refused, new

    def _check(self, configs: Mapping[str, ModelConfig]) -> None:
        for config in configs.values():
            self._setup.processors.of(config)
            model = self._models.get(config.name)
            if model is not None and model.config.platform != config.platform:
                raise ConfigError(
                    f"Illegal to change a model's platform. For model {config.name}: Requested "
                    f"model platform is {config.platform}, and it runs as "
                    f"{model.config.platform}; take it out first, then add it again"
                )

    def _check_asked(self, configs: Mapping[str, ModelConfig]) -> None:
        """The same, where somebody is told: labels that have to wait are refused, with the rest."""
        self._check(configs)
        for name, model in self._models.items():
            config = configs.get(name, model.config)
            if config != model.config:
                model.check_labels(config)

    def _take_in(self, config: ModelConfig) -> Model:
        flags = self._setup.flags
        service = Service(config.name, self._awake, self._on_change)
        service.missing = self.services.missing
        service.token = flags.token or None
        service.request_timeout_s = flags.rest_timeout_s
        model = Model(config, service, self._loading)
        self._models[config.name] = model
        self.services[config.name] = service
        poll_s = float(flags.file_system_poll_wait_seconds)
        self._watchers[config.name] = Watcher(model, self._setup.paths, poll_s)
        return model

    def _let_go(self, name: str) -> None:
        model = self._models.pop(name)
        del self.services[name]
        self._watchers.pop(name).stop()
        self._departed[name] = model
        while len(self._departed) > DEPARTED_MAX:
            del self._departed[next(iter(self._departed))]
        task = asyncio.create_task(model.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _all_models(self) -> Iterable[Model]:
        return (*self._models.values(), *self._departed.values())


async def _come(adopted: Adopted) -> None:
    """Wait for the models that are new. Raises ServingError for what is refused or fails."""
    refused, new = adopted
    if refused is not None:
        raise refused
    refuse(new, await settle(new, wait_for_folders=False))
