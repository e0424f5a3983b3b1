"""Results as TensorFlow Serving's REST API prints them.

    predict_answer(response, row)            {"predictions": …} or {"outputs": …}
    classify_answer(response, rows), regress_answer(response, rows)      {"results": …}

The layout is RapidJSON's pretty printer with an indent of four. The peer turns single-line lists
on before the first row and off after each, which is why a list of rows closes on a line of its own.
Several outputs stand in the order of their names (the peer's order is that of a hash table).
"""

from __future__ import annotations

import binascii
import functools
import math

import msgspec

from eas_processor.codec import classes, dtypes, floats, responses
from eas_processor.codec.dtypes import DT_BFLOAT16, DT_BOOL, DT_FLOAT, DT_STRING
from eas_processor.codec.json_text import INDENT, all_quoted, quoted, refused
from eas_processor.codec.tensors import Tensor

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
    if len(outputs) > 1:
        outputs = {name: outputs[name] for name in sorted(outputs)}
    elif _is_small(*outputs.values()):
        (tensor,) = outputs.values()
        texts = floats.few(tensor.values.reshape(-1).tolist())
        return (_layout(tensor.values.shape, row) % tuple(texts)).encode()
    return _rows(outputs) if row else _columns(outputs)


@functools.lru_cache(maxsize=256)
def _layout(shape: tuple[int, ...], row: bool) -> str:
    """The whole body for one output of this shape, with `%s` for each number."""
    places = [b"%s"] * math.prod(shape)
    if row:
        listed = _listed(_nested(places, shape))
        return _document(b"predictions", listed).decode()
    return _document(b"outputs", _spread_out(places, shape, 1)).decode()


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
        return _document(b"predictions", _listed(*columns.values()))
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


def _is_small(tensor: Tensor) -> bool:
    """Whether an output is a few float32 numbers, in one dimension or more."""
    values = tensor.values
    return (
        tensor.dtype == DT_FLOAT and 0 < values.size <= floats.ONE_BY_ONE_MAX and bool(values.ndim)
    )


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
    return _nested(_texts(name, tensor, depth + len(shape) - 1), shape)


def _nested(texts: list[bytes], shape: tuple[int, ...]) -> list[bytes]:
    """The text of each row of elements."""
    for level in range(len(shape) - 1, 0, -1):
        size = shape[level]
        texts = [
            b"[" + b", ".join(texts[at * size : (at + 1) * size]) + b"]"
            for at in range(math.prod(shape[:level]))
        ]
    return texts


def _listed(rows: list[bytes]) -> bytes:
    return b"[" + b", ".join(rows) + b"\n    ]"


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
    return _spread_out(_texts(name, tensor, depth + len(shape)), shape, depth)


def _spread_out(texts: list[bytes], shape: tuple[int, ...], depth: int) -> bytes:
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
            return all_quoted(flat.tolist())
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
