"""Predict, through the stub that users have. half_plus_two has versions 1 and 2, and labels."""

import threading

import grpc
import numpy as np
from asking import TIMEOUT_S, floats, predict, refused
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

# dtype → the field that its values are in, and the values
TYPED = {
    "DT_FLOAT": ("float_val", [0.0, -1.5, 3.4028235e38, float("inf"), 0.1, 7.0]),
    "DT_DOUBLE": ("double_val", [0.0, -1.5, 1.7e308, float("-inf"), 0.1, 5e-324]),
    "DT_INT32": ("int_val", [0, 1, -1, 2**31 - 1, -(2**31), 300]),
    "DT_UINT8": ("int_val", [0, 1, 255, 127, 128, 7]),
    "DT_INT16": ("int_val", [0, 1, -1, 2**15 - 1, -(2**15), 300]),
    "DT_INT8": ("int_val", [0, 1, -1, 127, -128, 7]),
    "DT_UINT16": ("int_val", [0, 1, 65535, 127, 128, 700]),
    "DT_INT64": ("int64_val", [0, 1, -1, 2**63 - 1, -(2**63), 300]),
    "DT_BOOL": ("bool_val", [True, False, True, True, False, False]),
    "DT_STRING": ("string_val", [b"", b"a\0", b"\xff\xfe", "grün".encode(), b"x" * 300, b"z"]),
    "DT_COMPLEX64": ("scomplex_val", [0.0, 1.5, -2.0, 0.5, 3e38, -1.0] * 2),
    "DT_COMPLEX128": ("dcomplex_val", [0.0, 1.5, -2.0, 0.1, 3e300, -1.0] * 2),
    "DT_HALF": ("half_val", np.float16([0, -1.5, 65504, np.inf, 0.1, 6e-8]).view("u2").tolist()),
    "DT_BFLOAT16": ("half_val", [0x0000, 0x3F80, 0xBFC0, 0x7F80, 0x4049, 0x0001]),
    "DT_UINT32": ("uint32_val", [0, 1, 2**32 - 1, 7, 8, 9]),
    "DT_UINT64": ("uint64_val", [0, 1, 2**64 - 1, 7, 8, 9]),
    "DT_QINT8": ("int_val", [0, 1, -1, 127, -128, 7]),
    "DT_QUINT8": ("int_val", [0, 1, 255, 127, 128, 7]),
    "DT_QINT16": ("int_val", [0, 1, -1, 2**15 - 1, -(2**15), 300]),
    "DT_QUINT16": ("int_val", [0, 1, 65535, 127, 128, 700]),
    "DT_QINT32": ("int_val", [0, 1, -1, 2**31 - 1, -(2**31), 300]),
}
# The same of dtypes that only the newest TensorFlow has.
NEWER = {
    "DT_INT4": ("int_val", [0, 1, -1, 7, -8, 3]),
    "DT_UINT4": ("int_val", [0, 1, 15, 7, 8, 3]),
    "DT_INT2": ("int_val", [0, 1, -1, -2, 0, 1]),
    "DT_UINT2": ("int_val", [0, 1, 3, 2, 0, 1]),
    "DT_FLOAT8_E5M2": ("float8_val", b"\x00\x3c\xbe\x7b\xfb\x01"),
    "DT_FLOAT8_E4M3FN": ("float8_val", b"\x00\x38\xbc\x7e\xfe\x01"),
    "DT_FLOAT8_E4M3FNUZ": ("float8_val", b"\x00\x40\xc4\x7f\xff\x01"),
    "DT_FLOAT8_E4M3B11FNUZ": ("float8_val", b"\x00\x58\xdc\x7f\xff\x01"),
    "DT_FLOAT8_E5M2FNUZ": ("float8_val", b"\x00\x40\xc2\x7f\xff\x01"),
    "DT_FLOAT4_E2M1FN": ("float8_val", b"\x00\x02\x0b\x07\x0f\x01"),
}
LAYOUT = {
    "DT_FLOAT": "<f4", "DT_DOUBLE": "<f8", "DT_INT32": "<i4", "DT_UINT8": "u1", "DT_INT16": "<i2",
    "DT_INT8": "i1", "DT_UINT16": "<u2", "DT_INT64": "<i8", "DT_BOOL": "?", "DT_COMPLEX64": "<f4",
    "DT_COMPLEX128": "<f8", "DT_HALF": "<u2", "DT_BFLOAT16": "<u2", "DT_UINT32": "<u4",
    "DT_UINT64": "<u8", "DT_QINT8": "i1", "DT_QUINT8": "u1", "DT_QINT16": "<i2",
    "DT_QUINT16": "<u2", "DT_QINT32": "<i4",
}  # fmt: skip


def tensor(dtype):
    """Six values in two rows, in the field that is theirs."""
    field, values = {**TYPED, **NEWER}[dtype]
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(dtype), **{field: values})
    proto.tensor_shape.dim.add(size=2)
    proto.tensor_shape.dim.add(size=3)
    return proto


def in_content(dtype):
    """The same, in tensor_content."""
    field, values = {**TYPED, **NEWER}[dtype]
    proto = tensor(dtype)
    proto.ClearField(field)
    if field != "float8_val":
        values = np.array(values, LAYOUT.get(dtype, "i1")).tobytes()
    proto.tensor_content = values
    return proto


def numbers(size):
    """So many floats in tensor_content, none like the next."""
    array = np.arange(size, dtype=np.float32)
    proto = tensor_pb2.TensorProto(dtype=1, tensor_content=array.tobytes())
    proto.tensor_shape.dim.add(size=size)
    return proto


def through(server, dtype, proto):
    return server.predict(predict("dtypes", inputs={"x": proto}, signature=dtype)).outputs["y"]


def check_every_dtype_goes_in_typed_and_comes_back_typed(server):
    for dtype in TYPED:
        assert through(server, dtype, tensor(dtype)) == tensor(dtype), dtype


def check_every_number_goes_in_as_content_and_comes_back_typed(server):
    for dtype in LAYOUT:
        assert through(server, dtype, in_content(dtype)) == tensor(dtype), dtype


def check_dtypes_of_few_bits_go_in_in_either_form_and_come_back_typed(server):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "dtypes"
    found = get_model_metadata_pb2.SignatureDefMap()
    server.prediction.GetModelMetadata(asked, timeout=TIMEOUT_S).metadata["signature_def"].Unpack(
        found
    )
    known = [dtype for dtype in NEWER if dtype in found.signature_def]
    assert known in ([], list(NEWER)), known  # which, the TensorFlow that serves decides
    for dtype in known:
        for proto in (tensor(dtype), in_content(dtype)):
            assert through(server, dtype, proto) == tensor(dtype), dtype


def check_one_value_fills_the_shape_as_tensorflow_fills_it(server):
    proto = floats([[1, 1], [1, 1]])
    del proto.float_val[1:]
    assert list(through(server, "DT_FLOAT", proto).float_val) == [1] * 4


def check_the_answer_names_the_version_and_the_signature(server):
    answer = server.predict(predict())
    assert list(answer.outputs["y"].float_val) == [2.5, 3, 4.5]
    told = answer.model_spec
    assert (told.name, told.version.value, told.version_label) == ("half_plus_two", 2, "")
    assert told.signature_name == "serving_default"


def check_a_version_and_a_label_choose_the_version(server):
    for which, wanted in (({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 1)):
        assert server.predict(predict(**which)).model_spec.version.value == wanted


def check_who_is_not_there_is_told_in_the_peers_words(server):
    none = "Servable not found for request: "
    for request, code, text in (
        (predict("nobody"), "NOT_FOUND", none + "Latest(nobody)"),
        (predict(version=7), "NOT_FOUND", none + "Specific(half_plus_two, 7)"),
        (predict(label="l"), "INVALID_ARGUMENT", "Unrecognized servable version label: l"),
        (predict(""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            predict(signature="s"),
            "FAILED_PRECONDITION",
            'Serving signature key "s" not found.',
        ),
    ):
        assert refused(server.prediction.Predict, request) == (code, text), request


def check_inputs_that_do_not_fit_are_told_by_name(server):
    for inputs, text in (
        (
            {},
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. "
            "Missing but required: {x}.",
        ),
        (
            {"x": floats([1]), "z": floats([1])},
            "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. "
            "Missing but required: {}.",
        ),
    ):
        told = refused(server.prediction.Predict, predict(inputs=inputs))
        assert told == ("INVALID_ARGUMENT", text), told


def check_a_dtype_that_does_not_fit_is_told(server):
    wrong = {"x": tensor("DT_INT64")}
    code, text = refused(server.prediction.Predict, predict(inputs=wrong))
    assert code == "INVALID_ARGUMENT" and "INT64" in text and "FLOAT" in text, (code, text)


def check_an_output_filter_chooses_outputs(server):
    request = predict(signature="regress_x_to_y", inputs={}, output_filter=["z"])
    code, text = refused(server.prediction.Predict, predict(output_filter=["z"]))
    wanted = "output tensor alias not found in signature: z Outputs expected to be in the set {y}."
    assert (code, text) == ("INVALID_ARGUMENT", wanted), (code, text)
    code, text = refused(server.prediction.Predict, predict(output_filter=["y", "y"]))
    assert (code, text) == ("INVALID_ARGUMENT", "duplicate output tensor alias: y"), (code, text)
    assert set(server.predict(predict(output_filter=["y"])).outputs) == {"y"}
    assert request.output_filter


def check_shapes_beside_the_signatures_own_are_taken(server):
    for shape in ([], [1], [3], [2, 2], [0, 1]):
        array = np.ones(shape, np.float32)
        answer = server.predict(predict(inputs={"x": floats(array)}))
        assert list(answer.outputs["y"].float_val) == [2.5] * array.size, shape
        dims = [dim.size for dim in answer.outputs["y"].tensor_shape.dim]
        assert dims == shape


def check_a_message_of_32_mb_goes_both_ways(server):
    sent = numbers(8 << 20)
    answer = through(server, "DT_FLOAT", sent)
    assert np.float32(answer.float_val).tobytes() == sent.tensor_content


def check_a_deadline_is_kept_and_the_server_goes_on(server):
    slow = predict("dtypes", inputs={"x": numbers(8 << 20)}, signature="DT_FLOAT")
    told = [refused(server.prediction.Predict, slow, timeout=0.005)[0] for _ in range(5)]
    assert set(told) == {"DEADLINE_EXCEEDED"}, told
    assert server.predict(predict()).outputs


def check_clients_that_leave_harm_nobody(server):
    left, array = [], floats(np.ones(100_000))
    for _ in range(30):
        call = server.prediction.Predict.future(predict(inputs={"x": array}), timeout=30)
        staying = server.prediction.Predict.future(predict(), timeout=30)
        call.cancel()
        left.append(call)
        assert list(staying.result().outputs["y"].float_val) == [2.5, 3, 4.5]
    assert all(call.cancelled() or call.code() is grpc.StatusCode.OK for call in left)


def check_many_at_once_are_each_answered_with_their_own(server):
    wrong = []

    def ask(start):
        for number in range(start, start + 25):
            answer = server.predict(predict(inputs={"x": floats([number])}))
            if list(answer.outputs["y"].float_val) != [number / 2 + 2]:
                wrong.append((number, answer))

    threads = [threading.Thread(target=ask, args=(100 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong, wrong[:1]
