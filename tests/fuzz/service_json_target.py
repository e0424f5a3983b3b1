"""The text of a service JSON: read as `json` reads it, or refused with the place and words.

Where the standard reader can read a text this one must, to the same value; where it can not, the
only error is ConfigError. Then the text is taken for a whole service file.
"""

import json
import math
import re
from pathlib import Path

from eas_processor.config import ServiceConfig, jsonc, parse_service
from eas_processor.errors import ConfigError
from tests.fuzz.target import Target

NAME = "service.json"
PLACE = re.compile(rf"{re.escape(NAME)}:[0-9]+:[0-9]+: \S")
COMMENTS = re.compile(r"//|#|/\*")


def standard(text: str) -> object:
    """What `json` makes of it. Raises ValueError, RecursionError."""
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of a key that stands twice the last one counts, but the reader sees both values."""
    if not all(_bounded(value) for _, value in pairs):
        raise ValueError("one that the reader refuses")
    return dict(pairs)


def _refuse(word: str) -> object:
    raise ValueError(word)


def _bounded(value: object, levels: int = jsonc.NESTING_LEVELS_MAX) -> bool:
    """Whether it is no deeper than the reader allows, and can be written as UTF-8."""
    if isinstance(value, str):
        return not re.search("[\ud800-\udfff]", value)
    if isinstance(value, list | dict) and not levels:
        return False
    if isinstance(value, list):
        return all(_bounded(item, levels - 1) for item in value)
    if isinstance(value, dict):
        return all(_bounded(k) and _bounded(item, levels - 1) for k, item in value.items())
    return not (isinstance(value, float) and math.isinf(value))


def check_reader(text: str) -> None:
    try:
        document = jsonc.parse(text, NAME)
    except ConfigError as error:
        assert PLACE.match(error.message), error.message
        document = None
    try:
        wanted = standard(text)
    except (ValueError, RecursionError):
        return
    if _bounded(wanted):
        assert document is not None, "json reads it"
        assert document.value == wanted
        for path in document.places:
            assert re.fullmatch(rf"{re.escape(NAME)}:[0-9]+:[0-9]+", document.place(path))


def check_service(text: str) -> None:
    try:
        config = parse_service(text, Path(NAME))
    except ConfigError as error:
        assert NAME in error.message, error.message
        return
    assert isinstance(config, ServiceConfig) and config.name
    assert config.rpc.keepalive_ms > 0 and config.metadata.instance > 0


def check(data: bytes) -> None:
    """One file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    check_reader(text)
    check_service(text)


TEXTS = (
    '{"name": "mnist", "processor": "echo", "metadata": {"instance": 1, "rpc.keepalive": 5000}}',
    '{"name": "a", // one\n"processor": "tensorflow_cpu_1.15", # two\n"token": "t", /* three */}',
    '{"name": "a", "processor": "p", "processor_envs": [{"name": "A", "value": "1"}],'
    ' "storage": [{"mount_path": "/m", "oss": {"path": "oss://b/c"}}], "model_config": {"a": [1]}}',
    '{"metadata.name": "a", "processor": "p", "metadata": {"rpc": {"worker_threads": "4",'
    ' "max_queue_size": 1e2, "batching": "true"}, "cpu": 0.5, "memory": "4000"}}',
    '{"name": "a", "processor": "p", "warm_up_data_path": ["a", "b,c"], "generate_token": true}',
    '{"name": "a", "containers": [{"image": "x"}], "processor_type": "cpp", "models": []}',
    '\ufeff{"a": "\\u00e9\\ud83d\\ude00", "b": [1.5e3, -0, null, true, false, {}]}\u00a0',
)
WORDS = (
    *('"', "{", "}", "[", "]", ",", ":", "//", "#", "/*", "*/", "\\", "\\u", "\\ud800", "\n", "\r"),
    *("true", "null", "NaN", "1e999", "-1", "0.0", "9" * 30, "\u200b", "\ufeff", "\u3000", "“"),
    *('"name"', '"metadata"', '"rpc"', '"metadata.rpc.keepalive"', '"instance"', '"processor"'),
    *('"storage"', '"token"', '"processor_envs"', "[" * 70, '{"a":' * 70),
)
TARGET = Target(
    "service_json",
    check,
    [text.encode() for text in TEXTS],
    [word.encode("utf-8", "surrogatepass") for word in WORDS],
)
