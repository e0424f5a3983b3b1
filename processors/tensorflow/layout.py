"""Requests that differ from an earlier one in nothing but their numbers, read without parsing.

A client that sends one kind of request again and again changes only the float values in it: names,
dtypes, shapes, lengths and their order on the wire stay. Where all other bytes are equal to those
of a request that was parsed and found good, its blocks of values lie where they lay then.
"""

import numpy as np

from . import wire
from .tensors import FloatCodec

FIXED_BYTES_MAX = 4096  # of names and shapes; more is not worth comparing
VARINT, LENGTH_DELIMITED = 0, 2


class Layout(object):
    """Where the values lie in requests like one that was seen, and what is done with them."""

    __slots__ = ("_arrays", "_between", "_head", "_tail", "plan")

    def __init__(self, request, plan, places):
        """places: [(start, stop, dims, numpy dtype)], one for each input of the plan."""
        blocks = sorted((start, stop) for start, stop, _, _ in places)
        self.plan = plan
        self._arrays = places
        self._head = request[: blocks[0][0]]
        self._tail = request[blocks[-1][1] :]
        self._between = [
            (stop, start, request[stop:start]) for (_, stop), (start, _) in zip(blocks, blocks[1:])
        ]

    def arrays(self, request):
        """The arrays of a request as long as that one; None if it is of another kind."""
        if not (request.startswith(self._head) and request.endswith(self._tail)):
            return None
        for start, stop, fixed in self._between:
            if request[start:stop] != fixed:
                return None
        return [
            np.ndarray(dims, dtype, request[start:stop])
            for start, stop, dims, dtype in self._arrays
        ]


def learn(request, plan, arrays):
    """The Layout of a request that was decoded into these arrays, None if it has none."""
    codecs = [codec for _, codec in plan.inputs]
    if not codecs or any(type(codec) is not FloatCodec for codec in codecs):
        return None
    blocks = _blocks(request)
    if blocks is None:
        return None
    places = []
    for (name, codec), array in zip(plan.inputs, arrays):
        field, start, stop = blocks.get(name.encode("utf-8"), (0, 0, 0))
        if field != wire.FIELD_NUMBERS[codec.field] or stop - start != array.nbytes:
            return None
        places.append((start, stop, array.shape, array.dtype))
    if len(request) - sum(array.nbytes for array in arrays) > FIXED_BYTES_MAX:
        return None
    return Layout(request, plan, places)


def _blocks(request):
    """name → (field number, start, stop) of the one block of packed numbers of each input.

    None for what is legal but unusual: repeated entries, several blocks, fields in other forms.
    """
    found = {}
    for field, start, stop in _fields(request, 0, len(request)) or ():
        if field != wire.PredictRequest.DESCRIPTOR.fields_by_name["inputs"].number:
            continue
        entry = {number: place for number, *place in _fields(request, start, stop) or ()}
        if set(entry) != {1, 2}:
            return None
        name = request[slice(*entry[1])]
        fields = list(_fields(request, *entry[2]) or ())
        numbers = [number for number, _, _ in fields]
        values = [place for place in fields if place[0] in _NUMBER_FIELDS]
        if len(values) != 1 or len(set(numbers)) != len(numbers) or name in found:
            return None
        found[name] = values[0]
    return found


def _fields(data, start, stop):
    """[(field number, start, stop)] of a message's bytes; None if they are of an unusual form."""
    fields = []
    while start < stop:
        tag, start = _varint(data, start, stop)
        if tag is None or tag >> 3 == 0:
            return None
        end = start
        length, end = _varint(data, end, stop)
        if length is None or tag & 7 not in (VARINT, LENGTH_DELIMITED):
            return None
        if tag & 7 == LENGTH_DELIMITED:
            start, end = end, end + length
        if end > stop:
            return None
        fields.append((tag >> 3, start, end))
        start = end
    return fields


def _varint(data, start, stop):
    """(number, where it ends), (None, start) if there is none."""
    number = shift = 0
    place = start
    while place < stop and shift < 64:
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
    return None, start


_NUMBER_FIELDS = frozenset(wire.FIELD_NUMBERS[name] for name in wire.NUMBER_FIELDS)
