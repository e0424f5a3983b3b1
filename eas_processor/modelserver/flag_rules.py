"""What flags must not say together: mistakes that end the start with one line."""

from __future__ import annotations

import re

import msgspec

from eas_processor.errors import ConfigError
from eas_processor.modelserver.flags import Flags

PORT_MAX = 65535
PROCESSES_MAX = 64
_NOT_IN_TOKEN = re.compile(r"[^\x21-\x7e]")
_CHOICES = {
    "mixed_precision": ("", "bfloat16"),
    "log_level": ("debug", "info", "warning"),
    "log_format": ("auto", "text", "json"),
}
_AT_LEAST_0 = (
    "max_num_load_retries",
    "num_load_threads",
    "model_config_file_poll_wait_seconds",
    "tensorflow_session_parallelism",
    "tensorflow_intra_op_parallelism",
    "tensorflow_inter_op_parallelism",
    "num_request_iterations_for_warmup",
    "num_tflite_pools",
)


def checked(flags: Flags) -> tuple[Flags, list[str]]:
    """The flags as they will be acted on, and what the user should know. Raises ConfigError."""
    refuse_values(flags)
    _refuse_models(flags)
    _refuse_pairs(flags)
    notes: list[str] = []
    if flags.rest_api_port and flags.rest_api_port == flags.port:
        flags = msgspec.structs.replace(flags, rest_api_port=0)
        notes.append(
            "--rest_api_port cannot be same as --port. Please use a different port for HTTP/REST "
            "API. Skipped exporting HTTP/REST API."
        )
    if flags.rest_api_ssl and not flags.ssl_config_file:
        raise ConfigError("--rest_api_ssl needs --ssl_config_file, which holds key and certificate")
    if not (flags.port or flags.rest_api_port or flags.grpc_socket_path):
        raise ConfigError(
            "there is no port to serve on: give --port, --rest_api_port or --grpc_socket_path"
        )
    return flags, notes


def refuse_values(flags: Flags) -> None:
    """Raise ConfigError for a value that is none of its flag's."""
    for name, choices in _CHOICES.items():
        value = getattr(flags, name)
        if value not in choices:
            words = ", ".join(choice for choice in choices if choice)
            raise ConfigError(f"--{name}={value}: it must be one of: {words}")
    for name in _AT_LEAST_0:
        if getattr(flags, name) < 0:
            raise ConfigError(f"--{name}={getattr(flags, name)}: it must not be negative")
    for name in ("port", "rest_api_port"):
        if not 0 <= getattr(flags, name) <= PORT_MAX:
            raise ConfigError(f"--{name}={getattr(flags, name)}: it must be from 0 to {PORT_MAX}")
    if not 1 <= flags.host_processes <= PROCESSES_MAX:
        raise ConfigError(f"--host_processes must be from 1 to {PROCESSES_MAX}")
    for name in ("token", "admin_token"):
        if _NOT_IN_TOKEN.search(getattr(flags, name)):
            raise ConfigError(f"--{name} holds a space or a character that no header can carry")
    for name in ("per_process_gpu_memory_fraction", "access_log_sample"):
        if not 0 <= getattr(flags, name) <= 1:
            raise ConfigError(f"--{name} must be from 0 to 1")


def _refuse_models(flags: Flags) -> None:
    if not flags.model_config_file and not flags.model_base_path:
        raise ConfigError(
            "Both server_options.model_base_path and server_options.model_config_file are empty! "
            "Give --model_base_path=DIR or --model_config_file=FILE"
        )
    if flags.persist_model_config and not flags.model_config_file:
        raise ConfigError("--persist_model_config writes --model_config_file; name that file")


def _refuse_pairs(flags: Flags) -> None:
    if flags.batching_parameters_file and not flags.enable_batching:
        raise ConfigError(
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )
    if (
        flags.tensorflow_session_parallelism
        and flags.tensorflow_intra_op_parallelism
        and flags.tensorflow_inter_op_parallelism
    ):
        raise ConfigError(
            "Tensorflow session parallelism is configured through all of "
            "--tensorflow_session_parallelism, --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism; leave out the first one, or the other two"
        )
    if flags.use_alts_credentials:
        raise ConfigError(
            "--use_alts_credentials: Google's transport security is not available here; "
            "use --ssl_config_file"
        )
