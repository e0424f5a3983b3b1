"""One version of a model as it will be run: its folder, and what the flags mean for a worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eas_processor import runtimes, store
from eas_processor.config import Limits
from eas_processor.modelserver import batching, files, warmup
from eas_processor.modelserver.configs import BatchingParameters, ModelConfig
from eas_processor.modelserver.setup import Setup, split
from eas_processor.pool.load import load_message
from eas_processor.pool.worker import WorkerSpec
from eas_processor.serving.plan import Material, cores

# The other server lets any number wait for one of its threads; here as many as may be connected.
QUEUE_CALLS_MAX = Limits().connections_max
CONCURRENCY_MIN = 4
ANY_NUMBER = 1 << 30  # batches that are enqueued are counted by the queue alone


class ModelVersionPlan:
    """What `serving.version.Version` runs. path: the version's folder, here or in a bucket."""

    def __init__(self, setup: Setup, model: ModelConfig, path: str) -> None:
        """Raises ConfigError if the model names a processor that does not exist."""
        self._setup = setup
        self._path = path
        self._manifest = setup.processors.of(model)
        self.name = model.name
        self.processor = self._manifest.name
        self.workers = setup.workers
        self.calls_at_once = ANY_NUMBER
        self.queue_calls_max = (
            batching.queue_calls_max(setup.batching) if setup.batching else QUEUE_CALLS_MAX
        )
        self.warmup_timeout_s = setup.limits.warm_up_timeout_s
        self.restart_when_dead = True

    def fetch(self) -> Material:
        """Install the runtime, bring the folder here, read its warm-up records. Blocking.

        Raises ConfigError or StartError that says what is missing and what to do.
        """
        flags, progress = self._setup.flags, self._setup.new_progress()
        folder = store.fetch(
            self._path,
            base=Path.cwd(),
            cache=runtimes.cache_folder() / "models",
            progress=progress,
        )
        requests = []
        if flags.enable_model_warmup:
            iterations = max(1, flags.num_request_iterations_for_warmup)
            check_method = flags.enable_signature_method_name_check
            requests = warmup.read(folder, iterations, check_method)
        parameters = self._batching(folder)
        runtime = runtimes.install(self._manifest, progress)
        return Material(self._worker(runtime, folder, parameters), requests)

    def _batching(self, folder: Path) -> BatchingParameters | None:
        """Of this version: with the per-model flag its own file decides, or its absence."""
        if not self._setup.flags.enable_per_model_batching_parameters:
            return self._setup.batching
        if self._setup.batching is None:
            return None
        own = folder / batching.PER_MODEL_FILE
        return files.read_batching(str(own)) if own.is_file() else None

    def _worker(
        self, runtime: runtimes.Runtime, folder: Path, parameters: BatchingParameters | None
    ) -> WorkerSpec:
        share = cores(None, self.workers)
        concurrency = max(CONCURRENCY_MIN, share)
        if parameters is not None:
            concurrency = self._batch_threads(parameters) or share
        return WorkerSpec(
            service=self.name,
            python=runtime.python,
            concurrency=concurrency,
            window_calls_max=concurrency + self.queue_calls_max,
            limits=self._setup.limits,
            environment=runtime.environment(self._setup.environment),
            door=self._setup.flags.host_processes > 1,
            batch_calls_max=batching.run_rows_max(parameters) if parameters else 1,
            load=load_message(
                self._manifest,
                str(folder),
                service=self.name,
                cores=share,
                concurrency=concurrency,
                batching=batching.for_worker(parameters) if parameters else None,
                options=self._options(),
                serving=self._serving(),
            ),
        )

    def _batch_threads(self, own: BatchingParameters) -> int | None:
        """The pool of threads is the server's, whatever a model's own file says."""
        assert self._setup.batching is not None
        return self._setup.batching.num_batch_threads or own.num_batch_threads

    def _options(self) -> dict[str, Any]:
        """`processor_options` that say what the flags say; only those that were set."""
        flags = self._setup.flags
        intra = flags.tensorflow_intra_op_parallelism
        inter = flags.tensorflow_inter_op_parallelism
        if not (intra or inter):
            intra = inter = flags.tensorflow_session_parallelism
        options = {
            "intra_op_threads": intra,
            "inter_op_threads": inter,
            "gpu_memory_fraction": flags.per_process_gpu_memory_fraction,
        }
        return {name: value for name, value in options.items() if value}

    def _serving(self) -> dict[str, Any]:
        flags, paths = self._setup.flags, self._setup.paths
        return {
            "session_config": self._setup.session_config,
            "op_libraries": [
                os.path.abspath(paths.local(path)) for path in split(flags.op_libraries)
            ],
            "prefer_tflite": flags.prefer_tflite_model,
            "tflite_threads": flags.num_tflite_pools,
            "saved_model_tags": split(flags.saved_model_tags),
            "xla_cpu": flags.xla_cpu_compilation_enabled,
            "mixed_precision": flags.mixed_precision,
        }
