"""What is wrong with a REST predict body is told in the peer's words."""

import json
from typing import Any

import pytest

from eas_processor.codec import rest
from eas_processor.codec.dtypes import DT_COMPLEX64
from eas_processor.codec.signatures import Signatures
from eas_processor.errors import Code, ServingError
from tests.codec.models import model


def _refusal(body: Any, known: Signatures, code: Code = Code.INVALID_ARGUMENT) -> str:
    with pytest.raises(ServingError) as caught:
        rest.predict_request(json.dumps(body).encode(), known)
    assert caught.value.code is code
    return caught.value.message


ROW = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: "


@pytest.mark.parametrize(
    ("body", "inputs", "message"),
    [
        ({}, {"x": 1}, "Missing 'inputs' or 'instances' key"),
        (
            {"signature_name": 5},
            {"x": 1},
            'JSON Value: {\n    "signature_name": 5\n} not formatted correctly. '
            "'signature_name' key must be a string value.",
        ),
        (
            {"instances": [1], "inputs": 1},
            {"x": 1},
            'JSON Value: {\n    "instances": [\n        1\n    ],\n    "inputs": 1\n} Not '
            "formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            {"instances": []},
            {"x": 1},
            "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
        ),
        (
            {"inputs": "x"},
            {"x": 1},
            'JSON Value: "x" Type: String is not of expected type: float',
        ),
        (
            {"instances": [1.0]},
            {"x": 3},
            ROW.format(0) + "JSON Value: 1.0 Type: Number is not of expected type: int32",
        ),
        (
            {"instances": [1 << 31]},
            {"x": 3},
            ROW.format(0) + "JSON Value: 2147483648 Type: Number is not of expected type: int32",
        ),
        (
            {"instances": [True]},
            {"x": 1},
            ROW.format(0) + "JSON Value: true Type: True is not of expected type: float",
        ),
        (
            {"instances": [[1, 2], [3]]},
            {"x": 1},
            ROW.format(1) + "Expecting tensor size: 2 but got: 1",
        ),
        (
            {"instances": [[1, 2], [[3, 4]]]},
            {"x": 1},
            ROW.format(1) + "Expecting shape [2] but got: [1,2]",
        ),
        ({"inputs": [1, [2]]}, {"x": 1}, "Encountered list at unexpected level: 1 expected < 1"),
        (
            {"inputs": [[1, 2], [3]]},
            {"x": 1},
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            {"inputs": [[1], 2]},
            {"x": 1},
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            {"instances": [1]},
            {"x": 1, "z": 1},
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map",
        ),
        (
            {"inputs": [1]},
            {"x": 1, "z": 1},
            "inputs is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map",
        ),
        ({"inputs": {"x": 1}}, {"x": 1, "z": 1}, "Missing named input: z in 'inputs' object."),
        (
            {"instances": [{"x": 1}, 2]},
            {"x": 1},
            "Expecting object but got list at item 1 of input list",
        ),
        (
            {"instances": [1, {"x": 1}]},
            {"x": 1},
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            {"instances": [{"q": 1}]},
            {"x": 1},
            "Failed to process element: 0 key: q of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does not have named input: q",
        ),
        (
            {"instances": [{"x": 1, "z": 1}, {"x": 1}]},
            {"x": 1, "z": 1},
            "Failed to process element: 1 of 'instances' list. JSON object: {\n    \"x\": 1\n} "
            "must only have keys: x,z",
        ),
        ({"inputs": {"b64": "a?"}}, {"x": 7}, "Unable to base64 decode"),
        (
            {"inputs": [{"b": 1}]},
            {"x": 7},
            'JSON Value: {\n    "b": 1\n} not formatted correctly for base64 data',
        ),
    ],
)
def test_a_mistake_is_told_in_the_peers_words(
    body: Any, inputs: dict[str, int], message: str
) -> None:
    assert _refusal(body, model(**inputs)) == message


def test_a_dtype_that_json_cannot_carry_is_not_implemented() -> None:
    message = _refusal({"inputs": 1}, model(x=DT_COMPLEX64), Code.UNIMPLEMENTED)
    assert message == "Conversion of JSON Value: 1 to type: complex64"


MANY = 10_000


@pytest.mark.parametrize(
    ("body", "inputs", "message"),
    [
        (
            {"instances": [[1, 2]] * MANY + [[1]]},
            {"x": 1},
            ROW.format(MANY) + "Expecting tensor size: 2 but got: 1",
        ),
        (
            {"instances": [1] * MANY + ["a"]},
            {"x": 1},
            ROW.format(MANY) + 'JSON Value: "a" Type: String is not of expected type: float',
        ),
        (
            {"instances": [{"x": 1}] * MANY + [{"x": 1 << 31}] + [{}]},
            {"x": 3},
            f"Failed to process element: {MANY} key: x of 'instances' list. Error: "
            "INVALID_ARGUMENT: JSON Value: 2147483648 Type: Number is not of expected type: int32",
        ),
        (
            {"inputs": [[1] * MANY, [1] * MANY + [[2]]]},
            {"x": 1},
            f"Encountered list at unexpected size: {MANY + 1} at level: 1 expected size: {MANY}",
        ),
        (
            {"inputs": [[[1] * MANY] * 2, [[1] * MANY, [1] * (MANY - 1) + [True]]]},
            {"x": 1},
            "JSON Value: true Type: True is not of expected type: float",
        ),
    ],
)
def test_a_mistake_behind_much_that_is_right_is_found(
    body: Any, inputs: dict[str, int], message: str
) -> None:
    assert _refusal(body, model(**inputs)) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"inputs": {"b64": "\xff"}}', "Unable to base64 decode"),
        (b'{"inputs": "a", "output_filter": ["\xff"]}', "an output's name is not UTF-8"),
    ],
)
def test_bytes_that_are_no_text_are_refused_where_text_is_wanted(body: bytes, message: str) -> None:
    with pytest.raises(ServingError, match=message) as caught:
        rest.predict_request(body, model(x=7))
    assert caught.value.code is Code.INVALID_ARGUMENT
