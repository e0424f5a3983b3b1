"""The flags of `tensorflow_model_server`, read as it reads them, and this server's own beside.

Kinder in three ways: `--name value` is taken where it can mean nothing else, 1 and 0 count as
booleans, and dashes that a word processor made long are dashes. Nothing is opened here.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from eas_processor.modelserver.flag_table import BY_NAME

INT32_MAX = 2**31 - 1
NO_TIMEOUT_S = 10 * 365 * 86400.0  # a deadline that can be counted in microseconds all the same
_LONG_DASHES = re.compile("^(?:[\u2010-\u2015\u2212]+-*|-[\u2010-\u2015\u2212])(?=[a-z])")
_BOOLS = {"true": True, "false": False, "1": True, "0": False}
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """All flags with their defaults; `flag_table` says what each means."""

    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: int = 0
    allow_version_labels_for_unavailable_models: bool = False
    port: int = 8500
    rest_api_port: int = 8501
    grpc_socket_path: str = ""
    grpc_channel_arguments: str = ""
    enable_grpc_healthcheck_service: bool = False
    ssl_config_file: str = ""
    rest_api_timeout_in_ms: int = 30000
    rest_api_enable_cors_support: bool = False
    monitoring_config_file: str = ""
    rest_api_num_threads: int = 0
    grpc_max_threads: int = 0
    use_alts_credentials: bool = False
    enable_profiler: bool = True
    file_system_poll_wait_seconds: int = 1
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    num_load_threads: int = 0
    num_unload_threads: int = 0
    flush_filesystem_caches: bool = True
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    tensorflow_session_config_file: str = ""
    per_process_gpu_memory_fraction: float = 0.0
    saved_model_tags: str = "serve"
    platform_config_file: str = ""
    prefer_tflite_model: bool = False
    num_tflite_pools: int = 0
    num_tflite_interpreters_per_pool: int = 1
    mixed_precision: str = ""
    xla_cpu_compilation_enabled: bool = False
    xla_gpu_compilation_enabled: bool = False
    remove_unused_fields_from_bundle_metagraph: bool = True
    thread_pool_factory_config_file: str = ""
    skip_initialize_tpu: bool = False
    enable_signature_method_name_check: bool = False
    enable_serialization_as_tensor_content: bool = False
    version: bool = False
    host: str = "::"
    rest_api_ssl: bool = False
    processor: str = ""
    model_processors: str = ""
    processors: str = ""
    op_libraries: str = ""
    strict_startup: bool = False
    token: str = ""
    admin_token: str = ""
    persist_model_config: bool = False
    request_log_dir: str = ""
    log_level: str = "info"
    log_format: str = "auto"
    access_log: str = ""
    access_log_sample: float = 1.0
    otlp_endpoint: str = ""
    host_processes: int = 1
    help: bool = False

    @property
    def rest_timeout_s(self) -> float:
        """The longest time for a REST request; NO_TIMEOUT_S where there is no bound."""
        given = self.rest_api_timeout_in_ms
        return given / 1000 if given > 0 else NO_TIMEOUT_S

    # Tokens must not reach a log by way of printed flags.
    def __repr__(self) -> str:
        values = msgspec.structs.asdict(self).items()
        shown = (f"{k}={'***' if 'token' in k else v!r}" for k, v in values if v != DEFAULTS[k])
        return f"Flags({', '.join(shown)})"


KINDS: dict[str, type] = {field.name: field.type for field in msgspec.structs.fields(Flags)}
DEFAULTS: dict[str, object] = msgspec.structs.asdict(Flags())


class FlagError(Exception):
    """A value that its flag can not take. The other server prints its usage and exits with 255."""


class Parsed(msgspec.Struct, frozen=True):
    """What a command line holds. given: the flags it names. unknown: arguments that are no flag."""

    flags: Flags
    given: frozenset[str]
    unknown: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """What the user should know: flags that were given and have no effect here."""
        return [
            f"--{name} has no effect here: {BY_NAME[name].idle}"
            for name in sorted(self.given)
            if BY_NAME[name].idle
        ]


def parse(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Parsed:
    """Read arguments, without the program's name. Raises FlagError.

    environment: MODEL_NAME and MODEL_BASE_PATH of it stand in, as in the other server's container
    image, where the arguments say neither model_base_path nor model_config_file.
    """
    values: dict[str, object] = {}
    unknown: list[str] = []
    rest = [_LONG_DASHES.sub("--", argument) for argument in arguments]
    at = 0
    while at < len(rest):
        name, equals, text = rest[at].removeprefix("--").partition("=")
        at += 1
        if name not in KINDS or not rest[at - 1].startswith("--"):
            unknown.append(arguments[at - 1])
            continue
        if not equals:
            following = rest[at] if at < len(rest) else None
            value = _value_apart(name, following)
            at += value is not None
            text = value if value is not None else _alone(name)
        values[name] = _convert(name, text)
    named = frozenset(values)
    if not {"model_base_path", "model_config_file"} & values.keys():
        values = {**_from_environment(environment or {}), **values}
    return Parsed(msgspec.convert(values, Flags), named, tuple(unknown))


def entry_point(environment: Mapping[str, str]) -> list[str]:
    """The arguments that the container image's entry point puts before the user's."""
    name = environment.get("MODEL_NAME") or "model"
    base = environment.get("MODEL_BASE_PATH") or "/models"
    return ["--port=8500", "--rest_api_port=8501",
            f"--model_name={name}", f"--model_base_path={base}/{name}"]  # fmt: skip


def unknown_argument(argument: str) -> str:
    """What is said of an argument that is no flag; the server goes on."""
    name = argument.lstrip("-").partition("=")[0].replace("-", "_")
    near = difflib.get_close_matches(name, list(KINDS), 1, 0.75)
    hint = f" (did you mean --{near[0]}?)" if near else ""
    return f"unknown argument: {argument}{hint}"


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    if not (environment.get("MODEL_NAME") or environment.get("MODEL_BASE_PATH")):
        return {}
    flags = parse(entry_point(environment)).flags
    return {"model_name": flags.model_name, "model_base_path": flags.model_base_path}


def _value_apart(name: str, following: str | None) -> str | None:
    """The next argument, where it can only be this flag's value."""
    if following is None or following.startswith("--"):
        return None
    if KINDS[name] is bool and following.lower() not in _BOOLS:
        return None
    return following


def _alone(name: str) -> str:
    if KINDS[name] is bool:
        return "true"
    raise FlagError(f"--{name} needs a value: --{name}={BY_NAME[name].value}")


def _convert(name: str, text: str) -> object:
    kind = KINDS[name]
    if kind is bool:
        if text.lower() in _BOOLS:
            return _BOOLS[text.lower()]
        raise FlagError(f"--{name}={text}: it must be true or false")
    if kind is int:
        bound = 2**62 if name.endswith("_micros") else INT32_MAX
        if _NUMBER.fullmatch(text) and abs(int(text)) <= bound:
            return int(text)
        raise FlagError(f"--{name}={text}: it must be a whole number")
    if kind is float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
        raise FlagError(f"--{name}={text}: it must be a number")
    return text
