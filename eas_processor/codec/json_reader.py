"""JSON as RapidJSON takes it: what is a value, what is a mistake, and where.

    read(body)   the first value of a body, or JsonError

The standard library reads, at the speed of C, whatever is right or wrong. Where it stops, and
around the few things on which the two differ, RapidJSON's rules decide what the mistake is called
and at which byte it is. They differ in this: RapidJSON also takes `Inf` and `-NaN`, and refuses
numbers that no double can hold and halves of surrogate pairs. Large bodies are looked at
first without making values, so that a mistake costs little; simdjson tells bodies that have neither
a mistake nor any of all that. Text after the value is ignored.

Bytes that are no UTF-8 survive in strings (surrogateescape). Of keys that stand twice the first
one counts. Integers beyond 64 bits are floats.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec
import simdjson

from eas_processor.codec import json_places
from eas_processor.codec.json_places import DEPTH_MAX, JsonError

__all__ = ["DEPTH_MAX", "JsonError", "read"]

EXACT_BYTES_MAX = 1 << 20  # of a larger body a wrong value is named by its first byte alone

# What msgspec calls the mistakes that it finds without making values.
_PHRASES = {
    "expected ',' or ']'": json_places.NO_BRACKET,
    "expected ',' or '}'": json_places.NO_BRACE,
    "expected ':'": json_places.NO_COLON,
    "expected '\"'": json_places.NO_NAME,
    "trailing comma in object": json_places.NO_NAME,
    "trailing comma in array": json_places.INVALID,
    "invalid character": json_places.INVALID,
    "invalid number": json_places.INVALID,
}
_SYNTAX = re.compile(f"({'|'.join(map(re.escape, _PHRASES))}) \\(byte ([0-9]+)\\)")
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(rb"[ \n\r\t]*")
_LARGE_NUMBER = re.compile(rb"[eE]\+?[0-9]{3}|(?<![0-9])[0-9]{19}")
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"?'
_TOKENS = re.compile(_STRING + rb"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.DOTALL)
_OWN_SPECIAL = re.compile(rb"-NaN|Inf(?!i)")
_SPECIALS = re.compile(_STRING + rb"|(?<![-+.\w])(-?(?:NaN|Inf(?:inity)?(?!i)))", re.DOTALL)
# Half a surrogate pair, perhaps; whether it is one, the escapes before it tell.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F])|\\.",
    re.DOTALL,
)
_INFINITE = (float("inf"), float("-inf"))


class _TooBig(Exception):
    """The number, as it stands in the body."""


def read(body: bytes) -> Any:
    """The first value of a body. Raises JsonError."""
    start = _end_of_space(body, len(_BOM) if body.startswith(_BOM) else 0)
    if start >= len(body):
        raise JsonError(json_places.EMPTY, start)
    if len(body) > EXACT_BYTES_MAX and not body.startswith(_BOM):
        _check_syntax(body)
    if _is_plain(body):
        with contextlib.suppress(RecursionError):
            return _PLAIN.decode(body[start:].decode())
    readable, specials = _specials_replaced(body) if _OWN_SPECIAL.search(body) else (body, None)
    text = readable[start:].decode("utf-8", "surrogateescape")
    decoder = _decoder(specials, bool(_LARGE_NUMBER.search(body)))
    wrong: json.JSONDecodeError | None = None
    value = None
    try:
        value, end = decoder.raw_decode(text)
    except json.JSONDecodeError as error:
        wrong, end = error, error.pos
    except RecursionError:
        raise JsonError(json_places.TOO_DEEP, json_places.too_deep_at(body)) from None
    except _TooBig as error:
        at = _place_of(str(error).encode(), body)
        _check_surrogates(body, at)
        raise JsonError(json_places.TOO_BIG, at) from None
    _check_surrogates(body, start + _size(text, end))
    if wrong is not None:
        _explain(wrong, body, start)
    return value


def _is_plain(body: bytes) -> bool:
    """Whether the library and RapidJSON make the same of a body, which is right.

    simdjson takes nothing that is special: no NaN, no number beyond a double or 64 bits, no half of
    a surrogate pair, no byte that is not UTF-8, nothing after the value.
    """
    try:
        simdjson.Parser().parse(body)
    except (ValueError, RuntimeError, MemoryError):
        return False
    return True


def _check_syntax(body: bytes) -> None:
    """Raises JsonError for most mistakes of a large body, before anything is made of it."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        words = str(error)
        if "truncated" in words and not _SURROGATE.search(body):
            raise JsonError(json_places.INVALID, len(body)) from None
        found = _SYNTAX.search(words)
        if found and body[int(found[2])] not in b"NI":  # NaN and Infinity are no values to it
            raise JsonError(_PHRASES[found[1]], int(found[2])) from None
    except RecursionError:
        pass


def _end_of_space(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    return match.end() if match else at


def _size(text: str, end: int) -> int:
    """How many bytes the first characters are."""
    return end if text.isascii() else len(text[:end].encode("utf-8", "surrogateescape"))


# ---- where the library has to be helped


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else dict(reversed(pairs))


def _integer(text: str) -> int | float:
    number = int(text) if len(text) < 30 else float(text)
    if number in _INFINITE:
        raise _TooBig(text)
    return number if -(1 << 63) <= number < 1 << 64 else float(number)


def _real(text: str) -> float:
    number = float(text)
    if number in _INFINITE:
        raise _TooBig(text)
    return number


_PLAIN = json.JSONDecoder(object_pairs_hook=_first_wins)
_CAREFUL = json.JSONDecoder(object_pairs_hook=_first_wins, parse_int=_integer, parse_float=_real)


def _decoder(specials: Iterator[float] | None, careful: bool) -> json.JSONDecoder:
    """specials: what each NaN or Infinity of the text is, if it is not what it says."""
    if specials is None:
        return _CAREFUL if careful else _PLAIN
    return json.JSONDecoder(
        object_pairs_hook=_first_wins,
        parse_int=_integer,
        parse_float=_real,
        parse_constant=lambda _: next(specials),
    )


def _specials_replaced(body: bytes) -> tuple[bytes, Iterator[float]]:
    """A body of the same size with NaN for all that is special, and what each of them was."""
    meant: list[float] = []

    def replaced(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            return match[0]
        meant.append(float(match[1]))
        return b"NaN".ljust(len(match[0]))

    return _SPECIALS.sub(replaced, body), iter(meant)


def _place_of(number: bytes, body: bytes) -> int:
    """Where a number stands for the first time outside strings."""
    found = (match.start() for match in _TOKENS.finditer(body) if match[0] == number)
    return next(found, 0)


def _check_surrogates(body: bytes, end: int) -> None:
    """Raises JsonError for half a surrogate pair before `end`."""
    if not _SURROGATE.search(body, 0, end):
        return
    for match in _ESCAPES.finditer(body, 0, end):
        if match[1]:
            json_places.explain_escape(body, match.start())


# ---- what is wrong


def _explain(error: json.JSONDecodeError, body: bytes, start: int) -> NoReturn:
    """RapidJSON's view of the place where the library stopped."""
    at = start + _size(error.doc, error.pos)
    words = error.msg
    if words.startswith("Expecting ','"):
        json_places.explain_number(body, at)
        raise JsonError(json_places.NO_BRACKET if _in_list(error) else json_places.NO_BRACE, at)
    if words.startswith("Expecting ':'"):
        raise JsonError(json_places.NO_COLON, at)
    if words.startswith("Illegal trailing comma"):
        at = _end_of_space(body, at + 1)
    if words.startswith("Expecting property name") or words.endswith("end of object"):
        raise JsonError(json_places.NO_NAME, at)
    if words.startswith("Unterminated string"):
        _check_surrogates(body, len(body))
        json_places.explain_end_of_string(body, at)
    if words.startswith("Invalid control character"):
        raise JsonError(json_places.BAD_ENCODING, at)
    if words.startswith("Invalid \\"):
        at = body.rfind(b"\\", 0, at + 1)
        json_places.explain_escape(body, json_places.start_of_pair(body, at))
    json_places.explain_value(body, at)
    raise JsonError(json_places.INVALID, at)


def _in_list(error: json.JSONDecodeError) -> bool:
    """Whether what was read last is an item of a list: then a bracket may follow it."""
    try:
        _PLAIN.raw_decode(error.doc[: error.pos] + "]")
    except json.JSONDecodeError as next_error:
        return next_error.pos > error.pos
    except RecursionError:
        raise JsonError(json_places.TOO_DEEP, error.pos) from None
    return True
