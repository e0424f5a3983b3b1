"""Answers as TensorFlow Serving's REST API prints them.

    predict_answer(response, row)            {"predictions": …} or {"outputs": …}
    classify_answer(response, rows), regress_answer(response, rows)      {"results": …}
    status_answer(versions), metadata_answer(name, version, signatures), error_answer(message)

The layout is RapidJSON's pretty printer with an indent of four. The peer turns single-line lists
on before the first row and off after each, which is why a list of rows closes on a line of its own.
Several outputs stand in the order of their names (the peer's order is that of a hash table).
"""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec
from google.protobuf import json_format

from eas_processor.codec import classes, dtypes, floats, responses, serving
from eas_processor.codec.dtypes import DT_BFLOAT16, DT_BOOL, DT_FLOAT, DT_STRING
from eas_processor.codec.json_text import INDENT, quoted, refused
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import Code

BYTES_SUFFIX = "_bytes"  # a string output of such a name is binary
ROWS_DEPTH = 2  # lists and objects around one row


# ---- predict


def predict_answer(response: bytes, row: bool) -> bytes:
    """The body for the outputs of a serialised PredictResponse.

    Raises ServingError INVALID_ARGUMENT for outputs that the form cannot show.
    """
    outputs = responses.outputs(response)
    if not outputs:
        raise refused("Cannot convert empty tensor map to JSON")
    named = {name: outputs[name] for name in sorted(outputs)} if len(outputs) > 1 else outputs
    return _rows(named) if row else _columns(named)


def _rows(outputs: dict[str, Tensor]) -> bytes:
    count = _common_rows(outputs)
    alone = len(outputs) == 1
    if alone and _is_large(*outputs.values()):
        return _document(b"predictions", _joined_rows(*outputs.values()))
    depth = ROWS_DEPTH if alone else ROWS_DEPTH + 1
    if alone and count and _is_integer(*outputs.values()):
        (tensor,) = outputs.values()
        printed = msgspec.json.encode(tensor.values.tolist()).replace(b",", b", ")
        return _document(b"predictions", printed[:-1] + b"\n    ]")
    columns = {name: _row_texts(name, tensor, depth) for name, tensor in outputs.items()}
    if not count:
        return _document(b"predictions", b"[]")
    if alone:
        (column,) = columns.values()
        return _document(b"predictions", b"[" + b", ".join(column) + b"\n    ]")
    labels = [quoted(name.encode()) + b": " for name in columns]
    before = b"\n" + INDENT * 3
    rows = (
        INDENT * 2
        + b"{"
        + before
        + (b"," + before).join(map(bytes.__add__, labels, row))
        + b"\n"
        + INDENT * 2
        + b"}"
        for row in zip(*columns.values(), strict=True)
    )
    return _document(b"predictions", b"[\n" + b",\n".join(rows) + b"\n    ]")


def _is_large(tensor: Tensor) -> bool:
    """Whether an output is worth being printed as a whole: many float32 numbers."""
    return tensor.dtype == DT_FLOAT and tensor.values.size > floats.ONE_BY_ONE_MAX


def _is_integer(tensor: Tensor) -> bool:
    """Whether an output holds integers that JSON shows as they are."""
    return tensor.values.dtype.kind in "iu" and dtypes.name(tensor.dtype)[0] != "q"


def _joined_rows(tensor: Tensor) -> bytes:
    shape = tensor.values.shape
    inner = len(shape) - 1
    between = [b"]" * ends + b", " + b"[" * ends for ends in range(inner + 1)]
    text = floats.joined(tensor.values.reshape(-1), shape, between)
    return b"[" * len(shape) + text + b"]" * inner + b"\n    ]"


def _joined_spread(tensor: Tensor, depth: int) -> bytes:
    shape = tensor.values.shape
    lines = [b"\n" + INDENT * (depth + level) for level in range(len(shape) + 1)]
    opening = [b"".join(b"[" + line for line in lines[at + 1 :]) for at in range(len(shape) + 1)]
    closing = [b"".join(line + b"]" for line in lines[at:-1][::-1]) for at in range(len(shape) + 1)]
    between = [closing[at] + b"," + lines[at] + opening[at] for at in range(len(shape), 0, -1)]
    text = floats.joined(tensor.values.reshape(-1), shape, between)
    return opening[0] + text + closing[0]


def _common_rows(outputs: dict[str, Tensor]) -> int:
    count: int | None = None
    for name, tensor in outputs.items():
        if not tensor.values.ndim:
            raise refused(f"Tensor name: {name} has no shape information ")
        rows = tensor.values.shape[0]
        if count is not None and rows != count:
            raise refused(
                f"Tensor name: {name} has inconsistent batch size: {rows} expecting: {count}"
            )
        count = rows
    return count or 0


def _row_texts(name: str, tensor: Tensor, depth: int) -> list[bytes]:
    """The text of each row of an output, on a single line but for the objects of binary strings."""
    shape = tensor.values.shape
    texts = _texts(name, tensor, depth + len(shape) - 1)
    for level in range(len(shape) - 1, 0, -1):
        size = shape[level]
        texts = [
            b"[" + b", ".join(texts[at * size : (at + 1) * size]) + b"]"
            for at in range(math.prod(shape[:level]))
        ]
    return texts


def _columns(outputs: dict[str, Tensor]) -> bytes:
    if len(outputs) == 1:
        ((name, tensor),) = outputs.items()
        return _document(b"outputs", _spread(name, tensor, 1))
    members = (
        INDENT * 2 + quoted(name.encode()) + b": " + _spread(name, tensor, 2)
        for name, tensor in outputs.items()
    )
    return _document(b"outputs", b"{\n" + b",\n".join(members) + b"\n    }")


def _spread(name: str, tensor: Tensor, depth: int) -> bytes:
    """An output with every element on a line of its own."""
    if _is_large(tensor):
        return _joined_spread(tensor, depth)
    shape = tensor.values.shape
    texts = _texts(name, tensor, depth + len(shape))
    for level in range(len(shape) - 1, -1, -1):
        size = shape[level]
        line = b"\n" + INDENT * (depth + level)
        inner = line + INDENT
        texts = [
            b"[" + inner + (b"," + inner).join(texts[at * size : (at + 1) * size]) + line + b"]"
            if size
            else b"[]"
            for at in range(math.prod(shape[:level]))
        ]
    return texts[0]


def _texts(name: str, tensor: Tensor, depth: int) -> list[bytes]:
    """The text of each element. depth: of the lists and objects around it."""
    flat = tensor.values.reshape(-1)
    if tensor.dtype == DT_STRING:
        if not name.endswith(BYTES_SUFFIX):
            return [quoted(item) for item in flat.tolist()]
        start, end = b"{\n" + INDENT * (depth + 1) + b'"b64": "', b'"\n' + INDENT * depth + b"}"
        return [start + binascii.b2a_base64(item, newline=False) + end for item in flat.tolist()]
    if tensor.dtype == DT_BOOL:
        return [b"true" if item else b"false" for item in flat.tolist()]
    if tensor.dtype == DT_BFLOAT16:
        return floats.six_digit_texts(flat)
    if flat.dtype.kind == "f":
        return floats.texts(flat)
    if _is_integer(tensor):
        return msgspec.json.encode(flat.tolist())[1:-1].split(b",") if flat.size else []
    raise refused(f"Failed to write JSON value for tensor type: {dtypes.name(tensor.dtype)}")


def _document(key: bytes, value: bytes) -> bytes:
    return b'{\n    "' + key + b'": ' + value + b"\n}"


# ---- classify, regress


def classify_answer(response: bytes, rows: int) -> bytes:
    """The body for `scores` and `classes` of a PredictResponse. Raises ServingError."""
    labels, scores = classes.classified(response, rows)
    score_texts = floats.texts(scores.reshape(-1))
    width = scores.shape[1]
    results = []
    for row in range(rows):
        pairs = zip(labels[row], score_texts[row * width :], strict=False)
        results.append(
            b"[" + b", ".join(b"[%b, %b]" % (quoted(label), score) for label, score in pairs) + b"]"
        )
    return _document(b"results", b"[" + b", ".join(results) + b"\n    ]")


def regress_answer(response: bytes, rows: int) -> bytes:
    """The body for `outputs` of a PredictResponse. Raises ServingError."""
    values = classes.regressed(response, rows)
    return _document(b"results", b"[" + b", ".join(floats.texts(values)) + b"]")


# ---- status, metadata, errors


def status_answer(versions: Sequence[tuple[int, str, Code, str]]) -> bytes:
    """The versions of a model, the newest first, as protobuf prints a GetModelStatusResponse.

    versions: each its number, the name of its ModelVersionStatus.State, and what is wrong with it.
    """
    listed = [
        {
            "version": str(number),
            "state": state,
            "status": {"error_code": code.name, "error_message": message},
        }
        for number, state, code, message in sorted(versions, reverse=True)
    ]
    return _protobuf_json({"model_version_status": listed}) + b"\n"


def metadata_answer(name: str, version: int, signature_def_map: bytes) -> bytes:
    """The signatures of one version: a model_spec, and each SignatureDef with every field."""
    spec = {"name": name, "signature_name": "", "version": str(version)}
    printed = json_format.MessageToDict(
        serving.parse("SignatureDefMap", signature_def_map),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    signatures = printed.get("signature_def", {})
    for signature in signatures.values():
        for part in ("inputs", "outputs", "defaults"):
            signature[part] = dict(sorted(signature[part].items()))
    printed["signature_def"] = dict(sorted(signatures.items()))
    return b"".join(
        (
            b'{\n"model_spec":',
            _protobuf_json(spec),
            b"\n,\n",
            b'"metadata": {"signature_def": ',
            _protobuf_json(printed),
            b"\n}\n}\n",
        )
    )


def _protobuf_json(value: Any) -> bytes:
    """Indented by one blank, as the JSON printer of protobuf's C++ does."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def error_answer(message: str) -> bytes:
    """The body of every error."""
    return b'{ "error": ' + quoted(message.encode("utf-8", "replace")) + b" }"
