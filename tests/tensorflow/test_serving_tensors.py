"""TensorProtos: the fast way through the view gives what the canonical message gives."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eas_processor.errors import Code, ServingError
from processors.tensorflow import layout, messages, tensors
from processors.tensorflow import serving_wire as wire
from processors.tensorflow.plan import Plan
from processors.tensorflow.serving_tensors import FILLED_BYTES_MAX, TensorCodec

NUMPY: dict[str, Any] = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_COMPLEX64": np.complex64,
    "DT_COMPLEX128": np.complex128,
    "DT_HALF": np.float16,
    "DT_STRING": object,
    "DT_INT64": np.int64,
    "DT_BOOL": np.bool_,
    "DT_INT32": np.int32,
    "DT_UINT8": np.uint8,
    "DT_INT16": np.int16,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_QINT8": np.dtype([("qint8", np.int8)]),
    "DT_FLOAT8_E5M2": np.uint8,  # whose memory it shares; TensorFlow has a type of its own for it
}
CODECS = {n: TensorCodec(wire.DTYPE_NUMBERS[n], dtype) for n, dtype in NUMPY.items()}
CONTENT = {n: TensorCodec(wire.DTYPE_NUMBERS[n], dtype, True) for n, dtype in NUMPY.items()}
VARINT, FIXED64, FIXED32 = 0, 1, 5

any_int = st.integers(0, 300).map(messages.varint)
float32 = st.floats(width=32, allow_nan=False).map(lambda v: struct.pack("<f", v))
float64 = st.floats(allow_nan=False).map(lambda v: struct.pack("<d", v))
NUMBERS = {
    "float_val": (FIXED32, float32),
    "scomplex_val": (FIXED32, float32),
    "double_val": (FIXED64, float64),
    "dcomplex_val": (FIXED64, float64),
    "int_val": (VARINT, any_int),
    "half_val": (VARINT, any_int),
    "int64_val": (VARINT, st.integers(0, 2**64 - 1).map(messages.varint)),
    "uint32_val": (VARINT, st.integers(0, 2**32 - 1).map(messages.varint)),
    "uint64_val": (VARINT, st.integers(0, 2**64 - 1).map(messages.varint)),
    "bool_val": (VARINT, any_int),
}


def field(number: int, kind: int, value: bytes) -> bytes:
    return messages.tag(number, kind) + value


@st.composite
def values(draw: st.DrawFn, name: str) -> list[bytes]:
    """Values of one field as any sender may cut them: packed, split, unpacked, mixed."""
    number = wire.FIELD_NUMBERS[name]
    if name in ("string_val", "float8_val"):
        strings = draw(st.lists(st.binary(max_size=5), max_size=5))
        return [messages.length_delimited(number, value) for value in strings]
    kind, one = NUMBERS[name]
    parts = []
    chunks = st.lists(st.tuples(st.booleans(), st.lists(one, max_size=5)), max_size=3)
    for packed, some in draw(chunks):
        if packed:
            parts.append(messages.length_delimited(number, b"".join(some)))
        else:
            parts += [field(number, kind, value) for value in some]
    return parts


def shape_of(dims: list[int]) -> bytes:
    sizes = [field(1, VARINT, messages.varint(dim % 2**64)) for dim in dims]
    return b"".join(messages.length_delimited(2, size) for size in sizes)


@st.composite
def tensor_bytes(draw: st.DrawFn, dtype: str) -> bytes:
    number = draw(st.sampled_from([CODECS[dtype].number] * 20 + [0, 3, 77]))
    parts = [field(1, VARINT, messages.varint(number))]
    parts += draw(values(CODECS[dtype].field))
    count = draw(st.integers(0, 6))
    dims = draw(st.sampled_from([None, [], [count], [1, count], [2, 3], [0, 3], [count, -1]]))
    if dims is not None:
        for some in [dims[:1], dims[1:]] if draw(st.booleans()) else [dims]:
            shape = messages.length_delimited(2, shape_of(some))
            parts.insert(draw(st.integers(0, len(parts))), shape)
    if draw(st.integers(0, 3)) == 0:
        content = draw(st.binary(max_size=8) | st.just(b"\1" * 48))
        parts.append(messages.length_delimited(4, content))
    if draw(st.integers(0, 9)) == 0:
        parts.append(field(3, VARINT, b"\x07") + messages.length_delimited(1000, b"newer"))
    return b"".join(parts)


CASES = st.sampled_from(sorted(CODECS)).flatmap(
    lambda name: st.tuples(st.just(name), tensor_bytes(name))
)


def body_of(tensor: bytes, name: bytes = b"x") -> bytes:
    entry = messages.length_delimited(1, name) + messages.length_delimited(2, tensor)
    return messages.length_delimited(2, entry)


def read(codec: TensorCodec, body: bytes) -> np.ndarray:
    """As the processor reads: the view first."""
    try:
        return codec.read(wire.parse(body).inputs["x"], "x")
    except tensors.NeedsCanonical:
        return read_canonical(codec, body)


def read_canonical(codec: TensorCodec, body: bytes) -> np.ndarray:
    return codec.read_canonical(wire.parse(body, wire.PredictRequest).inputs["x"], "x")


def outcome(reader: Callable[..., np.ndarray], codec: TensorCodec, body: bytes) -> object:
    try:
        array = reader(codec, body)
    except ServingError as error:
        assert error.code == Code.INVALID_ARGUMENT
        return "refused"
    return array.dtype, array.shape, array.tolist() if array.dtype == object else array.tobytes()


@settings(max_examples=800, deadline=None)
@given(CASES)
def test_the_view_reads_what_the_canonical_message_reads(case: tuple[str, bytes]) -> None:
    name, tensor = case
    body = body_of(tensor)
    assert outcome(read, CODECS[name], body) == outcome(read_canonical, CODECS[name], body)


@settings(max_examples=600, deadline=None)
@given(CASES, st.data())
def test_damaged_requests_are_read_or_refused_and_nothing_else(
    case: tuple[str, bytes], data: st.DataObject
) -> None:
    name, tensor = case
    damaged = bytearray(tensor + b"\0")
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    outcome(read, CODECS[name], body_of(bytes(damaged)))


@settings(max_examples=300, deadline=None)
@given(CASES, st.booleans())
def test_what_was_read_is_written_as_the_canonical_message_would_be(
    case: tuple[str, bytes], as_content: bool
) -> None:
    name, tensor = case
    try:
        array = read(CODECS[name], body_of(tensor))
    except ServingError:
        return
    codec = (CONTENT if as_content else CODECS)[name]
    body = messages.join([codec.writer("y").write(array.shape, codec.payload(array))])
    answer = wire.PredictResponse.FromString(body)
    assert answer.SerializeToString() == body
    again = read(CODECS[name], body_of(answer.outputs["y"].SerializeToString()))
    assert (again.dtype, again.shape, again.tolist()) == (array.dtype, array.shape, array.tolist())


def written(array: np.ndarray, as_content: bool) -> bytes:
    """A request of one input, as an answer would carry it."""
    codec = (CONTENT if as_content else CODECS)["DT_FLOAT"]
    entry = codec.writer("x").write(array.shape, codec.payload(array))
    return b"\x12" + entry[1:]  # inputs are field 2, outputs field 1


@pytest.mark.parametrize("as_content", [False, True])
def test_requests_that_differ_in_their_numbers_alone_are_read_without_parsing(
    as_content: bool,
) -> None:
    plan = Plan([("x", CODECS["DT_FLOAT"])], None, [])
    first = written(np.zeros((2, 3), np.float32), as_content)
    found = layout.learn(first, plan, plan.decode(wire.parse(first)), wire)
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    (array,) = found.arrays(written(numbers, as_content))
    assert array.dtype == np.float32 and array.tolist() == numbers.tolist()
    assert found.arrays(written(numbers.reshape(3, 2), as_content)) is None
    assert found.arrays(written(numbers, not as_content)) is None


def test_a_tensor_that_is_filled_up_has_no_layout() -> None:
    plan = Plan([("x", CODECS["DT_FLOAT"])], None, [])
    one = messages.length_delimited(5, np.float32(7).tobytes())
    tensor = field(1, VARINT, b"\1") + messages.length_delimited(2, shape_of([2])) + one
    arrays = plan.decode(wire.parse(body_of(tensor)))
    assert arrays[0].tolist() == [7, 7]
    assert layout.learn(body_of(tensor), plan, arrays, wire) is None


def test_a_few_bytes_do_not_fill_the_memory() -> None:
    shape = messages.length_delimited(2, shape_of([FILLED_BYTES_MAX // 4 + 1]))
    with pytest.raises(ServingError, match="filled up"):
        read(CODECS["DT_FLOAT"], body_of(field(1, VARINT, b"\1") + shape))
