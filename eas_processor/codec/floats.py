"""Floating-point numbers as TensorFlow Serving prints them in JSON.

    texts(values)                   a list of bytes, one for each element of a flat float array
    joined(values, shape, between)  one text of all elements of a flat float32 array

The rule: `%g` with six digits if that reads back equal, else nine digits for a float and seventeen
for a double; `.0` after what would look like an integer; NaN, Infinity and -Infinity bare.

A large float32 array is printed by columns. Nine decimal digits of a float32 are found exactly in
float64, but for the few values so near to the middle between two decimals that the rounding of
float64 might decide; those, and everything else rare, go one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ONE_BY_ONE_MAX = 224  # below this many the set-up of the columns costs more than it saves
WIDTH = 16  # of the longest text without its sign: 0.000123456789 has 14
FIXED_MIN, FIXED_MAX = -4, 9  # decimal exponents that %g prints without an exponent
CHUNK = 1 << 14  # elements at a time: what is worked on stays in the cache
FLOAT_MAX = float(np.finfo(np.float32).max)
TIE = 1e-5  # of one unit of the last digit: well above the error of two roundings of float64

_U = np.uint64
_POWERS = np.array([float(f"1e{n}") for n in range(-60, 61)])


def _words(text: bytes) -> tuple[int, int]:
    """Sixteen characters as two little-endian words."""
    whole = int.from_bytes(text, "little")
    return whole & (1 << 64) - 1, whole >> 64


def _table(texts: list[bytes]) -> tuple[Array, Array]:
    words = [_words(text) for text in texts]
    return np.array([low for low, _ in words], _U), np.array([high for _, high in words], _U)


# Four digits as characters, and how many zeros they end in.
_FOURS = np.array([int.from_bytes(b"%04d" % n, "little") for n in range(10000)], _U)
_ZEROS = np.array([4 - len(f"{n:04d}".rstrip("0")) for n in range(10000)])
_SUFFIXES = np.array([int.from_bytes(b"e%+03d" % n, "little") for n in range(-60, 61)], _U)
_MASKS = _table([b"\xff" * length for length in range(WIDTH + 1)])

# One form for each exponent of fixed notation, and scientific as the last one:
# the digits that stay, what follows them, by how much the other digits move.
_FORMS = [(0, b"0." + b"0" * (-1 - power)) for power in range(FIXED_MIN, 0)]
_FORMS += [(power + 1, b".0" if power == FIXED_MAX - 1 else b".") for power in range(FIXED_MAX)]
_FORMS += [(1, b".")]
_STAY = _table([b"\xff" * stay for stay, _ in _FORMS])
_BETWEEN = _table([b"\0" * stay + between for stay, between in _FORMS])
_MOVE = np.array([8 * (len(between) if not stay else 1) for stay, between in _FORMS], _U)
_START = np.array([len(between) if not stay else 1 for stay, between in _FORMS])
_LEAST = np.array([stay + 2 if stay else 0 for stay, _ in _FORMS[:-1]] + [0])


def text(value: float, wide: bool) -> bytes:
    """One number; wide: a double. A float32 is passed as the double equal to it."""
    if value != value:
        return b"NaN"
    if value in (float("inf"), float("-inf")):
        return b"Infinity" if value > 0 else b"-Infinity"
    short = f"{value:g}"
    back = float(short)
    if back != value and (wide or np.float32(back) != value):
        short = f"{value:.17g}" if wide else f"{value:.9g}"
    if "." not in short and "e" not in short:
        short += ".0"
    return short.encode()


def texts(values: Array) -> list[bytes]:
    """Each number of a flat float16, float32 or float64 array."""
    if values.dtype == np.float64:
        return _doubles(values)
    if values.dtype == np.float16:
        return six_digit_texts(values)
    if values.size <= ONE_BY_ONE_MAX:
        return _bulk(values.tolist(), "%.9g ", _as_float32)
    result: list[bytes] = _by_columns(values).tolist()
    return result


def _doubles(values: Array) -> list[bytes]:
    """Most doubles need all digits; only where fewer might do, fewer are tried."""
    if values.size <= ONE_BY_ONE_MAX:
        return _bulk(values.tolist(), "%.17g ", _as_it_is)
    with np.errstate(all="ignore"):
        size = np.abs(values)
        scaled = size * 10.0 ** (5 - np.floor(np.log10(size)))
        long = (np.abs(scaled - np.rint(scaled)) > 1e-4) & (size > 1e-290) & (size < 1e290)
    full = values[long].tolist()
    out = np.empty(len(values), object)
    out[long] = _pointed((("%.17g " * len(full)) % tuple(full)).split())
    out[~long] = _bulk(values[~long].tolist(), "%.17g ", _as_it_is)
    result: list[bytes] = out.tolist()
    return result


def _as_it_is(values: list[float]) -> list[float]:
    return values


def _as_float32(values: list[float]) -> list[float]:
    rounded: list[float] = np.array(values, np.float32).tolist()
    return rounded


def _bulk(
    values: list[float], form: str, stored: Callable[[list[float]], list[float]]
) -> list[bytes]:
    """form: prints all digits; stored: numbers as the type of the values holds them."""
    printed = ("%g " * len(values)) % tuple(values)
    if "n" in printed:  # of nan and inf
        return [text(value, stored is _as_it_is) for value in values]
    short = printed.split()
    back = stored(list(map(float, short)))
    if back != values:
        full = ((form * len(values)) % tuple(values)).split()
        short = [
            few if read == value else all_of_them
            for few, all_of_them, read, value in zip(short, full, back, values, strict=True)
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
    whole[:, :WIDTH] = _by_columns(values).view(np.uint8).reshape(-1, WIDTH)
    whole[:, WIDTH:] = separators.view(np.uint8).reshape(-1, width)
    return whole.tobytes().translate(None, b"\0")  # what is shorter is filled up with zeros


def six_digit_texts(values: Array) -> list[bytes]:
    """Each number of a flat array of float16 or bfloat16 values: six digits read back equal."""
    rounded = (("%g " * values.size) % tuple(values.tolist())).split()
    return _bulk(list(map(float, rounded)), "%.17g ", _as_it_is)


def _by_columns(values: Array) -> Array:
    """The texts, each in WIDTH bytes."""
    words = np.empty((len(values), 2), _U)
    for start in range(0, len(values), CHUNK):
        words[start : start + CHUNK] = _chunk(values[start : start + CHUNK])
    return words.view(f"S{WIDTH}").ravel()


def _chunk(values: Array) -> Array:
    """Sixteen characters for each number, as two words."""
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        size = np.abs(values, dtype=np.float32).astype(np.float64)
    plain = (size != 0) & (size < FLOAT_MAX)
    if not plain.all():
        size[~plain] = 1.0
    scaled, exponent = _scaled(size)
    six, six_exponent, odd_too = _decimal(scaled * 1e-3, exponent, 6)
    nine, exponent, odd = _decimal(scaled, exponent, 9)
    short, odd_three = _reads_back(six, six_exponent, size)
    digits = nine.astype(np.int64)
    np.copyto(digits, six * 1000, where=short, casting="unsafe")
    np.copyto(exponent, six_exponent, where=short)
    fixed = (exponent >= FIXED_MIN) & (exponent < np.where(short, 6, FIXED_MAX))
    form = np.where(fixed, exponent - FIXED_MIN, len(_FORMS) - 1)
    result = _laid_out(digits, exponent, form, values < 0)
    for place in np.flatnonzero(odd | odd_too | odd_three | ~plain).tolist():
        result[place] = _words(text(float(values[place]), False))
    return result


def _scaled(size: Array) -> tuple[Array, Array]:
    """Each size with nine digits before the point, and its decimal exponent."""
    exponent = np.floor(np.log10(size)).astype(np.int32)
    scaled = size * _POWERS.take(68 - exponent)
    off = (scaled >= 1e9) | (scaled < 1e8)
    if off.any():  # the logarithm was rounded across a power of ten
        exponent += (scaled >= 1e9).astype(np.int32)
        exponent -= scaled < 1e8
        scaled = size * _POWERS.take(68 - exponent)
    return scaled, exponent


def _decimal(scaled: Array, exponent: Array, places: int) -> tuple[Array, Array, Array]:
    """scaled ≈ digits: digits, their exponent, and where that is unsure."""
    digits = np.rint(scaled)
    unsure = np.abs(scaled - digits) > 0.5 - TIE
    full = digits >= 10.0**places
    if full.any():
        digits[full] /= 10
        exponent = exponent + full
    return digits, exponent, unsure


def _reads_back(digits: Array, exponent: Array, size: Array) -> tuple[Array, Array]:
    """Whether six digits read back as the same float32, and where that is unsure."""
    back = digits * _POWERS.take(exponent + 55)
    with np.errstate(over="ignore"):
        same = back.astype(np.float32) == size
    unit = np.spacing(size.astype(np.float32))
    distance = np.abs(back - size) / unit
    # The border to the next float32 is half a unit away, a quarter below a power of two.
    unsure = (np.abs(distance - 0.5) < TIE) | (np.abs(distance - 0.25) < TIE)
    return same, unsure


def _laid_out(digits: Array, exponent: Array, form: Array, negative: Array) -> Array:
    """The texts. Most numbers of an answer have one form: that is cheaper than a form for each."""
    usual = np.bincount(form).argmax()
    others = np.flatnonzero(form != usual)
    if others.size > len(form) // 2:
        return _in_form(digits, exponent, form, negative)
    out = _in_form(digits, exponent, usual, negative)
    if others.size:
        out[others] = _in_form(digits[others], exponent[others], form[others], negative[others])
    return out


def _in_form(digits: Array, exponent: Array, form: Any, negative: Array) -> Array:
    """By 64-bit arithmetic on characters: `low` holds the first eight. form: one for all or each.

    An integer keeps its digits and `.0`; scientific has no point after a lone digit.
    """
    rest = digits // 10
    head = rest // 10000
    middle = rest - head * 10000
    last = digits - rest * 10
    low = _FOURS.take(head) | _FOURS.take(middle) << _U(32)
    high = (last + ord("0")).astype(np.uint64)
    kept = np.where(last, 9, np.where(middle, 8 - _ZEROS.take(middle), 4 - _ZEROS.take(head)))
    low, high = _with_point(low, high, form)
    scientific = form == len(_FORMS) - 1
    length = np.maximum(_START[form] + kept, _LEAST[form])
    length[scientific & (kept == 1)] = 1
    low, high = low & _MASKS[0].take(length), high & _MASKS[1].take(length)
    if np.any(scientific):
        low, high = _with_exponent(low, high, exponent * scientific, length, scientific)
    if negative.any():
        sign = negative * _U(8)
        high = high << sign | np.where(negative, low >> _U(56), _U(0))
        low = low << sign | negative * _U(ord("-"))
    return np.stack((low, high), axis=1)


def _with_point(low: Array, high: Array, form: Any) -> tuple[Array, Array]:
    """Moves the digits after the point, and puts in what stands between them and the others."""
    moved_low, moved_high = low & ~_STAY[0][form], high & ~_STAY[1][form]
    by = _MOVE[form]
    high = (high & _STAY[1][form]) | _BETWEEN[1][form] | moved_high << by
    high |= moved_low >> (_U(64) - by)
    low = (low & _STAY[0][form]) | _BETWEEN[0][form] | moved_low << by
    return low, high


def _with_exponent(
    low: Array, high: Array, exponent: Array, length: Array, where: Any
) -> tuple[Array, Array]:
    suffix = _SUFFIXES[exponent + 60] * where
    bits = (length * 8).astype(np.uint64)
    inside = length < 8
    low = low | np.where(inside, suffix << (bits & _U(63)), _U(0))
    over = np.where(inside, suffix >> (_U(64) - bits & _U(63)), suffix << (bits - _U(64) & _U(63)))
    return low, high | over


def nearest_float32(value: float) -> float:
    """A double rounded to a float32; beyond its range infinite."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))
