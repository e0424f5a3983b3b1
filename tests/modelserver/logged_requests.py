"""What tests of request logs share: configurations that ask for one, and what came of it."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eas_processor.codec import serving, tfrecord
from eas_processor.modelserver.configs import Logging
from eas_processor.modelserver.request_log import files

WAIT_S = 20.0


def logged(name: str = "m", rate: float = 1.0, prefix: str = "") -> dict[str, Logging]:
    return {name: Logging(sampling_rate=rate, filename_prefix=prefix)}


def paths(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{files.SUFFIX}"))


def read(path: Path) -> Iterator[bytes]:
    return tfrecord.read(io.BytesIO(path.read_bytes()))


def records(folder: Path) -> list[Any]:
    """Of all files, in the order of their names."""
    return [
        serving.parse("PredictionLog", record) for path in paths(folder) for record in read(path)
    ]
