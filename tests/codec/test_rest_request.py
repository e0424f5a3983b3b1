"""REST predict bodies become tensors, or the peer's words for why not."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from eas_processor.codec import dtypes, rest, serving, tensors
from eas_processor.codec.dtypes import (
    DT_BFLOAT16,
    DT_BOOL,
    DT_DOUBLE,
    DT_FLOAT,
    DT_HALF,
    DT_INT8,
    DT_INT32,
    DT_INT64,
    DT_STRING,
    DT_UINT8,
    DT_UINT32,
    DT_UINT64,
)
from eas_processor.codec.signatures import Signatures
from eas_processor.errors import Code, ServingError
from tests.codec.models import model


def _ask(body: Any, known: Signatures) -> tuple[rest.Asked, dict[str, Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = rest.predict_request(raw, known)
    found = tensors.inputs(asked.request)
    return asked, {name: tensor.values.tolist() for name, tensor in found.items()}


def _refusal(body: Any, known: Signatures, code: Code = Code.INVALID_ARGUMENT) -> str:
    with pytest.raises(ServingError) as caught:
        _ask(body, known)
    assert caught.value.code is code
    return caught.value.message


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (DT_FLOAT, [[1, 2.5], [-3, 1e-3]]),
        (DT_DOUBLE, [0.1, 2, 1e300]),
        (DT_HALF, [1.5, 65504]),
        (DT_BFLOAT16, [1.5, 3.0]),
        (DT_INT32, [[[1], [-2]]]),
        (DT_INT8, [1, -2]),
        (DT_INT64, [1, -(1 << 63)]),
        (DT_UINT32, [0, (1 << 32) - 1]),
        (DT_UINT64, [0, (1 << 64) - 1]),
        (DT_BOOL, [True, False]),
    ],
)
def test_both_forms_carry_every_dtype(dtype: int, values: list[Any]) -> None:
    known = model(x=dtype)
    expected = np.array(values, dtypes.KINDS[dtype].numpy).tolist()
    for key, value in (("instances", values), ("inputs", values), ("inputs", {"x": values})):
        asked, found = _ask({key: value}, known)
        assert found == {"x": expected}
        assert asked.row is (key == "instances")
        assert asked.rows == len(values)
        assert serving.parse("PredictRequest", asked.request).inputs["x"].tensor_content


def test_rows_of_several_inputs_are_stacked_by_name() -> None:
    body = {"instances": [{"a": [1, 2], "b": "x"}, {"b": "y", "a": [3, 4]}]}
    asked, found = _ask(body, model(a=DT_INT32, b=DT_STRING))
    assert found == {"a": [[1, 2], [3, 4]], "b": [b"x", b"y"]}
    assert asked.rows == 2


def test_rows_of_one_input_may_name_it() -> None:
    assert _ask({"instances": [{"x": 1}, {"x": 2}]}, model(x=DT_FLOAT))[1] == {"x": [1.0, 2.0]}


def test_a_scalar_column_has_no_rows() -> None:
    asked, found = _ask({"inputs": 2.5}, model(x=DT_FLOAT))
    assert found == {"x": 2.5}
    assert asked.rows is None


def test_strings_are_utf8_or_base64_with_or_without_padding() -> None:
    body = {"instances": ["é", {"b64": "aGVsbG8="}, {"b64": "aGVsbG8"}, {"b64": " aGk= "}]}
    assert _ask(body, model(x=DT_STRING))[1] == {"x": ["é".encode(), b"hello", b"hello", b"hi"]}
    assert _ask(b'{"inputs": {"b64": "aGk="}}', model(x=DT_STRING))[1] == {"x": b"hi"}


def test_the_special_numbers_are_read() -> None:
    body = b'{"instances": [NaN, -Infinity, Infinity, Inf]}'
    (values,) = _ask(body, model(x=DT_FLOAT))[1].values()
    assert values[0] != values[0]
    assert values[1:] == [float("-inf"), float("inf"), float("inf")]


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize(
    ("dtype", "written", "value"),
    [
        (DT_FLOAT, "1435774380", 1435774336.0),
        (DT_FLOAT, "16777217", 16777216.0),
        (DT_FLOAT, "-3.4028235e38", float(np.finfo(np.float32).min)),
        (DT_FLOAT, "1.79769e+308", float("inf")),
        (DT_FLOAT, "-1.79769e+308", float("-inf")),
        (DT_FLOAT, "2.22507e-308", 0.0),
        (DT_DOUBLE, "9007199254740993", 9007199254740992.0),
        (DT_DOUBLE, "18446744073709551615", float(1 << 64)),
        (DT_DOUBLE, "100000000000000000000", 1e20),
        (DT_HALF, "1e6", float("inf")),
    ],
)
def test_real_inputs_take_any_number(dtype: int, written: str, value: float, size: int) -> None:
    body = f'{{"instances": [{", ".join([written] * size)}]}}'.encode()
    assert _ask(body, model(x=dtype))[1] == {"x": [value] * size}


def test_lists_deeper_than_an_array_can_be_are_refused() -> None:
    body = b'{"instances": ' + b"[" * 65 + b"1" + b"]" * 65 + b"}"
    assert "65 deep; at most 64" in _refusal(body, model(x=DT_FLOAT))
    body = b'{"inputs": ' + b"[" * 65 + b"1" + b"]" * 65 + b"}"
    assert "65 deep; at most 64" in _refusal(body, model(x=DT_FLOAT))


def test_small_integer_types_wrap_as_the_peers_do() -> None:
    assert _ask({"instances": [300, -1]}, model(x=DT_UINT8))[1] == {"x": [44, 255]}


def test_inputs_with_a_default_may_be_left_out() -> None:
    known = model("b", a=DT_FLOAT, b=DT_FLOAT)
    assert _ask({"inputs": {"a": 1}}, known)[1] == {"a": 1.0}
    assert _ask({"instances": [{"a": 1}, {"a": 2}]}, known)[1] == {"a": [1.0, 2.0]}
    assert "Missing named input: a" in _refusal({"inputs": {"b": 1}}, known)


def test_the_outputs_wanted_can_be_named() -> None:
    asked, _ = _ask({"instances": [1], "output_filter": ["y"]}, model(x=DT_FLOAT))
    assert list(serving.parse("PredictRequest", asked.request).output_filter) == ["y"]
    assert "'output_filter'" in _refusal({"instances": [1], "output_filter": "y"}, model(x=1))


def test_the_signature_asked_for_is_used_and_named() -> None:
    asked, _ = _ask({"signature_name": "", "instances": [1]}, model(x=DT_FLOAT))
    assert asked.signature == "serving_default"
    spec = serving.parse("PredictRequest", asked.request).model_spec
    assert spec.signature_name == "serving_default"
    message = _refusal({"signature_name": "s", "instances": [1]}, model(x=DT_FLOAT))
    assert message == 'Serving signature name: "s" not found in signature def'


def test_a_column_may_be_the_raw_bytes_of_a_tensor() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    raw = {"b64": base64.b64encode(values.tobytes()).decode(), "shape": [2, 3]}
    for inputs in (raw, {"x": raw}, {"x": raw | {"dtype": "float32"}}):
        assert _ask({"inputs": inputs}, model(x=DT_FLOAT))[1] == {"x": values.tolist()}


def test_inputs_named_like_the_parts_of_a_raw_tensor_are_inputs() -> None:
    known = model(b64=DT_STRING, shape=DT_INT32)
    found = _ask({"inputs": {"b64": "aGk=", "shape": [1, 2]}}, known)[1]
    assert found == {"b64": b"aGk=", "shape": [1, 2]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"shape": [2]}, "4 bytes, but shape [2] of float takes 8"),
        ({"dtype": "int32"}, "the signature wants float"),
        ({"shape": [-1]}, "'shape' must be a list of sizes"),
        ({"b64": "?"}, "Unable to base64 decode"),
    ],
)
def test_raw_bytes_that_do_not_fit_are_refused(change: dict[str, Any], why: str) -> None:
    body = {"inputs": {"x": {"b64": "AAAAAA==", "shape": [1]} | change}}
    assert why in _refusal(body, model(x=DT_FLOAT))
