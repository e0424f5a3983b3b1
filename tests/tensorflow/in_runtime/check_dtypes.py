"""Every dtype that an ArrayProto can carry, in and out, bit for bit as a direct Session.run."""

import numpy as np
from in_runtime import models
from in_runtime.requests import answer, refused, request

from eas_processor.errors import Code
from processors.tensorflow import wire
from processors.tensorflow.api import tf, tf1

VALUES = {
    "DT_FLOAT": [0.0, -1.5, 3.4e38, float("inf"), 1e-45, 0.1],
    "DT_DOUBLE": [0.0, -1.5, 1.7e308, float("-inf"), 5e-324, 0.1],
    "DT_COMPLEX64": [0.0, 1.5, -2.0, 0.1, 3e38, -1.0],  # real, imaginary …: half as many
    "DT_COMPLEX128": [0.0, 1.5, -2.0, 0.1, 3e300, -1.0],
    "DT_HALF": [0.0, -1.5, 65504.0, float("inf"), 6e-8, 0.1],
    "DT_BFLOAT16": [0.0, -1.5, 3.0e38, float("inf"), 1e-30, 0.1],
    "DT_INT32": [0, 1, -1, 2**31 - 1, -(2**31), 300],
    "DT_INT64": [0, 1, -1, 2**63 - 1, -(2**63), 300],
    "DT_INT16": [0, 1, -1, 2**15 - 1, -(2**15), 300],
    "DT_INT8": [0, 1, -1, 127, -128, 7],
    "DT_UINT8": [0, 1, 255, 127, 128, 7],
    "DT_UINT16": [0, 1, 65535, 127, 128, 700],
    "DT_QINT8": [0, 1, -1, 127, -128, 7],
    "DT_QUINT8": [0, 1, 255, 127, 128, 7],
    "DT_QINT16": [0, 1, -1, 2**15 - 1, -(2**15), 300],
    "DT_QUINT16": [0, 1, 65535, 127, 128, 700],
    "DT_QINT32": [0, 1, -1, 2**31 - 1, -(2**31), 300],
    "DT_BOOL": [True, False, True, True, False, False],
    "DT_STRING": [b"", b"a\0", b"\0", b"\xff\xfe", "grün".encode("utf-8"), b"x" * 300],
}


def dtype_of(name):
    return tf.as_dtype(wire.DTYPE_NUMBERS[name])


def identities():
    """One signature for each dtype: x → y, the same through an op of TensorFlow."""
    folder = models.new_folder() + "/1"
    with tf.Graph().as_default(), tf1.Session() as session:
        signatures = {}
        for name in VALUES:
            x = tf1.placeholder(dtype_of(name), None, name="x_" + name)
            signatures[name] = models.signature({"x": x}, {"y": tf.identity(x, name="y_" + name)})
        for name in ("uint32", "uint64"):
            x = tf1.placeholder(getattr(tf, name), None, name="x_" + name)
            z = tf1.placeholder_with_default(1.0, [], name="z_" + name) * 2
            signatures[name] = models.signature({"x": x}, {"z": z})
            zero = tf.zeros([], getattr(tf, name))
            signatures["to_" + name] = models.signature({}, {"y": zero, "z": z})
        models.save(session, folder, signatures)
    return folder


def as_fed(name, values):
    """values as TensorFlow wants them in a direct Session.run."""
    dtype = np.dtype(dtype_of(name).as_numpy_dtype)
    if name == "DT_STRING":
        array = np.empty(len(values), object)
        array[:] = values
        return array
    if name.startswith("DT_COMPLEX"):
        return np.array(values, np.float32 if name.endswith("64") else np.float64).view(dtype)
    if dtype.fields:
        return np.array(values, dtype[0]).view(dtype)
    with np.errstate(all="ignore"):
        return np.array(values, np.float32 if name == "DT_BFLOAT16" else None).astype(dtype)


def as_sent(name, array):
    """What of an answer's values is compared: exact bytes."""
    if name == "DT_STRING":
        return list(array.reshape(-1))
    if name in ("DT_HALF", "DT_BFLOAT16"):
        return array.astype(np.float32).reshape(-1).tolist()
    if name.startswith("DT_COMPLEX"):
        return np.ascontiguousarray(array).reshape(-1).view(array.real.dtype).tolist()
    if array.dtype.fields:
        array = np.ascontiguousarray(array).view(array.dtype[0])
    return array.reshape(-1).tolist()


def check_each_dtype_answers_what_session_run_answers(_):
    folder = identities()
    processor = models.serve(folder)
    for name, values in sorted(VALUES.items()):
        count = len(values) // 2 if name.startswith("DT_COMPLEX") else len(values)
        shape = [3, 1] if count == 3 else [2, 3]
        fed = as_fed(name, values).reshape(shape)
        wanted = models.direct(folder, "y_%s:0" % name, {"x_%s:0" % name: fed})
        got = answer(processor.process(request({"x": (name, shape, values)}, name)))["y"]
        assert got == (name, shape, as_sent(name, wanted)), (name, got, as_sent(name, wanted))


def check_scalars_of_each_dtype_need_no_shape(_):
    processor = models.serve(identities())
    for name, values in sorted(VALUES.items()):
        values = values[2:4] if name.startswith("DT_COMPLEX") else values[1:2]
        for shape in (None, []):
            got = answer(processor.process(request({"x": (name, shape, values)}, name)))["y"]
            expected = as_sent(name, as_fed(name, values))
            assert got == (name, [], expected), (name, got, expected)


def check_empty_arrays_of_each_dtype_keep_their_shape(_):
    processor = models.serve(identities())
    for name in sorted(VALUES):
        got = answer(processor.process(request({"x": (name, [3, 0, 2], [])}, name)))["y"]
        assert got == (name, [3, 0, 2], []), (name, got)


def check_values_out_of_range_of_a_small_dtype_are_refused(_):
    processor = models.serve(identities())
    for name, value in (
        ("DT_UINT8", 256),
        ("DT_UINT8", -1),
        ("DT_INT8", 128),
        ("DT_INT16", -32769),
        ("DT_UINT16", 65536),
        ("DT_QUINT8", -1),
        ("DT_QINT8", 128),
    ):
        error = refused(processor.process, request({"x": (name, [1], [value])}, name))
        assert error.code == Code.INVALID_ARGUMENT
        for word in ("'x'", str(value), name):
            assert word in error.message, error.message


def check_a_dtype_that_came_without_values_is_refused_with_advice(_):
    processor = models.serve(identities())
    for name in ("DT_HALF", "DT_BFLOAT16", "DT_COMPLEX64", "DT_FLOAT", "DT_STRING", "DT_BOOL"):
        error = refused(processor.process, request({"x": (name, [2, 2], [])}, name))
        assert error.code == Code.INVALID_ARGUMENT
        assert "'x'" in error.message and "0 values" in error.message, error.message
        assert ("float_val" in error.message) == (
            name in ("DT_HALF", "DT_BFLOAT16", "DT_COMPLEX64", "DT_FLOAT")
        )


def check_a_wrong_dtype_is_refused_with_both_names(_):
    processor = models.serve(identities())
    for wanted, came in (
        ("DT_FLOAT", "DT_DOUBLE"),
        ("DT_INT64", "DT_INT32"),
        ("DT_STRING", "DT_UINT8"),
    ):
        error = refused(processor.process, request({"x": (came, [1], [1])}, wanted))
        assert error.code == Code.INVALID_ARGUMENT
        assert "'x'" in error.message and wanted in error.message and came in error.message
    for came in ("DT_INVALID", "DT_RESOURCE", "DT_VARIANT"):
        error = refused(processor.process, request({"x": (came, [1], [])}, "DT_FLOAT"))
        assert error.code == Code.INVALID_ARGUMENT and came in error.message, error.message


def check_dtypes_that_an_array_cannot_carry_are_named(_):
    processor = models.serve(identities())
    for name in ("uint32", "uint64"):
        error = refused(processor.process, request({"x": ("DT_INT32", [], [1])}, name))
        assert error.code == Code.INVALID_ARGUMENT and "'x'" in error.message
        error = refused(processor.process, request({}, "to_" + name))
        assert error.code == Code.INVALID_ARGUMENT
        assert "'y'" in error.message and "output_filter" in error.message
        assert name.upper() in error.message, error.message
        got = answer(processor.process(request({}, "to_" + name, ["z"])))
        assert got == {"z": ("DT_FLOAT", [], [2.0])}
