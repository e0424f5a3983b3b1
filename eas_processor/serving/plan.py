"""From a service JSON to what a service needs: an interpreter, a model on disk, warm-up requests.

The only place where configuration, registry, runtimes and store meet. `fetch` is slow and blocking
(it downloads and installs); the service calls it in a thread.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eas_processor import runtimes, store
from eas_processor.config import Limits, Rpc, ServiceConfig
from eas_processor.config.keys import BY_PATH
from eas_processor.errors import ConfigError
from eas_processor.observe.progress import Progress
from eas_processor.pool.load import load_message
from eas_processor.pool.worker import WorkerSpec
from eas_processor.registry import Manifest, Registry
from eas_processor.serving import warmup
from eas_processor.serving.service import Service


@dataclass(frozen=True)
class Material:
    """What `ServicePlan.fetch` brought together."""

    worker: WorkerSpec
    warmup: list[warmup.WarmupRequest]


class ServicePlan:
    """One service as it will be run: the JSON's values, with what they mean on this machine."""

    def __init__(
        self,
        config: ServiceConfig,
        registry: Registry,
        limits: Limits,
        progress: Progress,
        shared: bool = False,
    ) -> None:
        """shared: whether several processes of the host are to have calls at a worker.

        Raises ConfigError if the JSON names a processor that does not exist.
        """
        self._config = config
        self._limits = limits
        self._progress = progress
        self._shared = shared
        self.name = config.name
        self.source = config.source
        self.manifest = _manifest(config, registry)
        self.processor = self.manifest.name
        self.generated_token = config.token is None and config.generate_token
        self.token = secrets.token_urlsafe(32) if self.generated_token else config.token
        self.workers = config.metadata.instance
        self.calls_at_once = config.rpc.worker_threads * self.workers
        self.queue_calls_max = config.rpc.max_queue_size
        self.request_timeout_s = config.rpc.keepalive_ms / 1000
        self.termination_grace_s = config.termination_grace_period_s
        self.warmup_timeout_s = limits.warm_up_timeout_s
        self.restart_when_dead = not config.enable_crash_block

    def fetch(self) -> Material:
        """Install the runtime, fetch model and warm-up files. Blocking.

        Raises ConfigError or StartError that says what is missing and what to do.
        """
        config = self._config
        requests = self.warm_ups()
        model = str(self._fetch(config.model_path, config.uncompress)) if config.model_path else ""
        runtime = runtimes.install(self.manifest, self._progress)
        return Material(self._worker(runtime, model), requests)

    def warm_ups(self) -> list[warmup.WarmupRequest]:
        """The recorded requests that the service JSON names, fetched. Blocking; raises likewise."""
        return [
            request
            for path in self._config.warm_up_data_path
            for request in warmup.read(
                self._fetch(path, unpack=False), self._limits.warm_up_bytes_max
            )
        ]

    def configure(self, service: Service) -> None:
        """Give a service what the file says of it as a whole.

        Where a token is to be made, one that the service has already stays.
        """
        if not (self.generated_token and service.token):
            service.token = self.token
        service.request_timeout_s = self.request_timeout_s
        service.drain_timeout_s = self.termination_grace_s
        service.decompressor = self._config.rpc.decompressor
        service.set_rate_limit(self._config.rpc.rate_limit)

    def settings(self) -> Iterator[tuple[str, object, str]]:
        """What is in force for people to read: (key of the service JSON, value, meaning)."""
        config = self._config
        found = {
            "processor": self.processor,
            "model_path": config.model_path or "none",
            "warm_up_data_path": ", ".join(config.warm_up_data_path) or "none",
            "token": "set" if self.token else "none: open to all",
            "metadata.instance": config.metadata.instance,
            "metadata.cpu": cores(config.metadata.cpu, self.workers),
            "metadata.memory": config.metadata.memory_mb or "no limit",
            "metadata.rpc.keepalive": config.rpc.keepalive_ms,
            "metadata.rpc.worker_threads": config.rpc.worker_threads,
            "metadata.rpc.max_queue_size": config.rpc.max_queue_size,
            "metadata.rpc.rate_limit": config.rpc.rate_limit or "no limit",
            "metadata.rpc.batching": config.rpc.batching,
            "metadata.rpc.max_batch_size": config.rpc.max_batch_size,
            "metadata.rpc.max_batch_timeout": config.rpc.max_batch_timeout_ms,
            "metadata.rpc.decompressor": config.rpc.decompressor or "none",
            "metadata.eas.termination_grace_period": config.termination_grace_period_s,
            "runtime.enable_crash_block": config.enable_crash_block,
        }
        for path, value in found.items():
            yield path.removeprefix("metadata."), value, BY_PATH[path].meaning

    def _fetch(self, path: str, unpack: bool) -> Path:
        return store.fetch(
            path,
            base=self._config.folder,
            cache=runtimes.cache_folder() / "models",
            progress=self._progress,
            settings=store.FetchSettings(unpack=unpack, oss_endpoint=self._config.oss_endpoint),
        )

    def _worker(self, runtime: runtimes.Runtime, model: str) -> WorkerSpec:
        config = self._config
        memory_mb = config.metadata.memory_mb
        return WorkerSpec(
            service=self.name,
            python=runtime.python,
            concurrency=config.rpc.worker_threads,
            # However short calls are: no more than EAS would let wait beside those that run.
            window_calls_max=config.rpc.worker_threads + config.rpc.max_queue_size,
            limits=self._limits,
            environment=runtime.environment(config.processor_envs),
            batch_calls_max=config.rpc.max_batch_size if config.rpc.batching else 1,
            door=self._shared,
            memory_bytes_max=int(memory_mb) << 20 if memory_mb else None,
            load=load_message(
                self.manifest,
                model,
                service=self.name,
                cores=cores(config.metadata.cpu, self.workers),
                concurrency=config.rpc.worker_threads,
                batching=_batching(config.rpc),
                options=config.processor_options,
                model_entry=config.model_entry,
                model_config=config.model_config,
            ),
        )


def _batching(rpc: Rpc) -> dict[str, Any] | None:
    """How waiting requests are joined; see `worker.processor`."""
    if not rpc.batching:
        return None
    return {
        "calls_max": rpc.max_batch_size,
        "rows_max": None,  # EAS counts requests, whatever their rows
        "allowed_sizes": [],
        "pad_variable_length_inputs": False,
        "split_large": False,
        "timeout_us": int(rpc.max_batch_timeout_ms * 1000),
    }


def cores(asked: float | None, workers: int) -> int:
    """CPU cores for each worker: `metadata.cpu`, but no more than there are; at least 1."""
    there = len(os.sched_getaffinity(0))
    share = asked if asked else there / workers
    return max(1, min(there, int(share)))


def _manifest(config: ServiceConfig, registry: Registry) -> Manifest:
    if config.container is not None:
        raise ConfigError(
            f"{config.source}: an image of TensorFlow Serving is served by a host of its own: give"
            " this file alone to `eas-processor serve`"
        )
    if not config.processor_path:
        try:
            return registry.get(config.processor)
        except ConfigError as error:
            raise ConfigError(f"{config.source}: processor: {error.message}") from None
    folder = config.folder / config.processor_path
    if not folder.is_dir():
        raise ConfigError(
            f"{config.source}: processor_path: {folder} is not a folder; "
            "it must be a local folder that holds a processor.toml"
        )
    return Registry([folder]).get(config.processor)
