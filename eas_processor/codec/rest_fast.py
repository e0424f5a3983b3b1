"""The fast way to read large numeric bodies: simdjson, straight into one buffer for each input.

    read(body, signatures)   what the body asks for, or None: read it the general way

simdjson flattens a list of any nesting, so whether the nesting is regular must be seen elsewhere.
Few lists are asked for their lengths, one by one; there must be no bracket beside theirs. Where
there are many, the body without its numbers and blanks is a skeleton of brackets and commas, and
it must be the one that the shape of the first row gives. Whatever is not plainly in order goes the
general way, which also has all the error messages.
"""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import numpy as np
import simdjson

from eas_processor.codec import dtypes
from eas_processor.codec.rest_values import INTEGERS, REALS, to_reals
from eas_processor.codec.serving import DEFAULT_SIGNATURE
from eas_processor.codec.signatures import Signature, Signatures
from eas_processor.codec.tensors import Tensor

BODY_BYTES_MIN = 256  # a shorter one is not worth a second try when the first one fails
KEPT_BYTES_MAX = 16 << 20  # a parser that has read a larger body is not kept, nor is its memory
ROWS_MAX = 4096  # of objects: each takes a call for each input
WALKED_LIST_BYTES = 100  # of a body for each list: in a denser one the skeleton is seen sooner
SIZE_MAX = 0xFFFFFF  # simdjson counts the items of a list no further

_BLANK = b"0123456789.-+eE \t\r\n"
_KNOWN = {"signature_name", "output_filter", "instances", "inputs"}


def _label(name: str) -> bytes:
    """What is left of a member's name."""
    return b'"%b":' % name.encode().translate(None, _BLANK)


_LABELS = {key: _label(key) for key in ("instances", "inputs")}


class _NotFast(Exception):
    """The body is not of the plain kind."""


# What simdjson raises for anything that it does not like, and numpy for a wrong size.
_REASONS = (
    _NotFast,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
_CODES = {"d": "=f8", "i": "=i8", "u": "=u8"}
_local = threading.local()

Found = tuple[dict[str, Any], dict[str, Tensor], bool, Signature]


def read(body: bytes, known: Signatures) -> Found | None:
    """(the small members of the document, the inputs, whether they are rows, the signature)."""
    if len(body) < BODY_BYTES_MIN or b"\\" in body:
        return None
    parser = getattr(_local, "parser", None) or simdjson.Parser()
    _local.parser = None
    try:
        found = _read(parser, body, known)
    except _REASONS:
        return None
    if len(body) <= KEPT_BYTES_MAX:
        _local.parser = parser
    return found


def _read(parser: Any, body: bytes, known: Signatures) -> Found:
    root = parser.parse(body)
    keys = list(root.keys())
    if not set(keys) <= _KNOWN or len(set(keys)) != len(keys):
        raise _NotFast
    row = "instances" in keys
    if row == ("inputs" in keys):
        raise _NotFast
    key = "instances" if row else "inputs"
    document = {name: _small(root[name]) for name in keys if name != key}
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise _NotFast
    signature = known[name or DEFAULT_SIGNATURE]
    form = _rows(root[key], signature) if row else _columns(root[key], signature)
    arrays = {
        name: _tensor(values, form.shape(name), signature.inputs[name].dtype)
        for name, values in form.values.items()
    }
    lists = form.lists()
    if lists > len(body):  # the beginning promises more than there is, and a skeleton holds it all
        raise _NotFast
    if lists * WALKED_LIST_BYTES < len(body) or not form.tells_names_apart():
        others = sum(isinstance(value, list) for value in document.values())
        regular = _brackets(body) == lists + others and form.has_right_lengths()
    else:
        regular = _has_skeleton(body, _LABELS[key], form.skeleton())
    if not regular:
        raise _NotFast
    return document, arrays, row, signature


def _small(value: Any) -> Any:
    return value.as_list() if isinstance(value, simdjson.Array) else value


class _Form(NamedTuple):
    """What `instances` or `inputs` is made of, if all is as the beginning promises.

    values: of each input, by its name. shapes: of one of its values. rows: how many objects there
    are in a list; None: there is no list of objects. named: whether there are objects at all.
    """

    values: dict[str, list[Any]]
    shapes: dict[str, tuple[int, ...]]
    rows: int | None = None
    named: bool = True

    def shape(self, name: str) -> tuple[int, ...]:
        """Of an input as a whole."""
        return self.shapes[name] if self.rows is None else (self.rows, *self.shapes[name])

    def lists(self) -> int:
        """How many lists there are."""
        of_each = sum(_lists(shape) for shape in self.shapes.values())
        return of_each if self.rows is None else 1 + self.rows * of_each

    def tells_names_apart(self) -> bool:
        """Whether a skeleton does, where it matters: of x1 and x2 only x is left in it."""
        if self.rows is None:
            return True
        left = {(_label(name), shape) for name, shape in self.shapes.items()}
        return len({label for label, _ in left}) == len(left)

    def has_right_lengths(self) -> bool:
        """Whether each list has its length. Raises TypeError for what is none."""
        for name, shape in self.shapes.items():
            if shape and not all(_has_lengths(value, shape) for value in self.values[name]):
                return False
        return True

    def skeleton(self) -> bytes:
        """The text without its numbers and blanks."""
        if not self.named:
            return _skeleton(*self.shapes.values())
        members = (_label(name) + _skeleton(shape) for name, shape in self.shapes.items())
        item = b"{" + b",".join(members) + b"}"
        return item if self.rows is None else _repeated(item, self.rows)


def _rows(value: Any, signature: Signature) -> _Form:
    first = value[0]
    if not isinstance(first, simdjson.Object):
        return _plain(value, signature)
    names = list(first.keys())
    if len(value) > ROWS_MAX or set(names) != set(signature.inputs):
        raise _NotFast
    values: dict[str, list[Any]] = {name: [] for name in names}
    for item in value:
        if len(item) != len(values):
            raise _NotFast
        for name in names:
            values[name].append(item[name])
    return _Form(values, {name: _shape(first[name]) for name in names}, len(value))


def _columns(value: Any, signature: Signature) -> _Form:
    if isinstance(value, simdjson.Array):
        return _plain(value, signature)
    names = list(value.keys())
    if set(names) != set(signature.inputs) or len(names) != len(signature.inputs):
        raise _NotFast
    return _Form(
        {name: [value[name]] for name in names}, {name: _shape(value[name]) for name in names}
    )


def _plain(value: Any, signature: Signature) -> _Form:
    if len(signature.inputs) != 1:
        raise _NotFast
    (name,) = signature.inputs
    return _Form({name: [value]}, {name: _shape(value)}, named=False)


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, simdjson.Array):
        size = len(value)
        if not 0 < size < SIZE_MAX:
            raise _NotFast
        shape.append(size)
        value = value[0]
    if type(value) not in (int, float):
        raise _NotFast
    return tuple(shape)


# ---- whether the nesting is regular


def _lists(shape: tuple[int, ...]) -> int:
    """How many lists a value of this shape is made of."""
    count, total = 1, 0
    for size in shape:
        total += count
        count *= size
    return total


def _brackets(body: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord("[")))


def _has_lengths(value: Any, shape: tuple[int, ...]) -> bool:
    if len(value) != shape[0]:
        return False
    inner = shape[1:]
    if inner:
        for item in value:
            if not _has_lengths(item, inner):
                return False
    return True


def _has_skeleton(body: bytes, label: bytes, expected: bytes) -> bool:
    """The label stands once, so what follows it is the value."""
    skeleton = body.translate(None, _BLANK)
    start = skeleton.find(label) + len(label)
    return skeleton.count(label) == 1 and skeleton.startswith(expected, start)


def _repeated(item: bytes, times: int) -> bytes:
    return b"[" + (item + b",") * (times - 1) + item + b"]"


def _skeleton(shape: tuple[int, ...]) -> bytes:
    skeleton = b""
    for size in reversed(shape):
        skeleton = _repeated(skeleton, size)
    return skeleton


# ---- numbers


def _tensor(values: list[Any], shape: tuple[int, ...], dtype: int) -> Tensor:
    code = "d" if dtype in REALS else "u" if dtype == dtypes.DT_UINT64 else "i"
    if dtype not in REALS and dtype not in INTEGERS:
        raise _NotFast
    if isinstance(values[0], simdjson.Array):
        buffers = [value.as_buffer(of_type=code) for value in values]
        flat = np.frombuffer(buffers[0] if len(buffers) == 1 else b"".join(buffers), _CODES[code])
    else:
        flat = _scalars(values, code)
    if flat.size != math.prod(shape):
        raise _NotFast
    if dtype in REALS:
        return Tensor(dtype, to_reals(flat, dtype).reshape(shape))
    low, high = INTEGERS[dtype]
    if np.minimum.reduce(flat) < low or np.maximum.reduce(flat) > high:
        raise _NotFast
    return Tensor(dtype, flat.astype(dtypes.KINDS[dtype].numpy).reshape(shape))


def _scalars(values: list[Any], code: str) -> np.ndarray[Any, Any]:
    wanted = {int, float} if code == "d" else {int}
    if not set(map(type, values)) <= wanted:
        raise _NotFast
    return np.array(values, _CODES[code])
