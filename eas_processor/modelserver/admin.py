"""Models added and listed at run time, as JSON: the fields of ModelConfig under their own names."""

from __future__ import annotations

import json
from typing import Any

from eas_processor.codec import serving
from eas_processor.errors import ConfigError
from eas_processor.modelserver import files
from eas_processor.modelserver.configs import ModelConfig
from eas_processor.modelserver.status import ModelReport
from eas_processor.serving.states import VersionStatus

SOURCE = "request body"


def model_from_json(body: bytes, name: str = "") -> ModelConfig:
    """The model that a body like `{"name": …, "base_path": …}` describes. Raises ConfigError.

    name: the one in the URL, where it stands there. model_platform may be left out.
    """
    from google.protobuf import json_format

    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{SOURCE}: not JSON: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f'{SOURCE}: write {{"name": "…", "base_path": "/…"}}')
    message = serving.message("ModelServerConfig")()
    config = message.model_config_list.config.add()
    try:
        json_format.ParseDict(given, config)
    except (json_format.ParseError, RecursionError) as error:
        raise ConfigError(f"{SOURCE}: {error}") from None
    if name and config.name not in ("", name):
        raise ConfigError(f"{SOURCE}: the name is {config.name!r} here and {name!r} in the URL")
    config.name = config.name or name
    if not config.name:
        raise ConfigError(f"{SOURCE}: name is missing")
    if not config.model_platform and not config.model_type:
        config.model_platform = files.TENSORFLOW
    return files.models_from_proto(message, SOURCE)[config.name]


def report_to_json(report: ModelReport) -> dict[str, Any]:
    """One model of a list; `config` is what `model_from_json` takes."""
    from google.protobuf import json_format

    message = files.message_of({report.config.name: report.config})
    config = json_format.MessageToDict(
        message.model_config_list.config[0], preserving_proto_field_name=True
    )
    return {
        "name": report.config.name,
        "ready": report.ready,
        "why": report.why,
        "processor": report.processor,
        "config": config,
        "model_version_status": [_status(version) for version in report.versions],
    }


def _status(version: VersionStatus) -> dict[str, Any]:
    return {
        "version": str(version.version),
        "state": version.state,
        "status": {"error_code": version.code.name, "error_message": version.message},
    }
