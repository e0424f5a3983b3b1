"""The form of a plain REST body: all that it is made of but its numbers.

    first_form(root, signatures)   the form that the beginning of a parsed body promises
    skeleton(body)                 the body without numbers and blanks
    remembered(text, signatures)   the form of an earlier body that had this skeleton

simdjson flattens a list of any nesting, so whether the nesting is regular must be seen elsewhere.
Few lists are asked for their lengths, one by one; there must be no bracket beside theirs. Where
there are many, the skeleton, of brackets, commas and names, must be the one that the form gives.
Either proves the form of every body with the same skeleton, as long as it has as many numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import simdjson

from eas_processor.codec.serving import DEFAULT_SIGNATURE
from eas_processor.codec.signatures import Signature, Signatures

ROWS_MAX = 4096  # of objects: each takes a call for each input
WALKED_LIST_BYTES = 100  # of a body for each list: in a denser one the skeleton is seen sooner
SIZE_MAX = 0xFFFFFF  # simdjson counts the items of a list no further
REMEMBERED_BYTES_MAX = 64 * 1024  # of a body: in a longer one it is the numbers that take the time
REMEMBERED_MAX = 64

_ESCAPE = b"\\"  # in a string that may be anything: what is left of it tells nothing
_BLANK = b"0123456789.-+eE \t\r\n"
_MEMBERS = {"signature_name", "output_filter", "instances", "inputs"}


class NotPlain(Exception):
    """The body is read the general way, which also has all the error messages."""


def in_python(body: bytes) -> bytes:
    """What is left without numbers and blanks; of names and strings, too, less is left."""
    return body.translate(None, _BLANK)


try:  # where it could be compiled, in a quarter of the time
    from eas_processor.codec._skeleton import skeleton as skeleton
except ImportError:
    skeleton = in_python


def _label(name: str) -> bytes:
    """What is left of a member's name."""
    return b'"%b":' % skeleton(name.encode())


class Form(NamedTuple):
    """What a body is made of if all of it is as its beginning promises.

    key: `instances` or `inputs`. others: the members beside it. shapes: of one value of each input.
    rows: how many objects there are in a list; None: there is no list of objects. named: whether
    there are objects at all.
    """

    key: str
    others: dict[str, Any]
    signature: Signature
    shapes: dict[str, tuple[int, ...]]
    rows: int | None = None
    named: bool = True

    def shape(self, name: str) -> tuple[int, ...]:
        """Of an input as a whole."""
        return self.shapes[name] if self.rows is None else (self.rows, *self.shapes[name])

    def values(self, value: Any) -> dict[str, list[Any]]:
        """The values of each input, in what stands at the key. Raises LookupError or NotPlain."""
        if not self.named:
            return {name: [value] for name in self.shapes}
        names = list(self.shapes)
        items = [value] if self.rows is None else value
        values: dict[str, list[Any]] = {name: [] for name in names}
        for item in items:
            if len(item) != len(names):
                raise NotPlain
            for name in names:
                values[name].append(item[name])
        return values

    def prove(self, body: bytes, values: Mapping[str, list[Any]], text: bytes) -> None:
        """See that all of the body is of this form. Raises NotPlain.

        text: the body's skeleton, empty if nobody has asked for it yet.
        """
        lists = self._lists()
        if lists > len(body):  # the beginning promises more than there is
            raise NotPlain
        if lists * WALKED_LIST_BYTES < len(body) or not self.tells_apart():
            others = sum(isinstance(value, list) for value in self.others.values())
            regular = _brackets(body) == lists + others and self._has_right_lengths(values)
        else:
            text = text or skeleton(body)
            regular = self._has_skeleton(text)
        if not regular or _ESCAPE in (text or body):
            raise NotPlain

    def _lists(self) -> int:
        """How many lists there are."""
        of_each = sum(_lists(shape) for shape in self.shapes.values())
        return of_each if self.rows is None else 1 + self.rows * of_each

    def tells_apart(self) -> bool:
        """Whether a skeleton tells which input is which, or it does not matter.

        Of x1 and x2 only x is left in it, which matters where their shapes differ.
        """
        left = {(_label(name), shape) for name, shape in self.shapes.items()}
        return len({label for label, _ in left}) == len(left)

    def _has_right_lengths(self, values: Mapping[str, list[Any]]) -> bool:
        """Whether each list has its length. Raises TypeError for what is none."""
        for name, shape in self.shapes.items():
            if shape and not all(_has_lengths(value, shape) for value in values[name]):
                return False
        return True

    def _has_skeleton(self, text: bytes) -> bool:
        """The label stands first where it is the member's.

        Before it there could be one in an output_filter alone, which may hold no object.
        """
        label = _label(self.key)
        return text.startswith(self._value_skeleton(), text.find(label) + len(label))

    def _value_skeleton(self) -> bytes:
        if not self.named:
            return _nested(*self.shapes.values())
        members = (_label(name) + _nested(shape) for name, shape in self.shapes.items())
        item = b"{" + b",".join(members) + b"}"
        return item if self.rows is None else _repeated(item, self.rows)


# ---- the form of a body


def first_form(root: Any, known: Signatures) -> Form:
    """The form that a parsed body's beginning promises. Raises NotPlain, LookupError and such."""
    keys = list(root.keys())
    if not set(keys) <= _MEMBERS or len(set(keys)) != len(keys):
        raise NotPlain
    if ("instances" in keys) == ("inputs" in keys):
        raise NotPlain
    key = "instances" if "instances" in keys else "inputs"
    others = {name: _other(root[name]) for name in keys if name != key}
    name = others.get("signature_name", "")
    if type(name) is not str:
        raise NotPlain
    signature = known[name or DEFAULT_SIGNATURE]
    value = root[key]
    first, rows = value, None
    if key == "instances":
        first = value[0]
        if isinstance(first, simdjson.Object):
            rows = len(value)
            if rows > ROWS_MAX:
                raise NotPlain
    if isinstance(first, simdjson.Object):
        names = list(first.keys())
        if set(names) != set(signature.inputs) or len(names) != len(signature.inputs):
            raise NotPlain
        shapes = {name: _shape(first[name]) for name in names}
        return Form(key, others, signature, shapes, rows)
    if len(signature.inputs) != 1:
        raise NotPlain
    (name,) = signature.inputs
    return Form(key, others, signature, {name: _shape(value)}, named=False)


def _other(value: Any) -> Any:
    if isinstance(value, simdjson.Object):
        raise NotPlain
    return value.as_list() if isinstance(value, simdjson.Array) else value


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, simdjson.Array):
        size = len(value)
        if not 0 < size < SIZE_MAX:
            raise NotPlain
        shape.append(size)
        value = value[0]
    if type(value) not in (int, float):
        raise NotPlain
    return tuple(shape)


# ---- forms that were proven


_forms: dict[tuple[int, bytes], tuple[Signatures, Form]] = {}


def remembered(text: bytes, known: Signatures) -> Form | None:
    """The form of an earlier body for the same signatures that had this skeleton.

    Members of the right names in the right places are still to be asked for; whoever finds them,
    and the right count of numbers, has the same form in hand: names and strings take nothing but
    their own place in a skeleton, and a place for a number that is left empty is missed.
    """
    found = _forms.get((id(known), text))
    return found[1] if found else None


def remember(text: bytes, known: Signatures, form: Form) -> None:
    """Know a form that was proven by its skeleton from now on."""
    if form.tells_apart():
        if len(_forms) >= REMEMBERED_MAX:
            _forms.pop(next(iter(_forms)), None)
        _forms[id(known), text] = known, form  # which keeps the signatures, and with them the id


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


def _repeated(item: bytes, times: int) -> bytes:
    return b"[" + (item + b",") * (times - 1) + item + b"]"


def _nested(shape: tuple[int, ...]) -> bytes:
    text = b""
    for size in reversed(shape):
        text = _repeated(text, size)
    return text
