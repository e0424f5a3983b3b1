"""TFLite models: with SignatureDefs in their metadata or without, resized, refused."""

import os
import struct

import numpy as np
from in_runtime import models
from in_runtime.requests import refused
from in_runtime.serving_requests import TYPED, answer, request
from in_runtime.skipping import Skip
from tensorflow.core.protobuf import meta_graph_pb2

from eas_processor.errors import Code, StartError
from processors.tensorflow.api import IS_1, VERSION, tf

VERSION_NUMBERS = tuple(map(int, VERSION.split(".")[:2]))
PREFERRED = {"prefer_tflite": True, "tflite_threads": 2}


def converted():
    """x [?, 3] → y [?, 1], the sum of a row and 1, as the bytes of a TFLite file."""
    if VERSION_NUMBERS < (2, 3):
        raise Skip("converters before TensorFlow 2.3 take no inputs of a free size")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def added(x):
        return {"y": tf.matmul(x, tf.ones([3, 1])) + 1.0}

    function = added.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    return converter.convert()


def total(value):
    return (value.sum(axis=1, keepdims=True) + 1).tolist()


def folder_with(content):
    """A version folder with a SavedModel and this model.tflite."""
    folder = models.new_folder() + "/1"
    models.softmax(folder, ["serving_default"])
    with open(os.path.join(folder, "model.tflite"), "wb") as file:
        file.write(content)
    return folder


def check_a_tflite_model_is_served_by_its_tensor_names_when_it_is_preferred(_):
    folder = folder_with(converted())
    processor = models.serve(folder, serving=PREFERRED)
    (signature,) = processor._signatures.values()
    assert signature.name == "serving_default" and processor.threads_max == 2
    (x,), (y,) = signature.inputs, signature.outputs
    assert signature.inputs[x].dims in ([-1, 3], [1, 3])
    for rows in (1, 3, 3, 2):
        value = np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)
        got = answer(processor.predict(request({x: value}), TYPED))
        assert got[y].tolist() == total(value)
    for shape in ((1, 4), (3,), (1, 1, 3)):
        error = refused(processor.predict, request({x: np.zeros(shape, np.float32)}), TYPED)
        assert error.code == Code.INVALID_ARGUMENT and "TFLite" in error.message
    got = answer(processor.predict(request({x: value}), TYPED))
    assert got[y].tolist() == total(value)
    assert x.encode("utf-8") in processor.signatures()
    processor = models.serve(folder)  # not preferred: the SavedModel
    assert list(processor._default.inputs) == ["images"]


def check_a_model_of_single_numbers_takes_any_shape(_):
    if VERSION_NUMBERS < (2, 3):
        raise Skip("converters before TensorFlow 2.3 take no inputs of a free size")

    @tf.function(input_signature=[tf.TensorSpec([1, 1], tf.float32, "x")])
    def half_plus_two(x):
        return {"y": x * 0.5 + 2.0}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [half_plus_two.get_concrete_function()]
    )
    processor = models.serve(folder_with(converter.convert()), serving=PREFERRED)
    (signature,) = processor._signatures.values()
    (x,), (y,) = signature.inputs, signature.outputs
    for shape in ((1, 1), (3,), (1, 3), (2, 1), (2, 3, 1), (1, 1)):
        value = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        got = answer(processor.predict(request({x: value}), TYPED))
        assert got[y].tolist() == (value * 0.5 + 2).tolist(), shape
    error = refused(processor.predict, request({x: np.float32(1)}), TYPED)
    assert error.code == Code.INVALID_ARGUMENT and "came with the shape []" in error.message


def flexbuffer_map(key, value):
    """{key: string} with four-byte widths, as C++ writes it."""
    text = key + b"\0"
    start_of_key = 0
    data = text + b"\0" * (-len(text) % 4)
    data += struct.pack("<I", len(value))
    start_of_value = len(data)
    data += value + b"\0"
    data += b"\0" * (-len(data) % 4)
    data += struct.pack("<I", 1)  # how many keys
    keys = len(data)
    data += struct.pack("<I", keys - start_of_key)
    data += struct.pack("<I", len(data) - keys) + struct.pack(
        "<I", 4
    )  # where keys are, their width
    data += struct.pack("<I", 1)
    values = len(data)
    data += struct.pack("<I", values - start_of_value) + bytes([5 << 2 | 2])
    return data + bytes([len(data) - values, 9 << 2 | 2, 1])


def with_signature(content, name, definition):
    """The TFLite file with a SignatureDef in its metadata, written by TensorFlow's own schema."""
    try:
        import flatbuffers
    except ImportError as error:
        raise Skip("TensorFlow %s comes without a FlatBuffers library" % VERSION) from error
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(content), 0))
    buffer = schema.BufferT()
    data = flexbuffer_map(name.encode("utf-8"), definition.SerializeToString())
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "signature_defs_metadata", len(model.buffers) - 1
    model.metadata = list(model.metadata or []) + [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def check_signature_defs_in_the_metadata_name_the_tensors(_):
    content = converted()
    plain = models.serve(folder_with(content), serving=PREFERRED)._default
    (x,), (y,) = plain.inputs, plain.outputs
    definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for alias, map_of, name in (("a", definition.inputs, x), ("b", definition.outputs, y)):
        map_of[alias].name = name if name.endswith(":0") else name + ":0"
        map_of[alias].dtype = 1
    processor = models.serve(
        folder_with(with_signature(content, "named", definition)), serving=PREFERRED
    )
    assert list(processor._signatures) == ["named"]
    value = np.ones((2, 3), np.float32)
    got = answer(processor.predict(request({"a": value}, "named"), TYPED))
    assert got["b"].tolist() == total(value)
    assert definition.SerializeToString(deterministic=True) in processor.signatures()
    definition.inputs["a"].name = "elsewhere"
    broken = folder_with(with_signature(content, "named", definition))
    error = refused(lambda: models.serve(broken, serving=PREFERRED))
    assert isinstance(error, StartError) and "'elsewhere'" in error.message


def check_a_file_that_is_no_tflite_model_is_refused_by_name(_):
    folder = folder_with(b"this is no TFLite model")
    error = refused(lambda: models.serve(folder, serving=PREFERRED))
    assert isinstance(error, StartError)
    assert "model.tflite" in error.message or IS_1, error.message
    assert VERSION in error.message


def check_strings_go_through_a_tflite_model(_):
    if IS_1:
        raise Skip("TensorFlow 1 has no converter of functions")
    try:
        content = reversed_strings()
    except Exception as error:
        raise Skip("this converter knows no strings: " + type(error).__name__) from error
    processor = models.serve(folder_with(content), serving=PREFERRED)
    (x,), (y,) = processor._default.inputs, processor._default.outputs
    words = np.array([b"eins", b"", b"drei\0"], object)
    got = answer(processor.predict(request({x: words}), TYPED))[y]
    assert got.tolist() == words[::-1].tolist()


def reversed_strings():
    @tf.function(input_signature=[tf.TensorSpec([3], tf.string, "x")])
    def turned(x):
        return tf.gather(x, [2, 1, 0])

    function = turned.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
