"""Many float32 numbers as `float_text` prints them, by columns.

    by_columns(values)   the texts, each in WIDTH bytes

Nine decimal digits of a float32 are found exactly in float64, but for the few values so near to the
middle between two decimals that the rounding of float64 might decide; those, and everything else
rare, go one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eas_processor.codec.float_text import text

Array = np.ndarray[Any, Any]

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


def by_columns(values: Array) -> Array:
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
        result[place] = _words(text(float(values[place]), False).encode())
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
