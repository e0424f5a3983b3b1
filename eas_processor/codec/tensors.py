"""numpy arrays to and from TensorProto, and the requests and responses made of them.

    request(inputs, signature_name, output_filter)   a PredictRequest, in tensor_content
    response(outputs, typed=True)                    a PredictResponse, in typed fields
    inputs(request), outputs(response)               {name: Tensor}
    read(tensor_proto)                               one TensorProto

Reading goes through a *view* of the messages: a packed repeated number is a length-delimited blob
on the wire, so a view that declares those fields as `repeated bytes` parses the same bytes and
hands out blobs. Writing is by hand, so that a large buffer is copied once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from eas_processor.codec import dtypes, serving, wire
from eas_processor.codec.dtypes import DT_BFLOAT16, DT_STRING
from eas_processor.errors import Code, ServingError

BYTES_MAX = (1 << 31) - 1  # protobuf's own limit for one message
COPIED_BYTES_MAX = 1 << 16  # of a tensor; a larger one is not copied before it is joined
CONTENT = 4
STRINGS = 8
PACKED = {
    "half_val": 13,
    "float_val": 5,
    "double_val": 6,
    "int_val": 7,
    "scomplex_val": 9,
    "int64_val": 10,
    "bool_val": 11,
    "dcomplex_val": 12,
    "uint32_val": 16,
    "uint64_val": 17,
}
# What the blob of a field is; the others are varints.
FIXED = {"float_val": "<f4", "double_val": "<f8", "scomplex_val": "<c8", "dcomplex_val": "<c16"}
# What protobuf hands out for a field, number by number.
SINGLE = {
    "float_val": "<f4",
    "double_val": "<f8",
    "scomplex_val": "<f4",
    "dcomplex_val": "<f8",
    "int_val": "<i8",
    "int64_val": "<i8",
}


class Tensor(NamedTuple):
    """dtype: TensorFlow's number; values: an array, of bytes objects for DT_STRING.

    A DT_BFLOAT16 tensor holds float32 values, since numpy has no such type.
    """

    dtype: int
    values: np.ndarray[Any, Any]


def _view(name: str) -> Any:
    return serving.view(name, "TensorProto", tuple(PACKED))


def as_tensor(values: Tensor | np.ndarray[Any, Any]) -> Tensor:
    """An array with the dtype that it says itself; a Tensor as it is."""
    return values if isinstance(values, Tensor) else Tensor(dtypes.of_array(values), values)


# ---- reading


def inputs(request_body: bytes) -> dict[str, Tensor]:
    """The inputs of a serialised PredictRequest. Raises ServingError INVALID_ARGUMENT."""
    message = serving.parse(_view("tensorflow.serving.PredictRequest"), request_body)
    return {name: _tensor(proto, name) for name, proto in message.inputs.items()}


def outputs(response_body: bytes) -> dict[str, Tensor]:
    """The outputs of a serialised PredictResponse.

    Raises ServingError INTERNAL for what is none: a worker wrote it, no client.
    """
    try:
        message = serving.parse(_view("tensorflow.serving.PredictResponse"), response_body)
        return {name: _tensor(proto, name) for name, proto in message.outputs.items()}
    except ServingError as error:
        raise ServingError(Code.INTERNAL, f"the model's answer: {error.message}") from None


def read(tensor_proto: bytes) -> Tensor:
    """The tensor of a serialised TensorProto. Raises ServingError INVALID_ARGUMENT."""
    return _tensor(serving.parse(_view("tensorflow.TensorProto"), tensor_proto), "")


def _tensor(proto: Any, name: str) -> Tensor:
    kind = dtypes.kind(proto.dtype)
    shape = tuple([dim.size for dim in proto.tensor_shape.dim])
    size = math.prod(shape)
    if min(shape, default=0) < 0 or size * max(kind.stored.itemsize, 1) > BYTES_MAX:
        raise _refused(name, f"shape {list(shape)} is not one that a tensor can have")
    try:
        flat = _values(proto, kind, size)
    except ValueError as error:
        raise _refused(name, str(error)) from None
    if flat.size != size:
        return Tensor(proto.dtype, _spread(flat, kind, shape, name))
    return Tensor(proto.dtype, flat.reshape(shape))


def _refused(name: str, why: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, f"tensor {name!r}: {why}")


def _values(proto: Any, kind: dtypes.Kind, size: int) -> np.ndarray[Any, Any]:
    if proto.dtype == DT_STRING:
        return _strings(proto.string_val)
    if proto.tensor_content:
        return from_stored(np.frombuffer(proto.tensor_content, kind.stored), proto.dtype)
    flat = _from_field(b"".join(getattr(proto, kind.field)), kind, proto.dtype)
    if flat.size == size:
        return flat
    # Numbers that were sent one by one, not packed, are unknown to the view.
    plain = serving.parse("TensorProto", proto.SerializeToString())
    values: np.ndarray[Any, Any]
    values = np.array(list(getattr(plain, kind.field)), SINGLE.get(kind.field, np.uint64))
    if kind.field in FIXED:
        values = values.view(kind.numpy)
        return values
    return _narrowed(values, kind, proto.dtype)


def _from_field(blob: bytes, kind: dtypes.Kind, dtype: int) -> np.ndarray[Any, Any]:
    if kind.field in FIXED:
        return np.frombuffer(blob, np.dtype(FIXED[kind.field]))
    return _narrowed(wire.varints(blob), kind, dtype)


def _narrowed(numbers: np.ndarray[Any, Any], kind: dtypes.Kind, dtype: int) -> np.ndarray[Any, Any]:
    """64-bit integers, as a field carries them, to the array of a dtype."""
    if kind.field == "half_val":
        return from_stored(numbers.astype("<u2").view(kind.stored), dtype)
    narrow: np.ndarray[Any, Any] = numbers.astype(kind.numpy)
    return narrow


def from_stored(stored: np.ndarray[Any, Any], dtype: int) -> np.ndarray[Any, Any]:
    """Elements as tensor_content holds them to what a Tensor holds."""
    if dtype != DT_BFLOAT16:
        return stored
    wide: np.ndarray[Any, Any] = (stored.astype("<u4") << np.uint32(16)).view("<f4")
    return wide


def _strings(values: Iterable[bytes]) -> np.ndarray[Any, Any]:
    items = list(values)
    flat = np.empty(len(items), object)
    flat[:] = items
    return flat


def _spread(
    flat: np.ndarray[Any, Any], kind: dtypes.Kind, shape: tuple[int, ...], name: str
) -> np.ndarray[Any, Any]:
    """Fewer values than elements: the last one repeats; none at all: zeros. TensorFlow's rule."""
    size = math.prod(shape)
    if flat.size > size:
        raise _refused(name, f"{flat.size} values for shape {list(shape)}")
    if not flat.size:
        zero: Any = b"" if kind.field == "string_val" else 0
        return np.broadcast_to(np.array(zero, kind.numpy), shape)
    if flat.size == 1:
        return np.broadcast_to(flat[0:1].reshape(()), shape)
    whole = np.empty(size, flat.dtype)
    whole[: flat.size] = flat
    whole[flat.size :] = flat[-1]
    return whole.reshape(shape)


# ---- writing


def request(
    arrays: Mapping[str, Tensor | np.ndarray[Any, Any]],
    signature_name: str = "",
    output_filter: Iterable[str] = (),
) -> bytes:
    """A serialised PredictRequest with its numbers in tensor_content."""
    parts: list[Any] = []
    if signature_name:
        parts.append(wire.delimited(1, wire.delimited(3, signature_name.encode())))
    for name, values in arrays.items():
        parts += _content_entry(2, name, as_tensor(values))
    try:
        parts += [wire.delimited(3, name.encode()) for name in output_filter]
    except UnicodeEncodeError:
        raise ServingError(Code.INVALID_ARGUMENT, "an output's name is not UTF-8") from None
    return b"".join(parts)


def response(arrays: Mapping[str, Tensor | np.ndarray[Any, Any]], typed: bool = True) -> bytes:
    """A serialised PredictResponse that holds `outputs` alone."""
    parts: list[Any] = []
    for name, values in arrays.items():
        tensor = as_tensor(values)
        parts += _entry(1, name, _typed(tensor)) if typed else _content_entry(1, name, tensor)
    return b"".join(parts)


def _entry(field: int, name: str, value: list[Any]) -> list[Any]:
    """An entry of a map from names to tensors."""
    size = sum(len(part) for part in value)
    key = wire.delimited(1, name.encode())
    inner = key + wire.head(2, size)
    return [wire.head(field, len(inner) + size) + inner, *value]


def _content_entry(field: int, name: str, tensor: Tensor) -> list[Any]:
    """The same with the tensor in tensor_content."""
    if tensor.dtype == DT_STRING:
        return _entry(field, name, _typed(tensor))
    stored = np.ascontiguousarray(_to_stored(tensor))
    before = _before_content(field, name, tensor.dtype, tensor.values.shape, stored.nbytes)
    small = stored.nbytes <= COPIED_BYTES_MAX
    return [before, stored.tobytes() if small else stored.reshape(-1).view("u1").data]


@functools.lru_cache(maxsize=256)
def _before_content(field: int, name: str, dtype: int, shape: tuple[int, ...], size: int) -> bytes:
    """All of an entry but the last `size` bytes, which are the tensor's content."""
    value = _shape_fields(dtype, shape) + wire.head(CONTENT, size)
    inner = wire.delimited(1, name.encode()) + wire.head(2, len(value) + size) + value
    return wire.head(field, len(inner) + size) + inner


def _typed(tensor: Tensor) -> list[Any]:
    kind = dtypes.kind(tensor.dtype)
    field = PACKED.get(kind.field, STRINGS)
    if tensor.dtype == DT_STRING:
        items = tensor.values.reshape(-1).tolist()
        if set(map(type, items)) != {bytes}:
            items = [item if isinstance(item, bytes) else str(item).encode() for item in items]
        heads = {size: wire.head(field, size) for size in set(map(len, items))}
        return [_shape_of(tensor), b"".join([heads[len(item)] + item for item in items])]
    stored = np.ascontiguousarray(_to_stored(tensor)).reshape(-1)
    if kind.field in FIXED:
        blob = stored.tobytes()
    else:
        if kind.field == "half_val":
            stored = stored.view("<u2")
        blob = b"".join(map(wire.varint, stored.tolist()))
    return [_shape_of(tensor) + wire.delimited(field, blob)]


def _to_stored(tensor: Tensor) -> np.ndarray[Any, Any]:
    kind = dtypes.kind(tensor.dtype)
    values = tensor.values.astype(kind.numpy, copy=False)
    return to_bfloat16(values) if tensor.dtype == DT_BFLOAT16 else values


def to_bfloat16(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The upper 16 bits of float32 values, rounded half to even, as uint16."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet_nan = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet_nan, rounded).astype("<u2")


def _shape_of(tensor: Tensor) -> bytes:
    """dtype and tensor_shape of a TensorProto."""
    return _shape_fields(tensor.dtype, tensor.values.shape)


@functools.lru_cache(maxsize=256)
def _shape_fields(dtype: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(wire.delimited(2, b"\x08" + wire.varint(dim) if dim else b"") for dim in shape)
    return b"\x08" + wire.varint(dtype) + wire.delimited(2, dims)
