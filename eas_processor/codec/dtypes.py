"""TensorFlow's data types: their numbers, names, numpy types, and the typed field of each."""

from __future__ import annotations

import contextlib
import re
from typing import Any, NamedTuple

import numpy as np

from eas_processor.errors import Code, ServingError

DT_INVALID = 0
DT_FLOAT = 1
DT_DOUBLE = 2
DT_INT32 = 3
DT_UINT8 = 4
DT_INT16 = 5
DT_INT8 = 6
DT_STRING = 7
DT_COMPLEX64 = 8
DT_INT64 = 9
DT_BOOL = 10
DT_QINT8 = 11
DT_QUINT8 = 12
DT_QINT32 = 13
DT_BFLOAT16 = 14
DT_QINT16 = 15
DT_QUINT16 = 16
DT_UINT16 = 17
DT_COMPLEX128 = 18
DT_HALF = 19
DT_RESOURCE = 20
DT_VARIANT = 21
DT_UINT32 = 22
DT_UINT64 = 23


class Kind(NamedTuple):
    """How the values of one dtype are held.

    numpy: the type of the array on the host; stored: that of tensor_content (bfloat16 is float32
    on the host and two bytes there); field: the typed field of TensorProto.
    """

    name: str
    numpy: np.dtype[Any]
    stored: np.dtype[Any]
    field: str


def _kind(name: str, numpy: str, field: str, stored: str = "") -> Kind:
    return Kind(name, np.dtype(numpy), np.dtype(stored or numpy), field)


KINDS: dict[int, Kind] = {
    DT_FLOAT: _kind("float", "<f4", "float_val"),
    DT_DOUBLE: _kind("double", "<f8", "double_val"),
    DT_INT32: _kind("int32", "<i4", "int_val"),
    DT_UINT8: _kind("uint8", "u1", "int_val"),
    DT_INT16: _kind("int16", "<i2", "int_val"),
    DT_INT8: _kind("int8", "i1", "int_val"),
    DT_STRING: _kind("string", "O", "string_val"),
    DT_COMPLEX64: _kind("complex64", "<c8", "scomplex_val"),
    DT_INT64: _kind("int64", "<i8", "int64_val"),
    DT_BOOL: _kind("bool", "?", "bool_val"),
    DT_QINT8: _kind("qint8", "i1", "int_val"),
    DT_QUINT8: _kind("quint8", "u1", "int_val"),
    DT_QINT32: _kind("qint32", "<i4", "int_val"),
    DT_BFLOAT16: _kind("bfloat16", "<f4", "half_val", "<u2"),
    DT_QINT16: _kind("qint16", "<i2", "int_val"),
    DT_QUINT16: _kind("quint16", "<u2", "int_val"),
    DT_UINT16: _kind("uint16", "<u2", "int_val"),
    DT_COMPLEX128: _kind("complex128", "<c16", "dcomplex_val"),
    DT_HALF: _kind("half", "<f2", "half_val"),
    DT_UINT32: _kind("uint32", "<u4", "uint32_val"),
    DT_UINT64: _kind("uint64", "<u8", "uint64_val"),
}
_OTHER_NAMES = {DT_INVALID: "INVALID", DT_RESOURCE: "resource", DT_VARIANT: "variant"} | dict(
    enumerate(
        "float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e5m2fnuz "
        "int4 uint4 int2 uint2 float4_e2m1fn".split(),
        start=24,
    )
)
# What numpy calls them; the first of a kind wins, so int8 is never qint8.
_BY_NUMPY = {kind.numpy: number for number, kind in reversed(KINDS.items()) if kind.name[0] != "q"}
_BY_NUMPY[np.dtype("<f4")] = DT_FLOAT
_ONE_TYPE = re.compile("[<>=|]?[biufc][0-9]{1,2}|[a-z]{3,}[0-9]{0,3}")
_BY_NAME = {kind.name: number for number, kind in KINDS.items()}


def name(dtype: int) -> str:
    """As TensorFlow prints it in messages: "float", "half"."""
    kind = KINDS.get(dtype)
    return kind.name if kind else _OTHER_NAMES.get(dtype, f"unknown dtype enum ({dtype})")


def enum_name(dtype: int) -> str:
    """As the enum has it: "DT_FLOAT"."""
    return f"DT_{name(dtype).upper()}"


def kind(dtype: int) -> Kind:
    """Raises ServingError UNIMPLEMENTED for what no host can hold (resource, variant, float8)."""
    found = KINDS.get(dtype)
    if found is None:
        raise ServingError(Code.UNIMPLEMENTED, f"tensors of type {name(dtype)} cannot be sent")
    return found


def number_of(text: str) -> int:
    """The dtype of a name in any spelling: "float32", "float", "DT_FLOAT".

    Raises ServingError INVALID_ARGUMENT for none.
    """
    plain = text.strip().lower().removeprefix("dt_")
    found = _BY_NAME.get(plain)
    if found is None and _ONE_TYPE.fullmatch(plain):  # numpy would read other texts as Python
        with contextlib.suppress(TypeError, ValueError):
            found = _BY_NUMPY.get(np.dtype(plain).newbyteorder("<"))
    if found is None:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"{text!r} is no dtype; the dtypes are {', '.join(sorted(_BY_NAME))}",
        )
    return found


def of_array(array: np.ndarray[Any, Any]) -> int:
    """The dtype that an array is sent as. Raises ServingError INVALID_ARGUMENT for none."""
    if array.dtype.kind in "SUO":
        return DT_STRING
    try:
        return _BY_NUMPY[array.dtype.newbyteorder("<")]
    except KeyError:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"no tensor can carry an array of {array.dtype}"
        ) from None
