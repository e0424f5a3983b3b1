"""JSON values to tensors: TensorFlow Serving's rules for what a leaf and a list may be.

    to_tensor(value, dtype)   a nested list or a leaf
    from_base64(text)         lenient padding, standard alphabet

What is in order is converted by whole lists. What is not is walked through a second time, in the
peer's order, to say what it would say; whatever is in order before the mistake is passed over.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from eas_processor.codec import dtypes
from eas_processor.codec.dtypes import (
    DT_BFLOAT16,
    DT_BOOL,
    DT_DOUBLE,
    DT_FLOAT,
    DT_HALF,
    DT_INT64,
    DT_STRING,
    DT_UINT32,
    DT_UINT64,
)
from eas_processor.codec.json_text import display, refused, type_name
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import Code, ServingError

Array = np.ndarray[Any, Any]

DIMENSIONS_MAX = 64  # of a numpy array
STEP, STEP_DOWN = 4096, 16  # things that are looked at together, fewer and fewer near a mistake

INT32 = (-(1 << 31), (1 << 31) - 1)
# dtype → the integers that its JSON leaf may be. Small types take 32 bits and wrap, as the peer's.
INTEGERS = {
    dtypes.DT_INT32: INT32,
    dtypes.DT_INT16: INT32,
    dtypes.DT_INT8: INT32,
    dtypes.DT_UINT8: INT32,
    dtypes.DT_UINT16: (0, (1 << 16) - 1),
    DT_INT64: (-(1 << 63), (1 << 63) - 1),
    DT_UINT32: (0, (1 << 32) - 1),
    DT_UINT64: (0, (1 << 64) - 1),
}
# Any number will do: it is rounded, and beyond the range it is infinite. The peer takes no half and
# no bfloat16 at all.
REALS = (DT_FLOAT, DT_DOUBLE, DT_HALF, DT_BFLOAT16)
_FROM_JSON = {DT_STRING, DT_BOOL, *REALS, *INTEGERS}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_BLANKS = str.maketrans("", "", " \t\r\n\v\f")


class _Irregular(Exception):
    """Something that only the slow walk can name."""


def to_tensor(value: Any, dtype: int) -> Tensor:
    """The tensor of a JSON value. Raises ServingError with the peer's words."""
    try:
        return regular(value, dtype)
    except _Irregular:
        walk(value, dtype)
        raise refused(f"JSON Value: {display(value)} is no tensor") from None


def try_regular(value: Any, dtype: int) -> Tensor | None:
    """The tensor of a value that is in order, or None."""
    try:
        return regular(value, dtype)
    except _Irregular:
        return None


def shape_of(value: Any) -> tuple[int, ...]:
    """The lengths of a list, of its first item, of the first item of that …"""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def regular(value: Any, dtype: int) -> Tensor:
    """Raises _Irregular for what is not in order."""
    return _regular(value, shape_of(value), dtype)


def _regular(value: Any, shape: tuple[int, ...], dtype: int) -> Tensor:
    if len(shape) > DIMENSIONS_MAX:
        raise refused(f"lists inside lists, {len(shape)} deep; at most {DIMENSIONS_MAX} are read")
    items = [value]
    for size in shape:
        if any(type(item) is not list or len(item) != size for item in items):
            raise _Irregular
        items = list(chain.from_iterable(items))
    return Tensor(dtype, _leaves(items, dtype).reshape(shape))


def in_order(items: list[Any], shape: tuple[int, ...], dtype: int) -> bool:
    """Whether all items have this shape and leaves of this dtype."""
    try:
        _regular(items, (len(items), *shape), dtype)
    except (_Irregular, ServingError):
        return False
    return True


def leading(size: int, good: Callable[[int, int], bool]) -> int:
    """How many of `size` things are good before the first one that is not.

    good: whether all those from one place up to another are.
    """
    start, step = 0, STEP
    while start < size:
        if good(start, min(start + step, size)):
            start += step
        elif step == 1:
            return start
        else:
            step //= STEP_DOWN
    return size


def _leaves(items: list[Any], dtype: int) -> Array:
    kinds = set(map(type, items))
    if dtype == DT_STRING:
        flat = np.empty(len(items), object)
        flat[:] = _plain_strings(items) if kinds == {str} else [_string(item) for item in items]
        return flat
    if dtype == DT_BOOL and kinds <= {bool}:
        return np.array(items, np.bool_)
    try:
        if dtype in REALS and kinds <= {int, float}:
            return to_reals(np.array(items, np.float64), dtype)
        if dtype in INTEGERS and kinds <= {int}:
            return _integers(items, dtype)
    except OverflowError:
        pass
    raise _Irregular


def to_reals(wide: Array, dtype: int) -> Array:
    """Doubles as the numbers of a real dtype. Warns of those that become infinite."""
    return wide.astype(dtypes.KINDS[dtype].numpy)


def _integers(items: list[int], dtype: int) -> Array:
    low, high = INTEGERS[dtype]
    wide = np.array(items, np.uint64 if dtype == DT_UINT64 else np.int64)
    if wide.size and (int(wide.min()) < low or int(wide.max()) > high):
        raise _Irregular
    return wide.astype(dtypes.KINDS[dtype].numpy)


def is_base64(value: Any) -> bool:
    """Whether a value is an object whose only key is b64, with a string."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _plain_strings(items: list[str]) -> list[bytes]:
    try:
        return list(map(str.encode, items))
    except UnicodeEncodeError:  # there are bytes that are no UTF-8
        return [_string(item) for item in items]


def _string(value: Any) -> bytes:
    if type(value) is str:
        return value.encode("utf-8", "surrogateescape")
    if is_base64(value):
        return from_base64(value["b64"])
    raise _Irregular


def from_base64(text: str) -> bytes:
    """Raises ServingError INVALID_ARGUMENT for what is none."""
    try:
        return msgspec.convert(text, bytes)  # three times as fast, but strict
    except (msgspec.ValidationError, UnicodeEncodeError):
        pass
    plain = text.translate(_BLANKS)
    digits = plain.rstrip("=")
    if not _BASE64.fullmatch(plain) or len(digits) % 4 == 1:
        raise refused("Unable to base64 decode")
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


# ---- saying what is wrong


def walk(value: Any, dtype: int) -> tuple[tuple[int, ...], int]:
    """The shape and the number of leaves of a value. Raises ServingError at the first mistake."""
    shape = shape_of(value)
    return shape, _walk(value, dtype, shape, 0)


def _walk(value: Any, dtype: int, shape: tuple[int, ...], level: int) -> int:
    if not isinstance(value, list):
        if level != len(shape):
            raise refused(
                f"JSON Value: {display(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {len(shape)}"
            )
        check_leaf(value, dtype)
        return 1
    if level >= len(shape):
        raise refused(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise refused(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    inner = shape[level + 1 :]
    right = leading(len(value), lambda start, end: in_order(value[start:end], inner, dtype))
    rest = (_walk(item, dtype, shape, level + 1) for item in value[right:])
    return right * math.prod(inner) + sum(rest)


def check_leaf(value: Any, dtype: int) -> None:
    """Raises ServingError for a value that cannot be one element of a dtype."""
    if dtype == DT_STRING and isinstance(value, dict):
        if not is_base64(value):
            raise refused(f"JSON Value: {display(value)} not formatted correctly for base64 data")
        from_base64(value["b64"])
        return
    if not isinstance(value, dict) and dtype not in _FROM_JSON:
        raise ServingError(
            Code.UNIMPLEMENTED,
            f"Conversion of JSON Value: {display(value)} to type: {dtypes.name(dtype)}",
        )
    if not _fits(value, dtype):
        raise refused(
            f"JSON Value: {display(value)} Type: {type_name(value)} "
            f"is not of expected type: {dtypes.name(dtype)}"
        )


def _fits(value: Any, dtype: int) -> bool:
    if dtype == DT_STRING:
        return isinstance(value, str)
    if dtype == DT_BOOL:
        return isinstance(value, bool)
    if dtype in REALS:
        return type(value) in (int, float)
    low, high = INTEGERS.get(dtype, (0, -1))
    return type(value) is int and low <= value <= high
