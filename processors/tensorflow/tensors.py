"""Arrays of a message to and from numpy, one codec for each dtype; knows no TensorFlow.

`read` takes the view (fast, whole blobs); it raises `NeedsCanonical` for the few requests that
only the canonical message can tell, and `read_canonical` reads those. Every mistake in an array
becomes a ServingError that names the input, what came and what is wanted.
"""

from operator import attrgetter

import numpy as np

from . import shapes, varints, wire

FEW_BYTES = 1500
FEW_NUMBERS = 512
WIRE_INTEGERS = {"int_val": np.int32, "int64_val": np.int64, "bool_val": np.bool_}


class NeedsCanonical(Exception):
    """The view cannot tell what this array holds: parse the request as the canonical message."""


class Codec(object):
    """One dtype. A subclass says how values lie in their field of the message."""

    def __init__(self, number, numpy_dtype, field):
        """numpy_dtype: what TensorFlow wants to be fed, and gives."""
        self.number = number
        self.name = wire.DTYPE_NAMES[number]
        self.numpy_dtype = np.dtype(numpy_dtype)
        self.field = field
        self.values_of = attrgetter(field)

    def read(self, array, name):
        """The ndarray of a view's array. Raises ServingError, NeedsCanonical."""
        if array.dtype != self.number:
            raise _wrong_dtype(self, array, name)
        if len(wire.unknown_fields(array)):
            raise NeedsCanonical()
        shape = array.array_shape
        if len(shape) == 1:
            shape = shape[0]
        elif not shape:
            shape = b""
        else:
            raise NeedsCanonical()
        known = shapes.known.get(shape)
        dims, count = known if known is not None else shapes.read(shape, name)
        try:
            return self.from_chunks(self.values_of(array), dims, count)
        except ValueError as error:
            raise _bad_values(self, array, name, dims, error) from error

    def read_canonical(self, array, name):
        """The ndarray of a canonical message's array. Raises ServingError."""
        if array.dtype != self.number:
            raise _wrong_dtype(self, array, name)
        dims, count = shapes.check(tuple(array.array_shape.dim), name)
        try:
            return self.from_values(list(self.values_of(array)), dims, count)
        except ValueError as error:
            raise _bad_values(self, array, name, dims, error) from error

    def from_chunks(self, chunks, dims, count):
        """The ndarray of the blobs of a view's field. Raises ValueError."""
        raise NotImplementedError

    def from_values(self, values, dims, count):
        """The ndarray of a canonical message's numbers or strings. Raises ValueError."""
        raise NotImplementedError

    def payload(self, array):
        """The values as an answer carries them, see `wire.OutputWriter.write`."""
        raise NotImplementedError


class FloatCodec(Codec):
    """Numbers whose memory is their wire form: float, double, complex (a pair of them)."""

    def __init__(self, number, numpy_dtype, field):
        super(FloatCodec, self).__init__(number, numpy_dtype, field)
        self._item = self.numpy_dtype.itemsize
        self._wire = np.dtype("<f4" if field == "float_val" else "<f8")

    def from_chunks(self, chunks, dims, count):
        """A view into the message's own bytes: nothing is copied."""
        packed = chunks[0] if len(chunks) == 1 else _joined(chunks, self._wire.itemsize)
        if len(packed) != count * self._item:
            whole, rest = divmod(len(packed), self._wire.itemsize)
            if rest:
                raise ValueError("%s has %d bytes too many" % (self.field, rest))
            raise _Count(whole, count * self._item // self._wire.itemsize)
        return np.ndarray(dims, self.numpy_dtype, packed)

    def from_values(self, values, dims, count):
        """One number after another."""
        return self.from_chunks([np.array(values, self._wire).tobytes()], dims, count)

    def payload(self, array):
        """The array's own memory."""
        return array.tobytes()


class NarrowFloatCodec(FloatCodec):
    """Half and bfloat16, which travel as floats."""

    def __init__(self, number, numpy_dtype, field):
        super(NarrowFloatCodec, self).__init__(number, np.float32, field)
        self._narrow = np.dtype(numpy_dtype)

    def from_chunks(self, chunks, dims, count):
        """Rounded to the narrow type; what is too large for it becomes infinite, as in a cast."""
        floats = super(NarrowFloatCodec, self).from_chunks(chunks, dims, count)
        with np.errstate(all="ignore"):
            return floats.astype(self._narrow)

    def payload(self, array):
        """As floats."""
        return array.astype(np.float32).tobytes()


class VarintCodec(Codec):
    """Integers and bools, which travel as varints. A quantized type is a struct of one integer."""

    def __init__(self, number, numpy_dtype, field):
        super(VarintCodec, self).__init__(number, numpy_dtype, field)
        fields = self.numpy_dtype.fields
        self._plain = self.numpy_dtype if fields is None else next(iter(fields.values()))[0]
        self._wire = np.dtype(WIRE_INTEGERS[field])
        self._tag = wire.varint(wire.FIELD_NUMBERS[field] << 3 | wire.LENGTH_DELIMITED)

    def from_chunks(self, chunks, dims, count):
        """All numbers at once; a few are read faster by protobuf."""
        for chunk in chunks if len(chunks) > 1 else ():
            if chunk and ord(chunk[-1:]) >= 0x80:
                raise ValueError("%s is broken: it ends inside a number" % self.field)
        packed = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        try:
            if len(packed) <= FEW_BYTES:
                field = self._tag + wire.varint(len(packed)) + packed
                values = self.values_of(wire.ArrayProto.FromString(field))
                return self.from_values(values, dims, count)
            numbers = varints.decode(packed)
        except wire.DecodeError as error:
            raise ValueError("%s is broken: a number does not end" % self.field) from error
        except varints.BrokenVarint as error:
            raise ValueError("%s is broken: %s" % (self.field, error)) from error
        if len(numbers) != count:
            raise _Count(len(numbers), count)
        if self._wire == np.bool_:
            return self._shaped(numbers != 0, dims)
        # A protobuf int32 is what the lowest 32 bits say.
        unsigned = np.uint32 if self._wire == np.int32 else np.uint64
        return self._shaped(numbers.astype(unsigned, copy=False).view(self._wire), dims)

    def from_values(self, values, dims, count):
        """One number after another."""
        if len(values) != count:
            raise _Count(len(values), count)
        return self._shaped(np.array(list(values), self._wire), dims)

    def _shaped(self, numbers, dims):
        if self._plain != self._wire:
            numbers = self._in_range(numbers)
        if self._plain != self.numpy_dtype:
            numbers = numbers.view(self.numpy_dtype)
        return numbers.reshape(dims)

    def _in_range(self, numbers):
        if not len(numbers):
            return numbers.astype(self._plain)
        bounds = np.iinfo(self._plain)
        low, high = int(numbers.min()), int(numbers.max())
        if low < bounds.min or high > bounds.max:
            raise ValueError(
                "%d is out of range of %s (%d to %d)"
                % (high if high > bounds.max else low, self.name, bounds.min, bounds.max)
            )
        return numbers.astype(self._plain)

    def payload(self, array):
        """All numbers at once; a few are written faster by protobuf."""
        if self.field == "bool_val":
            return array.tobytes()
        plain = np.ascontiguousarray(array).reshape(-1)
        if plain.dtype != self._plain:
            plain = plain.view(self._plain)
        if len(plain) > FEW_NUMBERS:
            return varints.encode(plain)
        written = wire.ArrayProto(**{self.field: plain.tolist()}).SerializeToString()
        return wire.unwrapped(written)


class StringCodec(Codec):
    """Byte strings, kept to the last NUL: numpy's own string type would drop trailing ones."""

    def __init__(self, number, numpy_dtype, field):
        super(StringCodec, self).__init__(number, object, field)
        self._tag = wire.varint(wire.FIELD_NUMBERS[field] << 3 | wire.LENGTH_DELIMITED)

    def from_chunks(self, chunks, dims, count):
        """Each chunk is a string."""
        return self.from_values(list(chunks), dims, count)

    def from_values(self, values, dims, count):
        """As objects."""
        if len(values) != count:
            raise _Count(len(values), count)
        array = np.empty(count, object)
        array[:] = values
        return array.reshape(dims)

    def payload(self, array):
        """Each string with its tag and length."""
        parts = []
        for value in array.reshape(-1).tolist():
            parts += (self._tag, wire.varint(len(value)), value)
        return b"".join(parts)


_KINDS = {
    "DT_FLOAT": (FloatCodec, "float_val"),
    "DT_DOUBLE": (FloatCodec, "double_val"),
    "DT_COMPLEX64": (FloatCodec, "float_val"),
    "DT_COMPLEX128": (FloatCodec, "double_val"),
    "DT_HALF": (NarrowFloatCodec, "float_val"),
    "DT_BFLOAT16": (NarrowFloatCodec, "float_val"),
    "DT_STRING": (StringCodec, "string_val"),
    "DT_INT64": (VarintCodec, "int64_val"),
    "DT_BOOL": (VarintCodec, "bool_val"),
}
for _name in [
    "INT32",
    "UINT8",
    "INT16",
    "INT8",
    "UINT16",
    "QINT8",
    "QUINT8",
    "QINT32",
    "QINT16",
    "QUINT16",
]:
    _KINDS["DT_" + _name] = (VarintCodec, "int_val")


def carried(number):
    """Whether an ArrayProto can carry the dtype of that number."""
    return wire.DTYPE_NAMES.get(number) in _KINDS


def codec(number, numpy_dtype):
    """The codec of a dtype that is `carried`."""
    kind, field = _KINDS[wire.DTYPE_NAMES[number]]
    return kind(number, numpy_dtype, field)


class _Count(ValueError):
    def __init__(self, came, wanted):
        super(_Count, self).__init__(came, wanted)
        self.came = came
        self.wanted = wanted


def _joined(chunks, item_bytes):
    if any(len(chunk) % item_bytes for chunk in chunks):
        raise ValueError("a chunk of the values ends inside a number")
    return b"".join(chunks)


def _wrong_dtype(codec, array, name):
    came = wire.DTYPE_NAMES.get(array.dtype, "dtype number %d" % array.dtype)
    if came == "DT_INVALID":
        came = "no dtype (DT_INVALID)"
    return shapes.invalid(name, "came as %s, the model wants %s" % (came, codec.name))


def _bad_values(codec, array, name, dims, error):
    if not isinstance(error, _Count):
        return shapes.invalid(name, "(%s): %s" % (codec.name, error))
    text = "has %d values in %s, its shape %s of %s wants %d" % (
        error.came,
        codec.field,
        list(dims),
        codec.name,
        error.wanted,
    )
    if not error.came:
        others = [field for field in _value_fields(array) if field != codec.field]
        if others:
            text += "; values came in %s" % ", ".join(others)
        elif isinstance(codec, NarrowFloatCodec):
            text += " (the Python SDK sends none for this dtype: put them into float_val)"
    return shapes.invalid(name, text)


def _value_fields(array):
    return [field for field in (*wire.NUMBER_FIELDS, "string_val") if len(getattr(array, field))]
