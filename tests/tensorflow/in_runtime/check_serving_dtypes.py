"""Every dtype of a TensorProto, in every form that it can come in, read as TensorFlow reads it."""

import numpy as np
from in_runtime import models
from in_runtime.check_dtypes import VALUES, as_fed
from in_runtime.requests import refused
from in_runtime.serving_requests import CONTENT, TYPED, protos, request
from in_runtime.skipping import Skip
from tensorflow.core.framework import tensor_pb2

from eas_processor.errors import Code
from processors.tensorflow import serving_wire
from processors.tensorflow.api import tf, tf1

FIELDS = {
    "DT_FLOAT": "float_val",
    "DT_DOUBLE": "double_val",
    "DT_COMPLEX64": "scomplex_val",
    "DT_COMPLEX128": "dcomplex_val",
    "DT_HALF": "half_val",
    "DT_BFLOAT16": "half_val",
    "DT_STRING": "string_val",
    "DT_INT64": "int64_val",
    "DT_BOOL": "bool_val",
    "DT_UINT32": "uint32_val",
    "DT_UINT64": "uint64_val",
}
ALL = dict(VALUES, DT_UINT32=[0, 1, 2**32 - 1, 7, 8, 9], DT_UINT64=[0, 1, 2**64 - 1, 7, 8, 9])
SMALL = {
    "DT_INT4": [0, 1, -1, 7, -8, 3],
    "DT_UINT4": [0, 1, 15, 7, 8, 3],
    "DT_INT2": [0, 1, -1, -2, 0, 1],
    "DT_UINT2": [0, 1, 3, 2, 0, 1],
}
SMALL.update((name, [0.0, -1.5, 4.0, 6.0, 0.5, -1.0]) for name in serving_wire.BYTE_FLOATS)


def dtype_of(name):
    return tf.as_dtype(serving_wire.DTYPE_NUMBERS[name])


def is_known(name):
    """Whether this TensorFlow has such a dtype."""
    try:
        return bool(dtype_of(name))
    except TypeError:
        return False


SMALL = {name: values for name, values in SMALL.items() if is_known(name)}
ALL.update(SMALL)


def value_of(name):
    """A [3, 1] or [2, 3] array as TensorFlow has it."""
    if name.startswith("DT_UINT") and name[7:] in ("32", "64"):
        array = np.array(ALL[name], dtype_of(name).as_numpy_dtype)
    elif name in SMALL:
        array = np.array(ALL[name]).astype(dtype_of(name).as_numpy_dtype)
    else:
        array = as_fed(name, ALL[name])
    return array.reshape((3, 1) if array.size == 3 else (2, 3))


def plain(array):
    """The array's bits, comparable; strings as a list, and what leaves some bits of a byte open."""
    if array.dtype.name.endswith(("int2", "int4")):
        array = array.astype(np.int8)
    return array.reshape(-1).tolist() if array.dtype == object else array.tobytes()


def typed(name, array):
    """A TensorProto with the values in the field of the dtype, by TensorFlow's own rules."""
    proto = tensor_pb2.TensorProto(dtype=serving_wire.DTYPE_NUMBERS[name])
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    flat = np.ascontiguousarray(array).reshape(-1)
    if name in serving_wire.BYTE_FLOATS:
        proto.float8_val = flat.tobytes()
        return proto
    if name in SMALL:
        flat = flat.astype(np.int8)
    if FIELDS.get(name) == "half_val":
        flat = flat.view(np.uint16)
    elif name.startswith("DT_COMPLEX"):
        flat = flat.view(flat.real.dtype)
    elif flat.dtype.fields:
        flat = flat.view(flat.dtype[0])
    getattr(proto, FIELDS.get(name, "int_val")).extend(flat.tolist())
    return proto


def in_content(name, array):
    """The same with the memory in tensor_content."""
    proto = tensor_pb2.TensorProto(dtype=serving_wire.DTYPE_NUMBERS[name])
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    proto.tensor_content = array.tobytes()
    return proto


class Identities(object):
    """A processor with a signature x → y for each dtype: y is what x was read as."""

    def __init__(self):
        folder = models.new_folder() + "/1"
        with tf.Graph().as_default(), tf1.Session() as session:
            made = {}
            for name in ALL:
                x = tf1.placeholder(dtype_of(name), None, name="x_" + name)
                made[name] = models.signature({"x": x}, {"y": tf.identity(x, name="y_" + name)})
            models.save(session, folder, made)
        self.processor = models.serve(folder)

    def refused(self, name, proto):
        error = refused(self.processor.predict, request({"x": proto}, name), TYPED)
        assert error.code == Code.INVALID_ARGUMENT and "'x'" in error.message, error.message
        return error.message

    def read(self, name, proto):
        """What the graph was fed with."""
        from eas_processor.worker.frames import Kind

        return self.processor.decode(Kind.PREDICT, request({"x": proto}, name), TYPED).arrays[0]


def assert_same(name, got, wanted):
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), (name, got, wanted)
    assert plain(got) == plain(wanted), (name, got, wanted)


def check_each_dtype_comes_back_as_it_went_in_every_form(_):
    identities = Identities()
    for name in sorted(ALL):
        wanted = value_of(name)
        forms = [typed(name, wanted)]
        if name != "DT_STRING":
            forms.append(in_content(name, wanted))
        for proto in forms:
            for flags in (TYPED, CONTENT):
                body = identities.processor.predict(request({"x": proto}, name), flags)
                got = protos(body)["y"]
                is_content = flags == CONTENT and name != "DT_STRING"
                expected = in_content(name, wanted) if is_content else typed(name, wanted)
                assert got == expected, (name, got, expected)


def check_scalars_and_empty_tensors_of_each_dtype_come_back(_):
    identities = Identities()
    for name in sorted(ALL):
        first = value_of(name).reshape(-1)[1:2]
        for wanted in (first.reshape(()), first, first[:0].reshape((3, 0, 2))):
            for flags in (TYPED, CONTENT):
                body = request({"x": typed(name, wanted)}, name)
                got = protos(identities.processor.predict(body, flags))["y"]
                as_content = flags == CONTENT and name != "DT_STRING"
                expected = (in_content if as_content else typed)(name, wanted)
                assert got == expected, (name, got, expected)


def read_by_tensorflow(proto):
    """tf.make_ndarray, or None where this TensorFlow's own reader gives up."""
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, IndexError):
        return None


def check_fewer_values_than_the_shape_wants_are_filled_up_as_tensorflow_does(_):
    identities = Identities()
    compared = 0
    for name in sorted(ALL):
        whole = value_of(name).reshape(-1)
        for count in (1, 2):
            proto = typed(name, whole[:count])
            proto.tensor_shape.CopyFrom(tf.TensorShape([2, 3]).as_proto())
            got = identities.read(name, proto)
            filled = [whole[min(place, count - 1)] for place in range(6)]
            if whole.dtype == object:
                assert got.reshape(-1).tolist() == filled
            else:
                assert got.tobytes() == b"".join(value.tobytes() for value in filled), name
            by_tensorflow = read_by_tensorflow(proto)
            if by_tensorflow is not None:
                compared += 1
                assert_same(name, got, by_tensorflow)
    assert compared >= len(ALL) - 6  # one value fills in every version, but for quantized ones


def constant(name, proto):
    """The tensor that TensorFlow's runtime makes of a proto, by Tensor::FromProto as the peer does.

    None where it refuses; raises Skip where it has no constants of that dtype.
    """
    graph_def = tf1.GraphDef()
    node = graph_def.node.add(name="c", op="Const")
    node.attr["dtype"].type = proto.dtype
    node.attr["value"].tensor.CopyFrom(proto)
    try:
        with tf.Graph().as_default(), tf1.Session() as session:
            tf1.import_graph_def(graph_def, name="")
            value = session.run("c:0")
    except tf.errors.InvalidArgumentError as error:
        if "No OpKernel" in str(error):
            raise Skip(name) from error
        return None
    value = np.asarray(value, object if name == "DT_STRING" else None)
    # A quantized scalar comes as the integer that it is made of.
    return value.view(dtype_of(name).as_numpy_dtype) if name.startswith("DT_Q") else value


def check_values_are_fitted_to_the_shape_as_tensorflow_does(_):
    identities = Identities()
    compared = 0
    for name in sorted(ALL):
        whole = value_of(name).reshape(-1)[:3]
        protos_of = [typed(name, whole)]
        if name.startswith("DT_COMPLEX"):
            for count in (1, 3, 5):
                proto = typed(name, whole)
                del getattr(proto, FIELDS[name])[count:]
                protos_of.append(proto)
        if name == "DT_STRING":
            for content in (b"\1\1\1abc", b"\1\1ab", b"\2a", b"\1a"):
                protos_of.append(tensor_pb2.TensorProto(dtype=7, tensor_content=content))
        else:
            protos_of.append(in_content(name, whole))
            both = in_content(name, whole[:2])
            both.MergeFrom(typed(name, whole))
            protos_of.append(both)
        for proto in protos_of:
            for dims in ([], [1], [2], [1, 3], [4], [0], [2, 0]):
                proto.tensor_shape.CopyFrom(tf.TensorShape(dims).as_proto())
                try:
                    wanted = constant(name, proto)
                except Skip:
                    continue
                compared += 1
                if wanted is None:
                    assert "tensor_content" in identities.refused(name, proto), (name, dims)
                else:
                    assert_same(name, identities.read(name, proto), wanted)
                    identities.processor.predict(request({"x": proto}, name), TYPED)
    assert compared > 150, compared


def check_no_values_at_all_are_zeros_and_empty_strings(_):
    identities = Identities()
    for name in sorted(ALL):
        proto = tensor_pb2.TensorProto(dtype=serving_wire.DTYPE_NUMBERS[name])
        proto.tensor_shape.CopyFrom(tf.TensorShape([2, 2]).as_proto())
        got = identities.read(name, proto)
        assert got.shape == (2, 2)
        if name == "DT_STRING":
            assert got.tolist() == [[b"", b""], [b"", b""]]
        else:
            assert got.tobytes() == b"\0" * got.nbytes, name
        identities.processor.predict(request({"x": proto}, name), TYPED)
        by_tensorflow = read_by_tensorflow(proto)
        if by_tensorflow is not None and name != "DT_STRING":
            assert_same(name, got, by_tensorflow)


def check_what_tf_make_tensor_proto_makes_is_read_as_tensorflow_reads_it(_):
    identities = Identities()
    for name in sorted(ALL):
        if name.startswith("DT_Q"):
            continue  # it makes none of quantized values
        for value in (value_of(name), value_of(name).reshape(-1)[2]):
            try:
                proto = tf1.make_tensor_proto(value, dtype_of(name))
            except TypeError:
                assert name in SMALL  # of scalars of some it makes none
                continue
            by_tensorflow = read_by_tensorflow(proto)
            wanted = np.asarray(value) if by_tensorflow is None else by_tensorflow
            assert_same(name, identities.read(name, proto), wanted)


def check_strings_in_tensor_content_are_read_as_tensorflow_in_c_writes_them(_):
    identities = Identities()
    proto = tensor_pb2.TensorProto(dtype=tf.string.as_datatype_enum)
    proto.tensor_shape.dim.add(size=2)
    proto.tensor_shape.dim.add(size=1)
    proto.tensor_content = b"\x02\x03" + b"a\0" + b"xyz"
    assert identities.read("DT_STRING", proto).tolist() == [[b"a\0"], [b"xyz"]]
    for broken in (b"\x02\x04a\0xyz", b"\x02\x03a\0xy", b"\x80", b"\xff" * 12):
        proto.tensor_content = broken
        assert "2 strings" in identities.refused("DT_STRING", proto)


def check_values_that_cannot_be_are_refused_with_the_inputs_name(_):
    identities = Identities()
    for name in sorted(ALL):
        whole = value_of(name)
        proto = typed(name, whole)
        for size, word in ((-1, "negative"), (2**40, "filled up"), (2**62, "filled up")):
            proto.tensor_shape.dim[0].size = size
            assert word in identities.refused(name, proto)
        proto.tensor_shape.unknown_rank = True
        assert "unknown rank" in identities.refused(name, proto)
        if name != "DT_STRING":
            proto = in_content(name, whole)
            proto.tensor_content += b"\0"
            assert "tensor_content" in identities.refused(name, proto)
    large = typed("DT_UINT8", np.array([1], np.uint8))
    large.int_val[0] = 256
    assert "256" in identities.refused("DT_UINT8", large)
    if "DT_INT4" in SMALL:
        large = typed("DT_INT4", value_of("DT_INT4"))
        large.int_val[0] = 8
        assert "8 is out of range (-8 to 7)" in identities.refused("DT_INT4", large)


def check_bools_in_content_are_true_for_any_byte_but_zero(_):
    identities = Identities()
    proto = in_content("DT_BOOL", np.array([0, 1, 2, 255], np.uint8))
    got = identities.read("DT_BOOL", proto)
    assert got.tobytes() == b"\0\1\1\1"


def check_more_numbers_than_are_read_one_by_one_are_read_alike(_):
    identities = Identities()
    random = np.random.RandomState(1)
    names = ["DT_INT32", "DT_INT64", "DT_UINT32", "DT_UINT64", "DT_HALF", "DT_BFLOAT16"]
    for name in names + sorted(SMALL):
        dtype = np.dtype(dtype_of(name).as_numpy_dtype)
        if name in SMALL:
            wanted = np.resize(value_of(name), 4000)
        else:
            wanted = np.frombuffer(random.bytes(4000 * dtype.itemsize), dtype).reshape((4000,))
        got = identities.read(name, typed(name, wanted))
        assert_same(name, got, wanted)
        body = identities.processor.predict(request({"x": typed(name, wanted)}, name), TYPED)
        assert protos(body)["y"] == typed(name, wanted)
