"""Request bodies: JSON as TensorFlow Serving reads it, with its words for what is wrong.

parse(body)    the top-level object; ServingError INVALID_ARGUMENT otherwise
display(value), shape_text(shape)   as error messages show them
"""

from __future__ import annotations

import re
from typing import Any

from eas_processor.codec import float_text, json_reader
from eas_processor.codec.json_places import JsonError
from eas_processor.errors import Code, ServingError

SHOWN_BYTES_MAX = 256
INDENT = b"    "
FLOAT_MAX = 3.4028234e38

_MARKED = b'"\\' + bytes(range(0x20))
_TO_ESCAPE = re.compile(b"[" + re.escape(_MARKED) + b"]")
_ESCAPES = {byte: b"\\u%04X" % byte for byte in range(0x20)}
_ESCAPES |= {0x22: b'\\"', 0x5C: b"\\\\"}
_ESCAPES |= {0x08: b"\\b", 0x0C: b"\\f", 0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t"}


def refused(message: str) -> ServingError:
    """An INVALID_ARGUMENT with the message."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def parse(body: bytes) -> dict[str, Any]:
    """The members of the object that a body holds."""
    if not body:
        raise refused("JSON Parse error: The document is empty")
    try:
        value = json_reader.read(body)
    except JsonError as error:
        raise refused(f"JSON Parse error: {error.phrase} at offset: {error.offset}") from None
    if not isinstance(value, dict):
        raise refused(f"JSON Value: {display(value)} Is not object")
    return value


def type_name(value: Any) -> str:
    """RapidJSON's name for the type of a value."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return "Object"
    if isinstance(value, list):
        return "Array"
    return "String" if isinstance(value, str) else "Number"


def quoted(value: bytes) -> bytes:
    """A string with its quotation marks; only what JSON must escape is escaped."""
    if _TO_ESCAPE.search(value):
        value = _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0][0]], value)
    return b'"' + value + b'"'


def all_quoted(values: list[bytes]) -> list[bytes]:
    """Many strings with their quotation marks."""
    text = b'"\n"'.join(values)
    if len(text) - len(text.translate(None, _MARKED)) != 3 * (len(values) - 1):
        return [quoted(value) for value in values]
    return (b'"' + text + b'"').split(b"\n")


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as error messages show it."""
    return f"[{','.join(map(str, shape))}]"


def display(value: Any) -> str:
    """A value, printed over several lines as RapidJSON does, cut after 256 bytes."""
    printed = bytearray()
    _print(value, b"\n", printed)
    return bytes(printed[:SHOWN_BYTES_MAX]).decode("utf-8", "replace")


def _print(value: Any, line: bytes, out: bytearray) -> None:
    """Appends until there is enough. line: a line break and the indent of the value's parent."""
    if len(out) > SHOWN_BYTES_MAX:
        return
    if not isinstance(value, dict | list) or not value:
        out += _scalar(value)
        return
    inner = line + INDENT
    out += b"{" if isinstance(value, dict) else b"["
    for place, item in enumerate(value):
        out += (b"," if place else b"") + inner
        if isinstance(value, dict):
            out += quoted(item.encode("utf-8", "surrogateescape")) + b": "
        _print(value[item] if isinstance(value, dict) else item, inner, out)
        if len(out) > SHOWN_BYTES_MAX:
            return
    out += line + (b"}" if isinstance(value, dict) else b"]")


def _scalar(value: Any) -> bytes:
    if isinstance(value, str):
        return quoted(value.encode("utf-8", "surrogateescape"))
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    if isinstance(value, float):
        wide = not -FLOAT_MAX <= value <= FLOAT_MAX
        return float_text.text(value if wide else float_text.nearest_float32(value), wide).encode()
    return str(value).encode()  # an integer, or the empty {} and []
