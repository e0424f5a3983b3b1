"""TensorFlow Serving's text files, as frozen structs.

Every mistake is a ConfigError that names the file, the line where one is known, and what is wrong,
in the words that launch scripts of the other server look for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eas_processor import runtimes, store
from eas_processor.codec import serving
from eas_processor.errors import Code, ConfigError, ServingError
from eas_processor.modelserver import atomic, batching
from eas_processor.modelserver.configs import (
    BatchingParameters,
    Logging,
    ModelConfig,
    Monitoring,
    Ssl,
    VersionPolicy,
)
from eas_processor.observe.progress import NoProgress

FILE_BYTES_MAX = 16 << 20
TENSORFLOW = "tensorflow"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.")


def read_text(path: str) -> str:
    """A file's text; it may lie in a bucket. Blocking. Raises ConfigError or StartError."""
    try:
        with open(_local(path), "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: can not be read: {error.strerror or error}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: larger than {FILE_BYTES_MAX} bytes; is this the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; save the file as UTF-8") from None


def _local(path: str) -> Path:
    if not store.is_remote(path):
        return Path(store.locate(path))
    return store.fetch(
        path,
        base=Path.cwd(),
        cache=runtimes.cache_folder() / "models",
        progress=NoProgress(),
        settings=store.FetchSettings(unpack=False),
    )


def models_from_text(text: str, source: str, has_models: bool = False) -> dict[str, ModelConfig]:
    """The models of a text ModelServerConfig, by name; an empty text is no models.

    has_models: whether there are some that would go: then an empty text is refused with
    FAILED_PRECONDITION, since a file that is just being written is empty, too.
    """
    message = _parsed("ModelServerConfig", text, source)
    if has_models and message.WhichOneof("config") is None:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"{source} says nothing, so all is kept as it is; to serve no models, write "
            "model_config_list {}",
        )
    try:
        return models_from_proto(message, source)
    except _Mistake as mistake:
        raise ConfigError(f"{_place(text, source, mistake.near)}: {mistake.message}") from None


def models_from_proto(message: Any, source: str) -> dict[str, ModelConfig]:
    """The same for a ModelServerConfig message. source: what errors call it."""
    if message.WhichOneof("config") == "custom_model_config":
        raise ConfigError(f"{source}: custom_model_config is not supported; use model_config_list")
    models: dict[str, ModelConfig] = {}
    for config in message.model_config_list.config:
        if config.name in models:
            raise _Mistake(
                f"Illegal to list model {config.name} multiple times in config list", config.name
            )
        models[config.name] = _model(config)
    return models


def message_of(models: Mapping[str, ModelConfig]) -> Any:
    """The models as a ModelServerConfig message."""
    message = serving.message("ModelServerConfig")()
    message.model_config_list.SetInParent()
    for model in models.values():
        _fill(message.model_config_list.config.add(), model)
    return message


def model_text(models: Mapping[str, ModelConfig]) -> str:
    """The models as a text ModelServerConfig that either server can read."""
    from google.protobuf import text_format

    text: str = text_format.MessageToString(message_of(models), as_utf8=True)
    return text


def write(path: str, text: str) -> None:
    """Put a text in the place of a file, whole or not at all. Raises ServingError."""
    if store.is_remote(path):
        raise ConfigError(f"{path}: can only be written on this machine")
    path = store.locate(path)
    try:
        atomic.write_text(path, text)
    except OSError as error:  # a full disk, say: nobody's mistake in what was asked
        words = f"{path}: can not be written: {error.strerror or error}"
        raise ServingError(Code.INTERNAL, words) from None


def read_batching(path: str) -> BatchingParameters:
    """A batching parameters file, checked; what it leaves out has the server's defaults."""
    message = _parsed("BatchingParameters", read_text(path), path)
    values: dict[str, Any] = {
        field.name: getattr(message, field.name).value
        for field, _ in message.ListFields()
        if field.message_type is not None
    }
    given = BatchingParameters(
        **values,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )
    try:
        return batching.check(given)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from None


def read_monitoring(path: str) -> Monitoring:
    """Whether and where metrics are told."""
    prometheus = _parsed("MonitoringConfig", read_text(path), path).prometheus_config
    if prometheus.path and not prometheus.path.startswith("/"):
        raise ConfigError(f"{path}: prometheus_config.path must begin with /")
    where = prometheus.path or Monitoring().path
    return Monitoring(enable=prometheus.enable, path=where)


def read_ssl(path: str) -> Ssl:
    """TLS of the gRPC port."""
    message = _parsed("SSLConfig", read_text(path), path)
    for name in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(message, name):
            raise ConfigError(
                f"{path}: {name} must hold the PEM text itself, not a path: -----BEGIN …"
            )
    if message.client_verify and "-----BEGIN" not in message.custom_ca:
        raise ConfigError(f"{path}: client_verify needs custom_ca, the PEM text that clients' "
                          "certificates are checked against")  # fmt: skip
    return Ssl(
        server_key=message.server_key,
        server_cert=message.server_cert,
        custom_ca=message.custom_ca,
        client_verify=message.client_verify,
    )


class _Mistake(ConfigError):
    """A mistake whose line can be told where there is a text. near: a name on that line."""

    def __init__(self, message: str, near: str) -> None:
        super().__init__(message)
        self.near = near


def _parsed(kind: str, text: str, source: str) -> Any:
    try:
        return serving.text(kind, text)
    except ServingError as error:
        raise ConfigError(f"Invalid protobuf file: '{source}': {error.message}") from None


def _place(text: str, source: str, near: str) -> str:
    """`file:line` of the last place that names it: of two with one name, the second is wrong."""
    lines = [number for number, line in enumerate(text.splitlines(), 1)
             if near and re.search(rf"[\"']{re.escape(near)}[\"']", line)]  # fmt: skip
    return f"{source}:{lines[-1]}" if lines else source


def _model(config: Any) -> ModelConfig:
    if not (config.base_path.startswith("/") or _URI.match(config.base_path)):
        raise _Mistake(
            f"Expected model {config.name} to have an absolute path or URI; "
            f"got base_path()={config.base_path}",
            config.base_path or config.name,
        )
    return ModelConfig(
        name=config.name,
        base_path=config.base_path,
        platform=_platform(config),
        policy=_policy(config.model_version_policy),
        labels=dict(config.version_labels),
        logging=_logging(config) if config.HasField("logging_config") else None,
    )


def _platform(config: Any) -> str:
    platform: str = config.model_platform
    if platform and config.model_type:
        raise _Mistake(
            "Illegal setting both ModelServerConfig::model_type(deprecated) and "
            f"ModelServerConfig::model_platform, in model {config.name}",
            config.name,
        )
    if config.model_type == 1:
        return TENSORFLOW
    if config.model_type:
        raise _Mistake(
            f"ModelServerConfig::model_type choice {config.model_type} not supported.", config.name
        )
    if not platform:
        raise _Mistake(
            "Illegal setting neither ModelServerConfig::model_type(deprecated) nor "
            f"ModelServerConfig::model_platform, in model {config.name}; "
            'write model_platform: "tensorflow"',
            config.name,
        )
    return platform


def _policy(policy: Any) -> VersionPolicy:
    kind = policy.WhichOneof("policy_choice") or "latest"
    return VersionPolicy(
        kind=kind,
        count=max(1, policy.latest.num_versions),
        versions=tuple(policy.specific.versions),
    )


def _logging(config: Any) -> Logging:
    given = config.logging_config
    rate = given.sampling_config.sampling_rate
    if not 0 <= rate <= 1:
        raise _Mistake(
            f"sampling_rate of model {config.name} must be from 0 to 1; was {rate:g}", config.name
        )
    collector = given.log_collector_config
    return Logging(
        kind=collector.type, filename_prefix=collector.filename_prefix, sampling_rate=rate
    )


def _fill(config: Any, model: ModelConfig) -> None:
    config.name, config.base_path = model.name, model.base_path
    config.model_platform = model.platform
    policy = config.model_version_policy
    if model.policy.kind == "all":
        policy.all.SetInParent()
    elif model.policy.kind == "specific":
        policy.specific.versions.extend(model.policy.versions)
    elif model.policy.count != 1:
        policy.latest.num_versions = model.policy.count
    for label, version in model.labels.items():
        config.version_labels[label] = version
    if model.logging is not None:
        collector = config.logging_config.log_collector_config
        collector.type, collector.filename_prefix = (
            model.logging.kind,
            model.logging.filename_prefix,
        )
        config.logging_config.sampling_config.sampling_rate = model.logging.sampling_rate
