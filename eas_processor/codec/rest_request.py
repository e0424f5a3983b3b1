"""A REST predict body to a PredictRequest.

    predict_request(body, signatures)   Asked

The body is an object with `instances` (rows) or `inputs` (columns), perhaps a `signature_name`.
Beyond the peer: half and bfloat16; `output_filter`, a list of the outputs wanted; and, in columns,
`{"b64": …, "shape": […]}` with an optional "dtype": the raw little-endian bytes of a whole tensor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eas_processor.codec import dtypes, json_text, rest_fast, rest_values, signatures, tensors
from eas_processor.codec.json_text import display, refused, shape_text
from eas_processor.codec.rest_values import is_base64
from eas_processor.codec.signatures import Asked, Signature, Signatures
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import Code, ServingError

RAW_KEYS = {"b64", "shape"}
NOT_FOUND = 'Serving signature name: "{}" not found in signature def'


def predict_request(body: bytes, known: Signatures) -> Asked:
    """What a body asks for. Raises ServingError with the peer's words."""
    with np.errstate(over="ignore"):  # what is beyond a dtype's range is infinite
        return _asked(body, known)


def _asked(body: bytes, known: Signatures) -> Asked:
    fast = rest_fast.read(body, known)
    if fast is not None:
        document, arrays, row, signature = fast
    else:
        document = json_text.parse(body)
        signature = signatures.find(known, signature_name(document), NOT_FOUND)
        row, arrays = _arrays(document, signature)
    request = tensors.request(arrays, signature.key, _output_filter(document))
    first = next(iter(arrays.values())).values
    return Asked(request, signature.key, row, first.shape[0] if first.ndim else None)


def signature_name(document: dict[str, Any]) -> str:
    """The member signature_name, "" when there is none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise refused(
            f"JSON Value: {display(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def _output_filter(document: dict[str, Any]) -> list[str]:
    if "output_filter" not in document:
        return []
    names = document["output_filter"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refused("'output_filter' must be a list of the names of outputs")
    return names


def _arrays(document: dict[str, Any], signature: Signature) -> tuple[bool, dict[str, Tensor]]:
    if not signature.inputs:
        raise refused(f"Failed to get input map for signature: {signature.key}")
    has_rows, has_columns = "instances" in document, "inputs" in document
    if has_rows and has_columns:
        raise refused(
            f"JSON Value: {display(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if has_columns:
        return False, _columns(document["inputs"], signature)
    if not has_rows:
        raise refused("Missing 'inputs' or 'instances' key")
    instances = document["instances"]
    if not isinstance(instances, list):
        raise refused(f"JSON Value: {display(document)} Excepting 'instances' to be an list/array")
    if not instances:
        raise refused(f"JSON Value: {display(document)} No values in 'instances' array")
    return True, _rows(instances, signature)


# ---- rows


def _is_element(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _rows(instances: list[Any], signature: Signature) -> dict[str, Tensor]:
    if not isinstance(instances[0], dict) and len(signature.inputs) > 1:
        raise refused(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    if _is_element(instances[0]):
        return _named_rows(instances, signature)
    name, spec = next(iter(signature.inputs.items()))
    tensor = rest_values.try_regular(instances, spec.dtype)
    return {name: tensor or _explain_rows(instances, spec.dtype)}


def _explain_rows(instances: list[Any], dtype: int) -> Tensor:
    shape = rest_values.shape_of(instances[0])

    def good(start: int, end: int) -> bool:
        return rest_values.in_order(instances[start:end], shape, dtype)

    right = rest_values.leading(len(instances), good)
    seen = _Seen()
    for place in (0, *range(max(right, 1), len(instances))):
        item = instances[place]
        if _is_element(item):
            raise refused(f"Expecting value/list but got object at item {place} of input list")
        seen.add(item, dtype, "", f"Failed to process element: {place} of 'instances' list.")
    return rest_values.to_tensor(instances, dtype)


def _named_rows(instances: list[Any], signature: Signature) -> dict[str, Tensor]:
    names = [name for name in signature.inputs if name in instances[0]]
    required = set(signature.inputs) - signature.defaults
    arrays: dict[str, Tensor] = {}
    if required <= set(names):
        keys = set(names)
        if all(isinstance(item, dict) and item.keys() == keys for item in instances):
            for name in names:
                column = [item[name] for item in instances]
                tensor = rest_values.try_regular(column, signature.inputs[name].dtype)
                if tensor is not None:
                    arrays[name] = tensor
    if arrays and len(arrays) == len(names):
        return arrays
    raise _explain_named_rows(instances, signature)


def _explain_named_rows(instances: list[Any], signature: Signature) -> ServingError:
    right = _named_in_order(instances, signature)
    seen = _Seen()
    for place in (0, *range(max(right, 1), len(instances))):
        item = instances[place]
        if not _is_element(item):
            return refused(f"Expecting object but got list at item {place} of input list")
        for name, value in item.items():
            where = f"Failed to process element: {place} key: {name} of 'instances' list."
            if name not in signature.inputs:
                return refused(
                    f"{where} Error: INVALID_ARGUMENT: JSON object: does not have named input: "
                    f"{name}"
                )
            seen.add(value, signature.inputs[name].dtype, name, where)
        if item.keys() != set(signature.inputs):
            break
    return refused(
        f"Failed to process element: {place} of 'instances' list. JSON object: {display(item)} "
        f"must only have keys: {','.join(signature.inputs)}"
    )


def _named_in_order(instances: list[Any], signature: Signature) -> int:
    """How many items at the beginning name all inputs and agree in their shapes."""
    names = set(signature.inputs)
    shapes = {name: rest_values.shape_of(value) for name, value in instances[0].items()}

    def good(start: int, end: int) -> bool:
        part = instances[start:end]
        return all(isinstance(item, dict) and item.keys() == names for item in part) and all(
            rest_values.in_order([item[name] for item in part], shapes[name], spec.dtype)
            for name, spec in signature.inputs.items()
        )

    return rest_values.leading(len(instances), good) if shapes.keys() == names else 0


class _Seen:
    """The size and shape of the first item of each input; the others must agree."""

    def __init__(self) -> None:
        self.first: dict[str, tuple[tuple[int, ...], int]] = {}

    def add(self, item: Any, dtype: int, name: str, where: str) -> None:
        """Raises ServingError, INVALID_ARGUMENT whatever the mistake is, as the peer does."""
        try:
            shape, size = rest_values.walk(item, dtype)
        except ServingError as error:
            raise refused(f"{where} Error: {error.code.name}: {error.message}") from None
        first_shape, first_size = self.first.setdefault(name, (shape, size))
        if size != first_size:
            why = f"Expecting tensor size: {first_size} but got: {size}"
        elif shape != first_shape:
            why = f"Expecting shape {shape_text(first_shape)} but got: {shape_text(shape)}"
        else:
            return
        raise refused(f"{where} Error: INVALID_ARGUMENT: {why}")


# ---- columns


def _columns(value: Any, signature: Signature) -> dict[str, Tensor]:
    specs = signature.inputs
    if not isinstance(value, dict) or is_base64(value) or _is_raw(value, signature):
        if len(specs) > 1:
            raise refused(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        name, spec = next(iter(specs.items()))
        return {name: _column(value, spec.dtype, signature)}
    arrays = {}
    for name, spec in specs.items():
        if name in value:
            arrays[name] = _column(value[name], spec.dtype, signature)
        elif name not in signature.defaults:
            raise refused(f"Missing named input: {name} in 'inputs' object.")
    if not arrays:
        raise refused("'inputs' names no input")
    return arrays


def _column(value: Any, dtype: int, signature: Signature) -> Tensor:
    if _is_raw(value, signature) and dtype != dtypes.DT_STRING:
        return _raw(value, dtype)
    return rest_values.to_tensor(value, dtype)


def _is_raw(value: Any, signature: Signature) -> bool:
    """Whether a value is the bytes of a tensor; inputs that are named like its members go first."""
    if not isinstance(value, dict) or not RAW_KEYS <= value.keys() <= {*RAW_KEYS, "dtype"}:
        return False
    return not signature.inputs.keys() >= RAW_KEYS


def _raw(value: dict[str, Any], dtype: int) -> Tensor:
    """A tensor as its bytes. Raises ServingError INVALID_ARGUMENT if they do not fit."""
    stated = value.get("dtype")
    if stated is not None and dtypes.number_of(str(stated)) != dtype:
        raise refused(f"raw tensor: dtype {stated!r}, but the signature wants {dtypes.name(dtype)}")
    shape = value["shape"]
    if not isinstance(shape, list) or any(type(dim) is not int or dim < 0 for dim in shape):
        raise refused("raw tensor: 'shape' must be a list of sizes")
    if not isinstance(value["b64"], str):
        raise refused("raw tensor: 'b64' must be a string")
    return from_buffer(rest_values.from_base64(value["b64"]), dtype, tuple(shape))


def from_buffer(data: bytes, dtype: int, shape: tuple[int, ...]) -> Tensor:
    """A tensor of the little-endian bytes of its elements.

    Raises ServingError INVALID_ARGUMENT if there are not as many as the shape wants.
    """
    if dtype == dtypes.DT_STRING:
        raise ServingError(Code.INVALID_ARGUMENT, "strings cannot be sent as raw bytes")
    kind = dtypes.kind(dtype)
    wanted = math.prod(shape) * kind.stored.itemsize
    if len(data) != wanted:
        raise refused(
            f"raw tensor: {len(data)} bytes, but shape {shape_text(shape)} of {kind.name} "
            f"takes {wanted}"
        )
    flat = np.frombuffer(data, kind.stored)
    try:
        stored = flat.reshape(shape)
    except ValueError as error:  # too many dimensions, or one that is too large beside a zero
        raise refused(f"raw tensor: shape {shape_text(shape)}: {error}") from None
    return Tensor(dtype, tensors.from_stored(stored, dtype))
