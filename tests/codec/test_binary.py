"""npy, npz, raw and protobuf bodies: what goes in comes out, and bombs do not go off."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest

from eas_processor.codec import binary, dtypes, serving, tensors
from eas_processor.codec.binary import NPY, NPZ, PROTOBUF, RAW, Ask
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import Code, ServingError
from tests.codec.models import model

IMAGE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
FLOATS = model(x=dtypes.DT_FLOAT)


def _npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _head(text: str) -> bytes:
    """An npy file of one element with any head."""
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode() + b"\0" * 4


def _damaged_zip(how: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as file:
        file.writestr("x.npy", _npy(IMAGE))
    body = bytearray(stream.getvalue())
    body[45:60] = bytes(byte ^ 0xFF for byte in body[45:60])
    return bytes(body)


def _refusal(body: bytes, ask: Ask, known: Any = FLOATS) -> str:
    with pytest.raises(ServingError) as caught:
        binary.predict_request(body, ask, known)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


@pytest.mark.parametrize(
    "array", [IMAGE, np.asfortranarray(IMAGE), IMAGE.astype(">f4"), IMAGE[:0], np.float32(2.5)]
)
def test_an_npy_array_is_the_only_input(array: np.ndarray) -> None:
    asked = binary.predict_request(_npy(array), Ask(NPY, output_filter=("y",)), FLOATS)
    found = tensors.inputs(asked.request)["x"]
    assert found.values.shape == array.shape
    np.testing.assert_array_equal(found.values, array)
    assert asked.rows == (array.shape[0] if array.ndim else None)
    assert list(serving.parse("PredictRequest", asked.request).output_filter) == ["y"]


def test_an_npz_file_has_an_array_for_each_input() -> None:
    known = model("c", a=dtypes.DT_FLOAT, b=dtypes.DT_STRING, c=dtypes.DT_INT64)
    body = _npz(a=IMAGE, b=np.array(["x", "yé"]))
    found = tensors.inputs(binary.predict_request(body, Ask(NPZ), known).request)
    np.testing.assert_array_equal(found["a"].values, IMAGE)
    assert found["b"].values.tolist() == [b"x", "yé".encode()]
    assert "no array for b" in _refusal(_npz(a=IMAGE), Ask(NPZ), known)
    assert "no input is named 'q'" in _refusal(_npz(q=IMAGE), Ask(NPZ), known)


@pytest.mark.parametrize("dtype", ["", "float32", "DT_FLOAT"])
def test_raw_bytes_are_given_a_shape_from_outside(dtype: str) -> None:
    ask = Ask(RAW, input="x", dtype=dtype, shape="2, 3,4")
    asked = binary.predict_request(IMAGE.tobytes(), ask, FLOATS)
    np.testing.assert_array_equal(tensors.inputs(asked.request)["x"].values, IMAGE)


def test_a_protobuf_request_goes_on_with_what_was_asked_beside_it() -> None:
    body = tensors.request({"x": IMAGE})
    asked = binary.predict_request(body, Ask(PROTOBUF, output_filter=("y",)), FLOATS)
    message = serving.parse("PredictRequest", asked.request)
    assert message.model_spec.signature_name == "serving_default"
    assert list(message.output_filter) == ["y"]
    assert asked.rows == 2
    np.testing.assert_array_equal(tensors.inputs(asked.request)["x"].values, IMAGE)


@pytest.mark.parametrize(
    ("body", "ask", "why"),
    [
        (b"no npy", Ask(NPY), "are no npy array"),
        (_npy(IMAGE)[:-1], Ask(NPY), "are no npy array"),
        (_npy(IMAGE) + b"more", Ask(NPY), "are no npy array"),
        (
            _npy(IMAGE.astype(np.float64)),
            Ask(NPY),
            "array of float64, but the signature wants float",
        ),
        (_npy(IMAGE), Ask(NPY, input="z"), "no input is named 'z'; the signature has x"),
        (_npy(IMAGE), Ask(NPY, signature="s"), '"s" not found'),
        (b"no zip", Ask(NPZ), "are no npz file"),
        (b"\0" * 8, Ask(RAW, shape="3"), "8 bytes, but shape [3] of float takes 12"),
        (b"\0" * 8, Ask(RAW, shape="2", dtype="int64"), "the signature wants float"),
        (b"\0" * 8, Ask(RAW, shape="a"), "want sizes with commas"),
        (b"\0" * 8, Ask(RAW, shape="-2"), "want sizes with commas"),
        (b"\0" * 8, Ask(RAW), "raw bytes need a shape"),
        (b"\0" * 4, Ask(RAW, shape="1," * 65), "maximum supported dimension"),
        (b"", Ask(RAW, shape="0,99999999999999999999"), "Maximum allowed dimension"),
        (b"\0" * 4, Ask(RAW, shape="1", dtype="(2,"), "'(2,' is no dtype"),
        (b"\0" * 4, Ask(RAW, shape="1", dtype=","), "',' is no dtype"),
        (_head("("), Ask(NPY), "are no npy array"),
        (_head("-" * 5000 + "1"), Ask(NPY), "are no npy array"),
        (_head("{'descr': (), 'fortran_order': False, 'shape': (1,)}"), Ask(NPY), "no npy array"),
        (_damaged_zip(zipfile.ZIP_BZIP2), Ask(NPZ), "are no npz file"),
        (_damaged_zip(zipfile.ZIP_LZMA), Ask(NPZ), "are no npz file"),
        (b"\xff", Ask(PROTOBUF), "PredictRequest"),
    ],
)
def test_a_body_that_does_not_fit_is_refused(body: bytes, ask: Ask, why: str) -> None:
    assert why in _refusal(body, ask)


def test_pickles_are_not_opened() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("a pickle was opened",))

    body = _npy(np.array([Bomb()], object), allow_pickle=True)
    assert "elements of type object" in _refusal(body, Ask(NPY), model(x=dtypes.DT_STRING))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("x.npy", body)
    assert "elements of type object" in _refusal(
        stream.getvalue(), Ask(NPZ), model(x=dtypes.DT_STRING)
    )


def test_a_zip_that_unpacks_to_far_more_is_not_unpacked() -> None:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("x.npy", "w") as member,
    ):
        for _ in range(65):
            member.write(bytes(1 << 20))
    assert "bytes are read" in _refusal(stream.getvalue(), Ask(NPZ))


def test_a_zip_of_very_many_arrays_is_not_unpacked() -> None:
    body = _npz(**{f"a{place}": 0 for place in range(binary.ARRAYS_MAX + 1)})
    assert "at most 256" in _refusal(body, Ask(NPZ))


# ---- answers


def _load(body: bytes) -> Any:
    return np.load(io.BytesIO(body), allow_pickle=False)


def test_one_output_is_an_npy_array() -> None:
    kind, body, headers = binary.predict_answer(tensors.response({"y": IMAGE}), NPY)
    assert (kind, headers) == (NPY, {})
    np.testing.assert_array_equal(_load(body), IMAGE)


def test_several_outputs_are_an_npz_file() -> None:
    labels = np.array([b"a", b"bc"], object)
    response = tensors.response({"y": IMAGE, "labels": labels})
    for asked in (NPY, NPZ):
        kind, body, _ = binary.predict_answer(response, asked)
        assert kind == NPZ
        with _load(body) as found:
            np.testing.assert_array_equal(found["y"], IMAGE)
            assert found["labels"].tolist() == [b"a", b"bc"]


@pytest.mark.parametrize("name", ["file", "allow_pickle", "a/b"])
def test_an_output_in_an_npz_file_may_have_any_name(name: str) -> None:
    response = tensors.response({name: IMAGE, "y": IMAGE})
    with _load(binary.predict_answer(response, NPZ)[1]) as found:
        np.testing.assert_array_equal(found[name], IMAGE)


@pytest.mark.parametrize("codes", [b"\xff\xff\xff\xff", b"\0\xd8\0\0"])
def test_a_string_that_is_no_unicode_is_refused(codes: bytes) -> None:
    head = "{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}"
    body = _head(head)[:-4] + codes
    assert "no Unicode text" in _refusal(body, Ask(NPY), model(x=dtypes.DT_STRING))


def test_a_raw_answer_says_what_it_is() -> None:
    kind, body, headers = binary.predict_answer(tensors.response({"y": IMAGE}), RAW)
    assert (kind, body) == (RAW, IMAGE.tobytes())
    assert headers == {binary.DTYPE_HEADER: "float", binary.SHAPE_HEADER: "2,3,4"}
    brain = Tensor(dtypes.DT_BFLOAT16, np.array([1], np.float32))
    _, body, headers = binary.predict_answer(tensors.response({"y": brain}), RAW)
    assert (body, headers[binary.DTYPE_HEADER]) == (b"\x80\x3f", "bfloat16")


def test_a_raw_answer_carries_one_array_of_numbers() -> None:
    for outputs in ({"a": IMAGE, "b": IMAGE}, {"s": np.array(["x"])}):
        with pytest.raises(ServingError):
            binary.predict_answer(tensors.response(outputs), RAW)


def test_a_protobuf_answer_is_the_response_itself() -> None:
    response = tensors.response({"y": IMAGE})
    assert binary.predict_answer(response, PROTOBUF) == (PROTOBUF, response, {})


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", None),
        ("*/*", None),
        ("application/json", None),
        ("application/x-npy", NPY),
        ("text/html, Application/X-NPZ; q=0.5", NPZ),
        ("application/octet-stream", RAW),
        ("application/x-protobuf", PROTOBUF),
    ],
)
def test_the_accept_header_names_the_form(accept: str, kind: str | None) -> None:
    assert binary.accepted(accept) == kind
