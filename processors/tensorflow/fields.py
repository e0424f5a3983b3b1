"""How the values of one dtype lie in their field of a message, and in numpy; knows no dialect.

A field is read from the blobs of a view (fast) or from the numbers of a canonical message. The
mistakes it finds are ValueErrors without the input's name: whoever reads the array adds that.
"""

from operator import attrgetter

import numpy as np

from . import messages, varints

FEW_BYTES = 1500
FEW_NUMBERS = 512
WIRE_INTEGERS = {
    "int_val": np.int32,
    "int64_val": np.int64,
    "bool_val": np.bool_,
    "half_val": np.int32,
    "uint32_val": np.uint32,
    "uint64_val": np.uint64,
}
FLOATS = ("float_val", "scomplex_val")


class Count(ValueError):
    """The number of values is not what the shape wants; both counted as on the wire."""

    def __init__(self, came, wanted):
        super(Count, self).__init__(came, wanted)
        self.came = came
        self.wanted = wanted


class Field(object):
    """One dtype's field. A subclass says how values lie in it."""

    wire_items = 1  # numbers on the wire for each value

    def __init__(self, numpy_dtype, name, wire):
        """numpy_dtype: what TensorFlow wants to be fed, and gives; wire: the dialect's module."""
        self.numpy_dtype = np.dtype(numpy_dtype)
        self.name = name
        self.values_of = attrgetter(name)
        self._tag = messages.tag(wire.FIELD_NUMBERS[name])

    def from_chunks(self, chunks, dims, count):
        """The ndarray of the blobs of a view's field. Raises ValueError."""
        raise NotImplementedError

    def from_values(self, values, dims, count):
        """The ndarray of a canonical message's numbers or strings. Raises ValueError."""
        raise NotImplementedError

    def payload(self, array):
        """The values as an answer carries them, see `messages.OutputWriter.write`."""
        raise NotImplementedError


class FloatField(Field):
    """Numbers whose memory is their wire form: float, double, complex (a pair of them)."""

    def __init__(self, numpy_dtype, name, wire):
        super(FloatField, self).__init__(numpy_dtype, name, wire)
        self._item = self.numpy_dtype.itemsize
        self._wire = np.dtype("<f4" if name in FLOATS else "<f8")
        self.wire_items = self._item // self._wire.itemsize

    def from_chunks(self, chunks, dims, count):
        """A view into the message's own bytes: nothing is copied."""
        packed = chunks[0] if len(chunks) == 1 else _joined(chunks, self._wire.itemsize)
        if len(packed) != count * self._item:
            whole, rest = divmod(len(packed), self._wire.itemsize)
            if rest:
                raise ValueError("%s has %d bytes too many" % (self.name, rest))
            raise Count(whole, count * self.wire_items)
        return np.ndarray(dims, self.numpy_dtype, packed)

    def from_values(self, values, dims, count):
        """One number after another."""
        return self.from_chunks([np.array(values, self._wire).tobytes()], dims, count)

    def payload(self, array):
        """The array's own memory."""
        return array.tobytes()


class NarrowFloatField(FloatField):
    """Half and bfloat16 where they travel as floats."""

    def __init__(self, numpy_dtype, name, wire):
        super(NarrowFloatField, self).__init__(np.float32, name, wire)
        self._narrow = np.dtype(numpy_dtype)

    def from_chunks(self, chunks, dims, count):
        """Rounded to the narrow type; what is too large for it becomes infinite, as in a cast."""
        floats = super(NarrowFloatField, self).from_chunks(chunks, dims, count)
        with np.errstate(all="ignore"):
            return floats.astype(self._narrow)

    def payload(self, array):
        """As floats."""
        return array.astype(np.float32).tobytes()


class ByteField(Field):
    """Floats of eight bits or fewer: the memory of all, a byte each, is one value of bytes."""

    def from_chunks(self, chunks, dims, count):
        """A view into the message's own bytes: nothing is copied."""
        return self.from_values(chunks, dims, count)

    def from_values(self, values, dims, count):
        """values: bytes."""
        if len(values) != count:
            raise Count(len(values), count)
        return np.ndarray(dims, self.numpy_dtype, values)

    def payload(self, array):
        """The array's own memory."""
        return array.tobytes()


class VarintField(Field):
    """Integers and bools, which travel as varints, and floats that travel as their bits.

    A quantized type is a struct of one integer. Of integers of less than eight bits numpy knows
    little more than how to cast them.
    """

    def __init__(self, numpy_dtype, name, wire):
        super(VarintField, self).__init__(numpy_dtype, name, wire)
        fields = self.numpy_dtype.fields
        self._plain = self.numpy_dtype if fields is None else next(iter(fields.values()))[0]
        if name == "half_val":
            self._plain = np.dtype(np.uint16)
        self._printed = self._plain if self._plain.kind in "biu" else np.dtype(np.int8)
        self._wire = np.dtype(WIRE_INTEGERS[name])
        self._message = wire.ArrayProto

    def from_chunks(self, chunks, dims, count):
        """All numbers at once; a few are read faster by protobuf."""
        for chunk in chunks if len(chunks) > 1 else ():
            if chunk and ord(chunk[-1:]) >= 0x80:
                raise ValueError("%s is broken: it ends inside a number" % self.name)
        packed = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        try:
            if len(packed) <= FEW_BYTES:
                field = self._tag + messages.varint(len(packed)) + packed
                values = self.values_of(self._message.FromString(field))
                return self.from_values(values, dims, count)
            numbers = varints.decode(packed)
        except messages.DecodeError as error:
            raise ValueError("%s is broken: a number does not end" % self.name) from error
        except varints.BrokenVarint as error:
            raise ValueError("%s is broken: %s" % (self.name, error)) from error
        if len(numbers) != count:
            raise Count(len(numbers), count)
        if self._wire == np.bool_:
            return self._shaped(numbers != 0, dims)
        # A protobuf int32 is what the lowest 32 bits say.
        unsigned = np.uint32 if self._wire.itemsize == 4 else np.uint64
        return self._shaped(numbers.astype(unsigned, copy=False).view(self._wire), dims)

    def from_values(self, values, dims, count):
        """One number after another."""
        if len(values) != count:
            raise Count(len(values), count)
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
        least, most = _bounds(self._plain)
        low, high = int(numbers.min()), int(numbers.max())
        if low < least or high > most:
            raise ValueError(
                "%d is out of range (%d to %d)" % (high if high > most else low, least, most)
            )
        return numbers.astype(self._plain)

    def payload(self, array):
        """All numbers at once; a few are written faster by protobuf."""
        if self.name == "bool_val":
            return array.tobytes()
        plain = np.ascontiguousarray(array).reshape(-1)
        if plain.dtype != self._plain:
            plain = plain.view(self._plain)
        plain = plain.astype(self._printed, copy=False)
        if len(plain) > FEW_NUMBERS:
            return varints.encode(plain)
        written = self._message(**{self.name: plain.tolist()}).SerializeToString()
        return messages.unwrapped(written, len(self._tag))


class StringField(Field):
    """Byte strings, kept to the last NUL: numpy's own string type would drop trailing ones."""

    def __init__(self, numpy_dtype, name, wire):
        super(StringField, self).__init__(object, name, wire)

    def from_chunks(self, chunks, dims, count):
        """Each chunk is a string."""
        return self.from_values(list(chunks), dims, count)

    def from_values(self, values, dims, count):
        """As objects."""
        if len(values) != count:
            raise Count(len(values), count)
        array = np.empty(count, object)
        array[:] = values
        return array.reshape(dims)

    def payload(self, array):
        """Each string with its tag and length."""
        parts = []
        for value in array.reshape(-1).tolist():
            parts += (self._tag, messages.varint(len(value)), value)
        return b"".join(parts)


def _bounds(integer):
    if integer.kind in "iu":
        found = np.iinfo(integer)
    else:
        import ml_dtypes  # which defines it, and comes with the TensorFlow that has it

        found = ml_dtypes.iinfo(integer)
    return int(found.min), int(found.max)


def _joined(chunks, item_bytes):
    if any(len(chunk) % item_bytes for chunk in chunks):
        raise ValueError("a chunk of the values ends inside a number")
    return b"".join(chunks)
