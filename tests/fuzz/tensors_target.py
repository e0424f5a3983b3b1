"""A request's bytes, read three ways: the view, the canonical message, and by a known layout.

The canonical message is right by definition; the view must give the same arrays or refuse as it
does. A layout learnt from one request may pass over another, but what it reads must be the same.
The first byte chooses the dialect and how integers are decoded, the next three how a second request
differs from the first.
"""

from unittest import mock

import numpy as np

from eas_processor.errors import ServingError
from processors.tensorflow import fields, layout, serving_tensors, serving_wire, tensors, wire
from processors.tensorflow.plan import Plan
from tests.fuzz.target import Target

NUMPY = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_INT32": np.int32,
    "DT_UINT8": np.uint8,
    "DT_INT16": np.int16,
    "DT_INT8": np.int8,
    "DT_STRING": object,
    "DT_COMPLEX64": np.complex64,
    "DT_INT64": np.int64,
    "DT_BOOL": np.bool_,
    "DT_QINT8": np.dtype([("qint8", np.int8)]),
    "DT_QUINT8": np.dtype([("quint8", np.uint8)]),
    "DT_QINT32": np.dtype([("qint32", np.int32)]),
    "DT_BFLOAT16": np.float16,  # numpy has none of its own; as wide as this one
    "DT_QINT16": np.dtype([("qint16", np.int16)]),
    "DT_QUINT16": np.dtype([("quint16", np.uint16)]),
    "DT_UINT16": np.uint16,
    "DT_COMPLEX128": np.complex128,
    "DT_HALF": np.float16,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_FLOAT8_E5M2": np.uint8,  # as wide
}
MANY, SERVING = 1, 2


def _numpy_of(wire_module):
    def numpy_of(number):
        name = wire_module.DTYPE_NAMES[number]
        if name not in NUMPY:
            raise TypeError(f"{name}: only TensorFlow knows it")
        return NUMPY[name]

    return numpy_of


class Reader:
    """One dialect's way from bytes to arrays."""

    def __init__(self, wire_module, codec_of) -> None:
        self.wire = wire_module
        self._codec_of = codec_of

    def codec(self, array):
        """Of what the array says that it is; of floats if that is nothing."""
        return self._codec_of(array.dtype) or self._codec_of(1)

    def plan(self, message) -> Plan:
        """That of a model which wants just what came."""
        names = sorted(message.inputs)
        return Plan([(name, self.codec(message.inputs[name])) for name in names], None, [])

    def canonical(self, body: bytes):
        """What the request says, by the canonical message. Raises ServingError."""
        message = self.wire.parse(body, self.wire.PredictRequest)
        return self.said(message, self.plan(message).decode_canonical(message))

    def viewed(self, body: bytes):
        """The same as a processor reads it."""
        message = self.wire.parse(body)
        plan = self.plan(message)
        try:
            arrays = plan.decode(message)
        except tensors.NeedsCanonical:
            arrays = plan.decode_canonical(self.wire.parse(body, self.wire.PredictRequest))
        return self.said(message, arrays)

    def said(self, message, arrays):
        """All that a processor looks at."""
        values = dict(zip(sorted(message.inputs), map(_plain, arrays), strict=True))
        return self.wire.signature_name_of(message), tuple(message.output_filter), values

    def what_is_read(self, body: bytes) -> bytes:
        """The request without what nobody reads: doubled entries, values in others' fields."""
        message = self.wire.parse(body)
        message.DiscardUnknownFields()
        for name in message.inputs:
            array = message.inputs[name]
            unread = {*self.wire.NUMBER_FIELDS, "string_val"}
            if not getattr(array, "tensor_content", b""):
                unread.discard(self.codec(array).field)
            for field in unread:
                array.ClearField(field)
        return message.SerializeToString()


EAS = Reader(wire, tensors.codecs(_numpy_of(wire)))
TFSERVING = Reader(serving_wire, serving_tensors.codecs(_numpy_of(serving_wire), False))


def _plain(array):
    """dtype, shape and values to be compared; one NaN is as good as another."""
    if array.dtype.kind in "fc":
        parts = np.stack([array.real, array.imag])
        values = np.where(np.isnan(parts), np.nan, parts).tobytes()
    else:
        values = array.tolist() if array.dtype == object else array.tobytes()
    return array.dtype.str, array.shape, values


def outcome(reader, body: bytes):
    try:
        return reader(body)
    except ServingError:
        return "refused"


def check(data: bytes) -> None:
    """One request, and one that is nearly the same."""
    if len(data) < 4:
        return
    how, place, value, body = data[0], data[1] | data[2] << 8 & 0xF00, data[3], data[4:]
    reader = TFSERVING if how & SERVING else EAS
    few = -1 if how & MANY else fields.FEW_BYTES
    with (
        mock.patch.object(fields, "FEW_BYTES", few),
        mock.patch.object(serving_tensors, "FILLED_BYTES_MAX", 1 << 16),
    ):
        right, read = outcome(reader.canonical, body), outcome(reader.viewed, body)
        if right != "refused" and body:
            _check_layout(reader, body, place % len(body), value)
        elif read != "refused":
            right = outcome(reader.canonical, reader.what_is_read(body))
        assert read == right


def _check_layout(reader: Reader, body: bytes, place: int, value: int) -> None:
    message = reader.wire.parse(body, reader.wire.PredictRequest)
    plan = reader.plan(message)
    learnt = layout.learn(body, plan, plan.decode_canonical(message), reader.wire)
    if learnt is None:
        return
    for other in (body, body[:place] + bytes([value]) + body[place + 1 :]):
        arrays = learnt.arrays(other)
        if arrays is not None:
            assert reader.said(message, arrays) == outcome(reader.canonical, other)


REQUEST = (
    b"\n\x0epredict_images\x12$\n\x06images\x12\x1a\x08\x01\x12\x04\n\x02\x01\x04\x1a\x10\x00\x00"
    b"\x80?\x00\x00\x00?\x00\x00\x00@\x00\x00@@\x12\x1a\n\x01n\x12\x15\x08\t\x12\x03\n\x01\x02:\x0c"
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xac\x02\x12\x13\n\x01s\x12\x0e\x08\x07\x12\x03\n\x01"
    b"\x012\x05hello\x1a\x06scores"
)


def _request(dtype: str, dims: list[int], **values) -> bytes:
    request = wire.PredictRequest(signature_name="s", output_filter=["y"])
    array = wire.ArrayProto(dtype=wire.DTYPE_NUMBERS[dtype], **values)
    array.array_shape.dim.extend(dims)
    request.inputs["x"].CopyFrom(array)
    return request.SerializeToString()


BODIES = (
    REQUEST,
    _request("DT_FLOAT", [2, 2], float_val=[1, 2, 3, 4]),
    _request("DT_COMPLEX64", [2], float_val=[1, 2, 3, 4]),
    _request("DT_DOUBLE", [], double_val=[1]),
    _request("DT_INT32", [3], int_val=[1, -1, 300]),
    _request("DT_QINT8", [3], int_val=[1, -1, 100]),
    _request("DT_INT64", [2], int64_val=[1 << 62, -1]),
    _request("DT_BOOL", [1, 2], bool_val=[True, False]),
    _request("DT_STRING", [2], string_val=[b"a\0", b""]),
    _request("DT_HALF", [0, 3]),
)


def _serving(dtype: str, dims: list[int], **values) -> bytes:
    request = serving_wire.PredictRequest(output_filter=["y"])
    request.model_spec.signature_name = "s"
    tensor = request.inputs["x"]
    tensor.MergeFrom(serving_wire.ArrayProto(dtype=serving_wire.DTYPE_NUMBERS[dtype], **values))
    for dim in dims:
        tensor.tensor_shape.dim.add(size=dim)
    return request.SerializeToString()


SERVING_BODIES = (
    _serving("DT_FLOAT", [2, 2], float_val=[1, 2, 3, 4]),
    _serving("DT_FLOAT", [2], tensor_content=b"\x00\x00\x80?" * 2),
    _serving("DT_FLOAT", [3, 5], float_val=[1, 2]),
    _serving("DT_COMPLEX64", [2], scomplex_val=[1, 2, 3, 4]),
    _serving("DT_HALF", [2], half_val=[15360, 0]),
    _serving("DT_INT8", [3], int_val=[1, -1, 100]),
    _serving("DT_UINT64", [2], uint64_val=[1 << 63, 1]),
    _serving("DT_BOOL", [2, 1], tensor_content=b"\x01\x00"),
    _serving("DT_FLOAT8_E5M2", [3], float8_val=b"\x3c\x40"),
    _serving("DT_STRING", [2], string_val=[b"a\0", b""]),
    _serving("DT_STRING", [2], tensor_content=b"\x01\x02abc"),
)
WORDS = (
    *(b"\x1a\x04\x00\x00\x80?", b"\x1d\x00\x00\x80?", b"\x12\x00", b"\x08\x01"),
    *(b"\x12\x02\x08\x03", b"\x0b", b"\x22\x04abcd", b"\x0a\x03\x1a\x01s", b"\x18\x01"),
    *(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80\x80\x00", b"(\x01", b"*\x01\x01"),
    *(b"2\x01a", b"@\x01", b"\xc2>\x03new", b"\n\x01\xff", b"\x0a\x02\x80\x80", b"\x13", b"\x14"),
)  # fmt: skip
TARGET = Target(
    "tensors",
    check,
    [
        bytes([how | dialect, place, 0, 7]) + body
        for dialect, bodies in ((0, BODIES), (SERVING, SERVING_BODIES))
        for body in bodies
        for how in (0, MANY)
        for place in (12, 30)
    ],
    WORDS,
)
