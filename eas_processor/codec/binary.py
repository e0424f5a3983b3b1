"""Tensors without JSON: npy, npz, raw bytes, and protobuf, as requests and as answers.

    accepted(accept)                          which of them an Accept header asks for, or None
    predict_request(body, ask, signatures)    Asked
    predict_answer(response, content_type)    (content type, body, headers)

    application/x-npy        one array; the input is named by ask.input, or is the only one
    application/x-npz        one array for each input, by its name
    application/octet-stream the little-endian elements; ask.dtype and ask.shape say of what
    application/x-protobuf   a serialised PredictRequest; a PredictResponse

No pickle is ever read. What a zip claims to unpack to is checked before it is unpacked.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eas_processor.codec import dtypes, responses, rest_request, serving, signatures, tensors
from eas_processor.codec.dtypes import DT_BFLOAT16, DT_STRING
from eas_processor.codec.json_text import refused
from eas_processor.codec.signatures import Asked, Signature, Signatures, Spec
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import ServingError

NPY = "application/x-npy"
NPZ = "application/x-npz"
RAW = "application/octet-stream"
PROTOBUF = "application/x-protobuf"
TYPES = (NPY, NPZ, RAW, PROTOBUF)
DTYPE_HEADER = "x-tensor-dtype"
SHAPE_HEADER = "x-tensor-shape"

ARRAYS_MAX = 256  # in one npz
UNPACKED_BYTES_FREE = 64 << 20  # an npz may unpack to this much in any case,
UNPACKED_RATIO_MAX = 32  # and to so many times its own size
HEADER_BYTES_MAX = 10_000  # of one npy


@dataclass(frozen=True)
class Ask:
    """What headers or the query say of a body. shape: "1,224,224,3"; dtype in any spelling."""

    content_type: str
    signature: str = ""
    input: str = ""
    dtype: str = ""
    shape: str = ""
    output_filter: tuple[str, ...] = ()


def accepted(accept: str) -> str | None:
    """The first of the four types that an Accept header names; None: none, so JSON."""
    for item in accept.split(","):
        media = item.split(";")[0].strip().lower()
        if media in TYPES:
            return media
    return None


# ---- requests


def predict_request(body: bytes, ask: Ask, known: Signatures) -> Asked:
    """The run that a body asks for. Raises ServingError INVALID_ARGUMENT."""
    if ask.content_type == PROTOBUF:
        return _protobuf(body, ask, known)
    signature = signatures.find(known, ask.signature, rest_request.NOT_FOUND)
    if ask.content_type == NPZ:
        arrays = _read_npz(body, signature)
    else:
        spec = _input(ask.input, signature)
        if ask.content_type == NPY:
            arrays = {spec.name: _as_input(_read_npy(body), spec)}
        else:
            arrays = {spec.name: _read_raw(body, ask, spec)}
    return _asked(arrays, signature.key, ask.output_filter)


def _asked(arrays: dict[str, Tensor], key: str, output_filter: tuple[str, ...]) -> Asked:
    first = next(iter(arrays.values())).values
    rows = first.shape[0] if first.ndim else None
    return Asked(tensors.request(arrays, key, output_filter), key, rows=rows)


def _protobuf(body: bytes, ask: Ask, known: Signatures) -> Asked:
    """The body itself; what the headers say is appended, and so wins or adds."""
    message = serving.parse("PredictRequest", body)
    name = ask.signature or message.model_spec.signature_name
    signature = signatures.find(known, name, rest_request.NOT_FOUND)
    extra = tensors.request({}, signature.key, ask.output_filter)
    shape = next((proto.tensor_shape for proto in message.inputs.values()), None)
    rows = shape.dim[0].size if shape is not None and shape.dim else None
    return Asked(body + extra, signature.key, rows=rows)


def _input(name: str, signature: Signature) -> Spec:
    if not name and len(signature.inputs) == 1:
        return next(iter(signature.inputs.values()))
    if name not in signature.inputs:
        problem = f"no input is named {name!r}" if name else "the input must be named"
        raise refused(f"{problem}; the signature has {', '.join(signature.inputs)}")
    return signature.inputs[name]


def _as_input(array: np.ndarray[Any, Any], spec: Spec) -> Tensor:
    """An array as the tensor of an input. Strings may come as S or U arrays, bfloat16 as float32.

    Raises ServingError INVALID_ARGUMENT for another type than the signature's.
    """
    wanted = dtypes.kind(spec.dtype)
    if spec.dtype == DT_STRING and array.dtype.kind in "SU":
        return Tensor(DT_STRING, _strings(array, spec.name).reshape(array.shape))
    if array.dtype.newbyteorder("<") != wanted.numpy or spec.dtype == DT_STRING:
        raise refused(
            f"input {spec.name!r}: an array of {array.dtype}, but the signature wants {wanted.name}"
        )
    return Tensor(spec.dtype, array)


def _strings(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """All elements of an S or U array as bytes objects."""
    flat = np.empty(array.size, object)
    try:
        flat[:] = [
            item if isinstance(item, bytes) else item.encode() for item in array.ravel().tolist()
        ]
    except (UnicodeEncodeError, SystemError):  # half a surrogate pair; a number beyond Unicode
        raise refused(f"input {name!r}: a string that is no Unicode text") from None
    return flat


def _read_npy(body: bytes) -> np.ndarray[Any, Any]:
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"format version {version}")
        shape, by_columns, dtype = _HEADERS[version](stream, max_header_size=HEADER_BYTES_MAX)
        if dtype.hasobject or dtype.fields or dtype.subdtype:
            raise ValueError(f"elements of type {dtype}")
        array = np.frombuffer(memoryview(body)[stream.tell() :], dtype)
        return array.reshape(shape, order="F" if by_columns else "C")
    except Exception as error:  # numpy reads the head as Python, whose errors are of many kinds
        raise refused(f"{len(body)} bytes that are no npy array: {error}") from None


_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _read_npz(body: bytes, signature: Signature) -> dict[str, Tensor]:
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as file:
            members = file.infolist()
            total = sum(member.file_size for member in members)
            limit = max(UNPACKED_BYTES_FREE, UNPACKED_RATIO_MAX * len(body))
            if len(members) > ARRAYS_MAX or total > limit:
                raise refused(
                    f"npz: {len(members)} arrays of {total} bytes; at most {ARRAYS_MAX} of "
                    f"{limit} bytes are read"
                )
            for member in members:
                spec = _input(member.filename.removesuffix(".npy"), signature)
                arrays[spec.name] = _as_input(_read_npy(_unpacked(file, member)), spec)
    except ServingError:
        raise
    except Exception as error:  # each way to pack a member has its own
        raise refused(f"{len(body)} bytes that are no npz file: {error}") from None
    missing = set(signature.inputs) - set(arrays) - signature.defaults
    if missing or not arrays:
        raise refused(f"npz: no array for {', '.join(sorted(missing)) or 'any input'}")
    return arrays


def _unpacked(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member, read no further than it said that it is long."""
    with file.open(member) as stream:
        return stream.read(member.file_size)


def _read_raw(body: bytes, ask: Ask, spec: Spec) -> Tensor:
    if ask.dtype and dtypes.number_of(ask.dtype) != spec.dtype:
        raise refused(
            f"input {spec.name!r}: {ask.dtype}, but the signature wants {dtypes.name(spec.dtype)}"
        )
    try:
        shape = tuple(int(dim) for dim in ask.shape.strip("[]() ").split(",") if dim.strip())
    except ValueError:
        shape = (-1,)
    if min(shape, default=0) < 0:
        raise refused(f"shape {ask.shape!r}: want sizes with commas, such as 1,224,224,3")
    if not ask.shape:
        raise refused("raw bytes need a shape, such as 1,224,224,3")
    return rest_request.from_buffer(body, spec.dtype, shape)


# ---- answers


def predict_answer(response: bytes, content_type: str) -> tuple[str, bytes, dict[str, str]]:
    """(content type, body, headers) for the outputs of a PredictResponse.

    Several outputs are answered as npz where npy was asked for; raw bytes want a single output.
    Raises ServingError INVALID_ARGUMENT for what the type cannot carry.
    """
    if content_type == PROTOBUF:
        return PROTOBUF, response, {}
    outputs = dict(sorted(responses.outputs(response).items()))
    if content_type == RAW:
        return _raw_answer(outputs)
    arrays = {name: _plain(tensor) for name, tensor in outputs.items()}
    stream = io.BytesIO()
    if content_type == NPY and len(arrays) == 1:
        np.save(stream, next(iter(arrays.values())), allow_pickle=False)
        return NPY, stream.getvalue(), {}
    with zipfile.ZipFile(stream, "w") as file:  # np.savez has names that no output may have
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return NPZ, stream.getvalue(), {}


def _raw_answer(outputs: dict[str, Tensor]) -> tuple[str, bytes, dict[str, str]]:
    if len(outputs) != 1:
        raise refused(
            f"raw bytes carry one output, and there are {', '.join(outputs)}: ask for one with "
            "output_filter, or for application/x-npz"
        )
    (tensor,) = outputs.values()
    if tensor.dtype == DT_STRING:
        raise refused("strings cannot be sent as raw bytes")
    values = tensor.values
    stored = tensors.to_bfloat16(values) if tensor.dtype == DT_BFLOAT16 else values
    headers = {
        DTYPE_HEADER: dtypes.name(tensor.dtype),
        SHAPE_HEADER: ",".join(map(str, values.shape)),
    }
    return RAW, stored.tobytes(), headers


def _plain(tensor: Tensor) -> np.ndarray[Any, Any]:
    """An array that npy can hold: strings as fixed-width bytes."""
    if tensor.dtype != DT_STRING:
        return np.ascontiguousarray(tensor.values).reshape(tensor.values.shape)
    items = tensor.values.reshape(-1).tolist()
    if any(item.endswith(b"\0") for item in items):
        raise refused("npy drops zero bytes at the end of a string: ask for JSON or protobuf")
    return np.array(items, f"S{max(map(len, items), default=1) or 1}").reshape(tensor.values.shape)
