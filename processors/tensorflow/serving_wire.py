"""TensorFlow Serving's messages as far as a processor looks at them, see `wire`.

The numbers are those of TensorFlow's tensor.proto and TensorFlow Serving's predict.proto. What is
not declared here (a tensor of resources, a model's version) is skipped as an unknown field.
"""

from operator import attrgetter

from google.protobuf import descriptor_pb2

from . import messages, shapes, wire

TENSOR = [
    ("dtype", 1, "int32"),  # an enum, which takes unknown numbers on every protobuf as an integer
    ("tensor_shape", 2, ".TensorShapeProto"),
    ("version_number", 3, "int32"),
    ("tensor_content", 4, "bytes"),
    ("float_val", 5, "float*"),
    ("double_val", 6, "double*"),
    ("int_val", 7, "int32*"),
    ("string_val", 8, "bytes*"),
    ("scomplex_val", 9, "float*"),
    ("int64_val", 10, "int64*"),
    ("bool_val", 11, "bool*"),
    ("dcomplex_val", 12, "double*"),
    ("half_val", 13, "int32*"),
    ("uint32_val", 16, "uint32*"),
    ("uint64_val", 17, "uint64*"),
    ("float8_val", 18, "bytes"),
]
MESSAGES = [
    ("Dim", [("size", 1, "int64")]),
    ("TensorShapeProto", [("dim", 2, ".Dim*"), ("unknown_rank", 3, "bool")]),
    ("TensorProto", TENSOR),
    ("ModelSpec", [("signature_name", 3, "string")]),
    (
        "PredictRequest",
        [
            ("model_spec", 1, ".ModelSpec"),
            ("inputs", 2, "{.TensorProto}"),
            ("output_filter", 3, "string*"),
        ],
    ),
    ("PredictResponse", [("outputs", 1, "{.TensorProto}")]),
    ("SignatureDef", [("defaults", 4, "{.TensorProto}")]),
]
NUMBER_FIELDS = tuple(
    name for name, _, kind in TENSOR if kind.endswith("*") and name != "string_val"
)
CONTENT = "tensor_content"


def _file():
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", syntax="proto3")
    for name, fields in MESSAGES:
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            if kind.startswith("{"):
                _add_map(message, field, number, kind[1:-1])
            else:
                _add(message, field, number, kind)
    return file


def _add(message, name, number, kind):
    """kind: a scalar's name or `.Message`, with a `*` if it is repeated."""
    field = message.field.add(name=name, number=number, label=1)
    if kind.endswith("*"):
        field.label = field.LABEL_REPEATED
        kind = kind[:-1]
    if kind.startswith("."):
        field.type, field.type_name = field.TYPE_MESSAGE, kind
    else:
        field.type = field.Type.Value("TYPE_" + kind.upper())


def _add_map(message, name, number, kind):
    """A map from names to messages is a repeated entry of two fields."""
    entry = message.nested_type.add(name=name.capitalize() + "Entry")
    entry.options.map_entry = True
    _add(entry, "key", 1, "string")
    _add(entry, "value", 2, kind)
    _add(message, name, number, ".%s.%s*" % (message.name, entry.name))


_FILE = _file()
PredictRequest, PredictResponse, ArrayProto, TensorShape, SignatureDef = messages.classes(
    _FILE, ["PredictRequest", "PredictResponse", "TensorProto", "TensorShapeProto", "SignatureDef"]
)
(PredictRequestView,) = messages.classes(
    messages.view_of(_FILE, "TensorProto", (*NUMBER_FIELDS, "tensor_shape")), ["PredictRequest"]
)
FIELD_NUMBERS = {name: number for name, number, _ in TENSOR}
INPUTS_NUMBER = PredictRequest.DESCRIPTOR.fields_by_name["inputs"].number
BLOCK_NUMBERS = frozenset(FIELD_NUMBERS[name] for name in (*NUMBER_FIELDS, CONTENT, "float8_val"))
BYTE_FLOATS = {  # a byte each, even where it has four bits
    "DT_FLOAT8_E5M2": 24,
    "DT_FLOAT8_E4M3FN": 25,
    "DT_FLOAT8_E4M3FNUZ": 26,
    "DT_FLOAT8_E4M3B11FNUZ": 27,
    "DT_FLOAT8_E5M2FNUZ": 28,
    "DT_FLOAT4_E2M1FN": 33,
}
BIT_INTEGERS = {"DT_INT4": 29, "DT_UINT4": 30, "DT_INT2": 31, "DT_UINT2": 32}
DTYPE_NUMBERS = dict(wire.DTYPE_NUMBERS, DT_UINT32=22, DT_UINT64=23)
DTYPE_NUMBERS.update(BYTE_FLOATS)
DTYPE_NUMBERS.update(BIT_INTEGERS)
DTYPE_NAMES = {number: name for name, number in DTYPE_NUMBERS.items()}

signature_name_of = attrgetter("model_spec.signature_name")


def parse(request, message_class=PredictRequestView):
    """The request's message. Raises ServingError if the bytes are none."""
    return messages.parse(request, message_class)


def dims_of(shape):
    """The dims of a canonical shape; None if it has none that are known."""
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)


def written_shape(dims):
    """A tensor's shape as it stands in an answer, with its tag."""
    sizes = [
        messages.tag(1, messages.VARINT) + messages.varint(dim) if dim else b"" for dim in dims
    ]
    shape = b"".join(messages.length_delimited(2, size) for size in sizes)
    return messages.length_delimited(FIELD_NUMBERS["tensor_shape"], shape)


SHAPES = shapes.Shapes(lambda serialised: dims_of(parse(serialised, TensorShape)))
