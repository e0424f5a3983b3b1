"""What a worker is told to load: the processor, the model, and the `config` of its `initialize`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eas_processor.registry import Manifest, bundled_folder


def load_message(
    manifest: Manifest,
    model_dir: str,
    *,
    service: str,
    cores: int,
    concurrency: int,
    batching: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    serving: Mapping[str, Any] | None = None,
    model_entry: str = "",
    model_config: str = "",
) -> dict[str, Any]:
    """The LOAD message. What its `config` means is said in `worker.processor`."""
    return {
        "entry": manifest.entry,
        "paths": [str(manifest.folder)],
        "packages": {"processors": str(bundled_folder())},
        "model_dir": model_dir,
        "config": {
            "service": service,
            "model_entry": model_entry,
            "model_config": model_config,
            "options": options,
            "cores": cores,
            "concurrency": concurrency,
            "batching": batching,
            "serving": serving or {},
            "device": manifest.device,
            "manifest": {
                "name": manifest.name,
                "tensorflow": manifest.tensorflow,
                "folder": str(manifest.folder),
            },
        },
    }
