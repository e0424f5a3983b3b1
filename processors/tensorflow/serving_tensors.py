"""TensorProtos to and from numpy, one codec for each dtype, see `tensors`; knows no TensorFlow.

Values stand in the field of their dtype or, as they lie in memory, in `tensor_content`. In a field
there may be fewer of them than the shape wants: the last one then stands for all that follow, and
none at all for zeros. There may be more: the first so many count. In `tensor_content` there must be
as many, unless the shape wants none. All as TensorFlow's own Tensor::FromProto has it.
"""

import numpy as np

from . import messages, shapes
from . import serving_wire as wire
from .fields import ByteField, Count, FloatField, StringField, VarintField
from .tensors import SMALL_INTEGERS, NeedsCanonical

FILLED_BYTES_MAX = 1 << 28  # a few bytes of a request must not fill the memory


class TensorCodec(object):
    """One dtype: its checks, its field of the message and its form in `tensor_content`."""

    def __init__(self, number, numpy_dtype, as_content=False):
        """as_content: whether answers hold numbers in `tensor_content`."""
        kind, field = _KINDS[wire.DTYPE_NAMES[number]]
        self.number = number
        self.name = wire.DTYPE_NAMES[number]
        self._field = kind(numpy_dtype, field, wire)
        self.numpy_dtype = self._field.numpy_dtype
        self._is_string = kind is StringField
        as_content = as_content and not self._is_string
        self.field = wire.CONTENT if as_content else field
        self.payload = _memory if as_content else self._field.payload
        self.is_even = as_content or kind in _EVEN
        self.memory_fields = self._memory_fields(kind, field)

    def _memory_fields(self, kind, field):
        """Numbers of the fields in which values lie as they lie in memory, see `layout`."""
        names = [field] if kind in _EVEN else []
        if not self._is_string and self.numpy_dtype != np.bool_:
            names.append(wire.CONTENT)
        return tuple(wire.FIELD_NUMBERS[name] for name in names)

    def writer(self, name):
        """What writes an output of that name."""
        return messages.OutputWriter(name, self.number, self.field, wire)

    def read(self, tensor, name):
        """The ndarray of a view's tensor. Raises ServingError, NeedsCanonical."""
        if tensor.dtype != self.number:
            raise self._wrong_dtype(tensor, name)
        if len(messages.unknown_fields(tensor)):
            raise NeedsCanonical()
        shape = tensor.tensor_shape
        if len(shape) > 1:
            raise NeedsCanonical()
        shape = shape[0] if shape else b""
        known = wire.SHAPES.known.get(shape)
        dims, count = known if known is not None else wire.SHAPES.read(shape, name)
        return self._array(tensor, True, dims, count, name)

    def read_canonical(self, tensor, name):
        """The ndarray of a canonical message's tensor. Raises ServingError."""
        if tensor.dtype != self.number:
            raise self._wrong_dtype(tensor, name)
        dims, count = shapes.check(wire.dims_of(tensor.tensor_shape), name)
        return self._array(tensor, False, dims, count, name)

    def _array(self, tensor, is_view, dims, count, name):
        content = tensor.tensor_content
        read = self._field.from_chunks if is_view else self._field.from_values
        try:
            if content and count:
                return self._from_content(content, dims, count)
            values = self._field.values_of(tensor)
            try:
                return read(values, dims, count)
            except Count as error:
                whole, rest = divmod(error.came, self._field.wire_items)
            if whole >= count or rest:
                if is_view:  # whose blobs can not be cut
                    raise NeedsCanonical()
                values = values[: min(whole, count) * self._field.wire_items]
            if whole >= count:
                return read(values, dims, count)
            return self._filled(read, values, whole, dims, count)
        except ValueError as error:
            raise shapes.invalid(name, "(%s): %s" % (self.name, error)) from error

    def _from_content(self, content, dims, count):
        if self._is_string:
            return self._field.from_values(_strings(content, count), dims, count)
        item = self.numpy_dtype.itemsize
        if len(content) != count * item:
            raise ValueError(
                "tensor_content has %d bytes, the shape %s wants %d"
                % (len(content), list(dims), count * item)
            )
        if self.numpy_dtype == np.bool_:
            return np.ndarray(dims, np.uint8, content) != 0
        return np.ndarray(dims, self.numpy_dtype, content)

    def _filled(self, read, values, whole, dims, count):
        """Fewer values than the shape wants: the last one again and again."""
        if count * self.numpy_dtype.itemsize > FILLED_BYTES_MAX:
            raise ValueError(
                "%d values came, the shape %s wants %d: more than are filled up (%d bytes)"
                % (whole, list(dims), count, FILLED_BYTES_MAX)
            )
        if not whole:
            array = np.zeros(dims, self.numpy_dtype)
            if self._is_string:
                array[...] = b""
            return array
        array = np.empty(count, self.numpy_dtype)
        array[:whole] = read(values, (whole,), whole)
        array[whole:] = array[whole - 1]
        return array.reshape(dims)

    def _wrong_dtype(self, tensor, name):
        came = wire.DTYPE_NAMES.get(tensor.dtype, "dtype number %d" % tensor.dtype)
        return shapes.invalid(name, "came as %s, the model wants %s" % (came, self.name))


def _memory(array):
    return array.tobytes()


def _strings(content, count):
    """TensorFlow's C++ form of many strings: all lengths as varints, then all their bytes."""
    lengths, place = [], 0
    for _ in range(min(count, len(content))):
        length, place = messages.read_varint(content, place, len(content))
        if length is None:
            break
        lengths.append(length)
    if len(lengths) != count or place + sum(lengths) != len(content):
        raise ValueError("tensor_content does not hold %d strings" % count)
    strings = []
    for length in lengths:
        strings.append(content[place : place + length])
        place += length
    return strings


_KINDS = {
    "DT_FLOAT": (FloatField, "float_val"),
    "DT_DOUBLE": (FloatField, "double_val"),
    "DT_COMPLEX64": (FloatField, "scomplex_val"),
    "DT_COMPLEX128": (FloatField, "dcomplex_val"),
    "DT_HALF": (VarintField, "half_val"),
    "DT_BFLOAT16": (VarintField, "half_val"),
    "DT_STRING": (StringField, "string_val"),
    "DT_INT64": (VarintField, "int64_val"),
    "DT_UINT32": (VarintField, "uint32_val"),
    "DT_UINT64": (VarintField, "uint64_val"),
    "DT_BOOL": (VarintField, "bool_val"),
}
for _name in (*SMALL_INTEGERS, *wire.BIT_INTEGERS):
    _KINDS[_name] = (VarintField, "int_val")
for _name in wire.BYTE_FLOATS:
    _KINDS[_name] = (ByteField, "float8_val")
_EVEN = (FloatField, ByteField)  # their values lie in a message as in memory


def codecs(as_numpy_dtype, as_content):
    """Function from a dtype's number to its TensorCodec, None if a request cannot carry it.

    as_numpy_dtype: function from a dtype's number to what TensorFlow calls it in numpy; TypeError
    for those that this TensorFlow has not.
    """
    made = {}
    for name in _KINDS:
        number = wire.DTYPE_NUMBERS[name]
        try:
            made[number] = TensorCodec(number, as_numpy_dtype(number), as_content)
        except TypeError:
            continue
    return made.get
