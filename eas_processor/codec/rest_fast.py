"""The fast way to read numeric bodies: simdjson, straight into one buffer for each input.

    read(body, signatures)   what the body asks for, or None: read it the general way

The form of a body is what its beginning promises, which is then proven, or that of an earlier
body with the same skeleton, where nothing is left to prove (`rest_forms`). Whatever is not plainly
in order goes the general way, which also has all the error messages.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import simdjson

from eas_processor.codec import dtypes, rest_forms
from eas_processor.codec.rest_forms import REMEMBERED_BYTES_MAX, Form, NotPlain
from eas_processor.codec.rest_values import INTEGERS, REALS, to_reals
from eas_processor.codec.signatures import Signature, Signatures
from eas_processor.codec.tensors import Tensor

BODY_BYTES_MIN = 256  # a shorter one is not worth a second try when the first one fails
KEPT_BYTES_MAX = 16 << 20  # a parser that has read a larger body is not kept, nor is its memory

# What simdjson raises for anything that it does not like, and numpy for a wrong size.
_REASONS = (
    NotPlain,
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
    if len(body) < BODY_BYTES_MIN:
        return None
    parser = getattr(_local, "parser", None) or simdjson.Parser()
    _local.parser = None
    try:
        form, arrays = _read(parser, body, known)
    except _REASONS:
        return None
    if len(body) <= KEPT_BYTES_MAX:
        _local.parser = parser
    return form.others, arrays, form.key == "instances", form.signature


def _read(parser: Any, body: bytes, known: Signatures) -> tuple[Form, dict[str, Tensor]]:
    root = parser.parse(body)
    skeleton = rest_forms.skeleton(body) if len(body) <= REMEMBERED_BYTES_MAX else b""
    form = rest_forms.remembered(skeleton, known)
    if form is not None and all(root[name] == value for name, value in form.others.items()):
        return form, _tensors(form, form.values(root[form.key]))
    form = rest_forms.first_form(root, known)
    values = form.values(root[form.key])
    arrays = _tensors(form, values)
    form.prove(body, values, skeleton)
    if skeleton:
        rest_forms.remember(skeleton, known, form)
    return form, arrays


def _tensors(form: Form, values: dict[str, list[Any]]) -> dict[str, Tensor]:
    return {
        name: _tensor(values[name], form.shape(name), spec.dtype)
        for name, spec in form.signature.inputs.items()
    }


def _tensor(values: list[Any], shape: tuple[int, ...], dtype: int) -> Tensor:
    code = "d" if dtype in REALS else "u" if dtype == dtypes.DT_UINT64 else "i"
    if dtype not in REALS and dtype not in INTEGERS:
        raise NotPlain
    if isinstance(values[0], simdjson.Array):
        buffers = [value.as_buffer(of_type=code) for value in values]
        flat = np.frombuffer(buffers[0] if len(buffers) == 1 else b"".join(buffers), _CODES[code])
    else:
        flat = _scalars(values, code)
    if flat.size != math.prod(shape):
        raise NotPlain
    if dtype in REALS:
        return Tensor(dtype, to_reals(flat, dtype).reshape(shape))
    low, high = INTEGERS[dtype]
    if np.minimum.reduce(flat) < low or np.maximum.reduce(flat) > high:
        raise NotPlain
    return Tensor(dtype, flat.astype(dtypes.KINDS[dtype].numpy).reshape(shape))


def _scalars(values: list[Any], code: str) -> np.ndarray[Any, Any]:
    wanted = {int, float} if code == "d" else {int}
    if not set(map(type, values)) <= wanted:
        raise NotPlain
    return np.array(values, _CODES[code])
