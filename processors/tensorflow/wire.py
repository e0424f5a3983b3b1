"""The request and response messages, made from `predict.desc` when this module is imported.

Generated code does not cross protobuf versions, a descriptor set does. Two sets of classes come
from the one file: the canonical messages, and a *view* of them for speed. A packed repeated number
is, on the wire, a length-delimited blob, so a view that declares those fields as `repeated bytes`
parses the same request and hands out whole blobs, not one Python object for each number.

The answer is written by hand: all that stands before an array's values depends on its name, dtype,
shape and size alone, so it is remembered.
"""

import os

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

try:
    from google.protobuf.unknown_fields import UnknownFieldSet as unknown_fields
except ImportError:  # protobuf 3

    def unknown_fields(message):
        """The fields of `message` that its descriptor does not know."""
        return message.UnknownFields()


from eas_processor.errors import Code, ServingError

DESCRIPTORS = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
    "proto",
    "predict.desc",
)
MESSAGE_BYTES_MAX = (1 << 31) - 1  # protobuf's own limit for one message
HEADERS_MAX = 256  # remembered for each output

NUMBER_FIELDS = ("float_val", "double_val", "int_val", "int64_val", "bool_val")
LENGTH_DELIMITED = 2


def _read_file():
    with open(DESCRIPTORS, "rb") as file:
        return descriptor_pb2.FileDescriptorSet.FromString(file.read()).file[0]


def _view_of(file):
    """`file` with the packed numbers and the shape of an array as the bytes that they are."""
    view = descriptor_pb2.FileDescriptorProto()
    view.CopyFrom(file)
    array = next(message for message in view.message_type if message.name == "ArrayProto")
    for field in array.field:
        if field.name in NUMBER_FIELDS or field.name == "array_shape":
            field.type = field.TYPE_BYTES
            field.label = field.LABEL_REPEATED
            field.ClearField("type_name")
            field.ClearField("options")
    return view


def _classes(file, names):
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    descriptors = [pool.FindMessageTypeByName(name) for name in names]
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return [message_factory.GetMessageClass(descriptor) for descriptor in descriptors]
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(descriptor) for descriptor in descriptors]


_FILE = _read_file()
PredictRequest, PredictResponse, ArrayProto, ArrayShape = _classes(
    _FILE, ["PredictRequest", "PredictResponse", "ArrayProto", "ArrayShape"]
)
(PredictRequestView,) = _classes(_view_of(_FILE), ["PredictRequest"])
FIELD_NUMBERS = {field.name: field.number for field in ArrayProto.DESCRIPTOR.fields}
DTYPE_NUMBERS = {value.name: value.number for value in _FILE.enum_type[0].value}  # "DT_FLOAT" → 1
DTYPE_NAMES = {number: name for name, number in DTYPE_NUMBERS.items()}


def parse(request, message_class=PredictRequestView):
    """The request's message. Raises ServingError if the bytes are none."""
    try:
        return message_class.FromString(request)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            "the request body (%d bytes) is not a PredictRequest message: %s"
            % (len(request), str(error).split("\n")[0] or "cannot be parsed"),
        ) from error


def varint(number):
    """A non-negative number as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def length_delimited(field, value):
    """A field of bytes, text, or a message, with its tag and length."""
    return varint(field << 3 | LENGTH_DELIMITED) + varint(len(value)) + value


def unwrapped(field):
    """The value of a length-delimited field whose tag is one byte; nothing for an absent one."""
    place = 1
    while place < len(field) and field[place] & 0x80:
        place += 1
    return field[place + 1 :]


class OutputWriter(object):
    """Writes one output of an answer: an entry of the map `outputs`."""

    def __init__(self, name, dtype_number, field):
        """field: the name of the field that takes the values."""
        self._key = length_delimited(1, name.encode("utf-8"))
        self._dtype = varint(FIELD_NUMBERS["dtype"] << 3) + varint(dtype_number)
        self._tag = varint(FIELD_NUMBERS[field] << 3 | LENGTH_DELIMITED)
        self._tagged = field == "string_val"  # each string has its own tag
        self._headers = {}

    def write(self, shape, payload):
        """payload: the packed values, or the strings each with its tag and length."""
        size = len(payload)
        header = self._headers.get((shape, size))
        if header is None:
            header = self._header(shape, size)
            if len(self._headers) < HEADERS_MAX:
                self._headers[(shape, size)] = header
        return header + payload

    def _header(self, shape, size):
        array = self._dtype
        dims = b"".join(varint(dim) for dim in shape)
        if dims:
            shape_bytes = length_delimited(1, dims)
            array += length_delimited(FIELD_NUMBERS["array_shape"], shape_bytes)
        else:
            array += length_delimited(FIELD_NUMBERS["array_shape"], b"")
        if size and not self._tagged:
            array += self._tag + varint(size)
        entry = self._key + varint(2 << 3 | LENGTH_DELIMITED) + varint(len(array) + size) + array
        return varint(1 << 3 | LENGTH_DELIMITED) + varint(len(entry) + size) + entry


def join(entries):
    """The whole answer. Raises ServingError when protobuf could not carry it."""
    answer = entries[0] if len(entries) == 1 else b"".join(entries)
    if len(answer) > MESSAGE_BYTES_MAX:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            "the answer has %d bytes, protobuf carries at most %d: ask for fewer outputs with"
            " output_filter, or send a smaller batch" % (len(answer), MESSAGE_BYTES_MAX),
        )
    return answer
