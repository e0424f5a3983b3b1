"""Where the configuration stands: one model in flags, or a file that may change. Blocking."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from eas_processor import store
from eas_processor.modelserver import files
from eas_processor.modelserver.configs import ModelConfig
from eas_processor.modelserver.flags import Flags
from eas_processor.modelserver.service_json import PathMap


class ConfigSource:
    """name: what errors and logs call it. is_ours: whether it is a file that is written here, too.

    Everything here raises ServingError, mostly ConfigError, and is for one thread at a time.
    has_models: whether some are served already, which an empty file then does not take away.
    """

    def __init__(self, flags: Flags, paths: PathMap) -> None:
        self._flags = flags
        self._path = store.locate(paths.local(flags.model_config_file))
        self._text = ""  # of the file, as it was last read or written
        self.name = self._path or flags.model_base_path
        self.is_ours = flags.persist_model_config

    def read(self, has_models: bool = False) -> dict[str, ModelConfig]:
        """The models, by name."""
        if self._path:
            self._text = self._read_text()
            return files.models_from_text(self._text, self._path, has_models)
        base_path = self._flags.model_base_path
        if "://" not in base_path:
            base_path = os.path.abspath(base_path)
        name = self._flags.model_name
        return {name: ModelConfig(name=name, base_path=base_path)}

    def read_if_changed(self, has_models: bool = False) -> dict[str, ModelConfig] | None:
        """The models of a file that is not what it was, None if it is. A mistake is told once."""
        text = self._read_text()
        if text == self._text:
            return None
        self._text = text
        return files.models_from_text(text, self._path, has_models)

    def write(self, models: Mapping[str, ModelConfig]) -> None:
        """Keep these in the file, which is ours; it stays as it is if that fails."""
        text = files.model_text(models)
        files.write(self._path, text)
        self._text = text

    def _read_text(self) -> str:
        """A file that is ours to write need not be there yet."""
        if self.is_ours and not Path(self._path).exists():
            return ""
        return files.read_text(self._path)
