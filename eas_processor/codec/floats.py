"""Arrays of floating-point numbers as TensorFlow Serving prints them in JSON: see `float_text`.

texts(values)                   a list of bytes, one for each element of a flat float array
few(values)                     a list of str, one for each of some numbers that float32 holds
joined(values, shape, between)  one text of all elements of a flat float32 array
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eas_processor.codec.float_columns import WIDTH, by_columns
from eas_processor.codec.float_text import text

Array = np.ndarray[Any, Any]

ONE_BY_ONE_MAX = 224  # below this many the set-up of the columns costs more than it saves
TURN = 1 << 11  # numbers that are printed by one call of C, a millisecond or so


def texts(values: Array) -> list[bytes]:
    """Each number of a flat float16, float32 or float64 array."""
    if values.dtype == np.float64:
        return _doubles(values)
    if values.dtype == np.float16:
        return six_digit_texts(values)
    if values.size <= ONE_BY_ONE_MAX:
        return " ".join(few(values.tolist())).encode().split()
    result: list[bytes] = by_columns(values).tolist()
    return result


def few(values: list[float]) -> list[str]:
    """Each of some numbers that float32 holds.

    Six digits may do only where the next three, which are seen in all nine, are nearly none: half
    the distance to the next float32 is less than 60 units of the ninth. Zeros at the end are cut.
    """
    full = (("%.9g " * len(values)) % tuple(values)).split()
    return [
        nine
        if "0." < nine < "1" and "061" <= nine[2:].lstrip("0")[6:] <= "939"
        else text(value, False)
        for nine, value in zip(full, values, strict=True)
    ]


def _doubles(values: Array) -> list[bytes]:
    """Most doubles need all digits; only where fewer might do, fewer are tried."""
    if values.size <= ONE_BY_ONE_MAX:
        return _bulk(values.tolist())
    with np.errstate(all="ignore"):
        size = np.abs(values)
        scaled = size * 10.0 ** (5 - np.floor(np.log10(size)))
        long = (np.abs(scaled - np.rint(scaled)) > 1e-4) & (size > 1e-290) & (size < 1e290)
    full = values[long].tolist()
    out = np.empty(len(values), object)
    out[long] = _by_parts(full, _seventeen)
    out[~long] = _by_parts(values[~long].tolist(), _bulk)
    result: list[bytes] = out.tolist()
    return result


def _by_parts(values: list[float], print_some: Callable[[list[float]], list[bytes]]) -> list[bytes]:
    """A few at a time, so that other threads have their turn meanwhile."""
    texts: list[bytes] = []
    for start in range(0, len(values), TURN):
        texts += print_some(values[start : start + TURN])
    return texts


def _seventeen(values: list[float]) -> list[bytes]:
    return _pointed((("%.17g " * len(values)) % tuple(values)).split())


def _bulk(values: list[float]) -> list[bytes]:
    """Doubles: six digits if those read back equal, else seventeen."""
    printed = ("%g " * len(values)) % tuple(values)
    if "n" in printed:  # of nan and inf
        return [text(value, True).encode() for value in values]
    short = printed.split()
    back = list(map(float, short))
    if back != values:
        full = (("%.17g " * len(values)) % tuple(values)).split()
        short = [
            six if read == value else seventeen
            for six, seventeen, read, value in zip(short, full, back, values, strict=True)
        ]
    return _pointed(short)


def _pointed(printed: list[str]) -> list[bytes]:
    """With `.0` behind what looks like an integer."""
    pointed = [one if "." in one or "e" in one else one + ".0" for one in printed]
    return " ".join(pointed).encode().split()


def joined(values: Array, shape: tuple[int, ...], between: list[bytes]) -> bytes:
    """All numbers of a flat float32 array in one text.

    between[n]: what stands between two numbers where n lists of a nesting of this shape, the
    innermost ones, end and begin. No size of the shape may be zero.
    """
    width = max(map(len, between))
    separators = np.full(len(values), between[0], f"S{width}")
    step = 1
    for size, separator in zip(reversed(shape), between[1:], strict=False):
        step *= size
        separators[step - 1 :: step] = separator
    separators[-1] = b""
    whole = np.empty((len(values), WIDTH + width), np.uint8)
    whole[:, :WIDTH] = by_columns(values).view(np.uint8).reshape(-1, WIDTH)
    whole[:, WIDTH:] = separators.view(np.uint8).reshape(-1, width)
    return whole.tobytes().translate(None, b"\0")  # what is shorter is filled up with zeros


def six_digit_texts(values: Array) -> list[bytes]:
    """Each number of a flat array of float16 or bfloat16 values: six digits read back equal."""
    return _by_parts(values.tolist(), _six_digits)


def _six_digits(values: list[float]) -> list[bytes]:
    rounded = (("%g " * len(values)) % tuple(values)).split()
    return _bulk(list(map(float, rounded)))
