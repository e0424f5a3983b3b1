"""From what a file holds to what a key wants, in one pure function that says what to write.

Texts of numbers and of booleans are taken for what they mean, as the cloud service does.
"""

import difflib
import json
import math
import re

from eas_processor.config.keys import Key, Kind

_FLAGS = {"true": True, "false": False, "1": True, "0": False,
          "yes": True, "no": False, "on": True, "off": False}  # fmt: skip
_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,18}(?:\.[0-9]{0,18})?(?:[eE][+-]?[0-9]{1,3})?)\s*")
_WITH_UNIT = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([a-zA-Z]{1,12})\s*")
_UNITS: dict[Kind, dict[str, float]] = {
    Kind.MILLISECONDS: {"ms": 1, "s": 1000, "sec": 1000, "m": 60_000, "min": 60_000},
    Kind.SECONDS: {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600},
    Kind.MEGABYTES: {"k": 1 / 1024, "m": 1, "mb": 1, "mi": 1, "mib": 1,
                     "g": 1024, "gb": 1024, "gi": 1024, "gib": 1024},
}  # fmt: skip
_EXAMPLES = {
    Kind.TEXT: 'write a text in double quotes, "…"',
    Kind.COUNT: "write a whole number such as 4",
    Kind.NUMBER: "write a number such as 1",
    Kind.MILLISECONDS: "write a whole number such as 5000",
    Kind.SECONDS: "write a number such as 30",
    Kind.MEGABYTES: "write a number such as 4000",
    Kind.TEXTS: 'write "file" or ["file", "file"]',
    Kind.TEXT_OR_MAP: 'write "…" or { … }',
    Kind.MAP: 'write { "key": value }',
    Kind.LIST: "write [ … ]",
}
_WHOLE = (Kind.COUNT, Kind.MILLISECONDS)


class Mistake(Exception):
    """What is wrong with one value, without its place."""


def shown(value: object) -> str:
    """A value as the user wrote it, short."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


def is_absent(value: object) -> bool:
    """An empty text and null mean that the key is not there."""
    return value is None or (isinstance(value, str) and not value.strip())


def convert(key: Key, value: object) -> object:
    """The value in the key's own type; Mistake if it does not fit."""
    if key.kind is Kind.FREE:
        return value
    if key.kind is Kind.FLAG:
        return _flag(value)
    if key.kind in (Kind.TEXT, Kind.TEXTS, Kind.TEXT_OR_MAP):
        return _text(key.kind, value)
    if key.kind in (Kind.MAP, Kind.LIST):
        if not isinstance(value, dict if key.kind is Kind.MAP else list):
            raise _wrong(key.kind, value)
        return value
    return _number(key, value)


def _wrong(kind: Kind, value: object, hint: str = "") -> Mistake:
    return Mistake(f"{shown(value)} is not {kind.value}; {hint or _EXAMPLES[kind]}")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text in _FLAGS:
        return _FLAGS[text]
    near = difflib.get_close_matches(text[:20], ["true", "false"], 1)
    hint = f"did you mean {near[0]}?" if near else "write true or false"
    raise _wrong(Kind.FLAG, value, hint)


def _text(kind: Kind, value: object) -> object:
    if isinstance(value, str):
        return [value] if kind is Kind.TEXTS else value
    if isinstance(value, int) and not isinstance(value, bool) and kind is Kind.TEXT:
        return str(value) if abs(value) < 10**18 else _too_long()
    if kind is Kind.TEXT_OR_MAP and isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if kind is Kind.TEXTS and isinstance(value, list):
        for item in value:
            if not isinstance(item, str):
                raise _wrong(kind, value)
        return value
    raise _wrong(kind, value)


def _too_long() -> str:
    raise Mistake("this number has too many digits; put it in double quotes")


def _number(key: Key, value: object) -> int | float:
    number: int | float
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if not match:
            raise _wrong(key.kind, value, _unit_hint(key.kind, value))
        text = match.group(1)
        number = int(text) if text.lstrip("+-").isdigit() else float(text)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(key.kind, value)
    else:
        number = value
    # A number far beyond every range must not reach float(), which would overflow.
    if isinstance(number, float) and not math.isfinite(number):
        raise _out_of_range(key, value)
    if not key.low <= number <= key.high:
        raise _out_of_range(key, value)
    if key.kind in _WHOLE:
        if number != int(number):
            raise _wrong(key.kind, value, "write a whole number")
        return int(number)
    return number


def _unit_hint(kind: Kind, value: str) -> str:
    match = _WITH_UNIT.fullmatch(value)
    scale = _UNITS.get(kind, {}).get(match.group(2).lower()) if match else None
    if match is None or scale is None:
        return ""
    return f"did you mean {float(match.group(1)) * scale:.15g}?"


def _out_of_range(key: Key, value: object) -> Mistake:
    return Mistake(f"{shown(value)} is out of range; it must be from {key.low:g} to {key.high:,.0f}"
                   .replace(",", " "))  # fmt: skip
