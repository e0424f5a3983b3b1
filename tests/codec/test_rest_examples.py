"""REST classify and regress bodies become serialised Examples."""

import json
from typing import Any

import pytest

from eas_processor.codec import examples, rest, serving, signatures, tensors
from eas_processor.codec.serving import METHOD_CLASSIFY, METHOD_REGRESS
from eas_processor.errors import Code, ServingError
from tests.codec.models import signature_map

STRING, FLOAT = 7, 1
CLASSIFIER = signatures.read(
    signature_map({"inputs": STRING}, {"classes": STRING, "scores": FLOAT}, method=METHOD_CLASSIFY)
)
REGRESSOR = signatures.read(
    signature_map({"inputs": STRING}, {"outputs": FLOAT}, key="regress", method=METHOD_REGRESS)
)


def _example(**features: Any) -> Any:
    example = serving.message("Example")()
    for name, values in features.items():
        kind = {int: "int64_list", float: "float_list", bytes: "bytes_list"}[type(values[0])]
        getattr(example.features.feature[name], kind).value.extend(values)
    return example


def _fed(asked: signatures.Asked) -> list[Any]:
    flat = tensors.inputs(asked.request)["inputs"].values.tolist()
    return [serving.parse("Example", item) for item in flat]


def _refusal(call: Any, *arguments: Any, code: Code = Code.INVALID_ARGUMENT) -> str:
    with pytest.raises(ServingError) as caught:
        call(*arguments)
    assert caught.value.code is code
    return caught.value.message


def test_json_values_become_features_by_their_kind() -> None:
    body = {
        "context": {"shared": "é"},
        "examples": [
            {"f": [1.5, 2.0], "i": 3, "b": [True, 2], "s": ["a", {"b64": "aGk="}]},
            {"none": []},
        ],
    }
    asked = rest.classify_request(json.dumps(body).encode(), CLASSIFIER)
    first, second = _fed(asked)
    shared = ["é".encode()]
    assert first == _example(f=[1.5, 2.0], i=[3], b=[1, 2], s=[b"a", b"hi"], shared=shared)
    assert second.features.feature["none"].WhichOneof("kind") is None
    assert second.features.feature["shared"].bytes_list.value == shared
    assert asked.rows == 2


def test_a_context_that_would_become_very_large_is_refused() -> None:
    many = 1 + examples.CONTEXT_BYTES_MAX // 50_000
    body = {"context": {"c": "x" * 50_000}, "examples": [{}] * many}
    with pytest.raises(ServingError, match="send fewer examples at a time") as caught:
        rest.classify_request(json.dumps(body).encode(), CLASSIFIER)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_the_name_of_a_feature_is_text() -> None:
    for body in (b'{"examples":[{"\xff":1}]}', b'{"context":{"\xff":1},"examples":[{"a":1}]}'):
        with pytest.raises(ServingError, match="name of a feature is not UTF-8") as caught:
            rest.classify_request(body, CLASSIFIER)
        assert caught.value.code is Code.INVALID_ARGUMENT


def test_the_special_numbers_are_features() -> None:
    asked = rest.regress_request(
        b'{"signature_name": "regress", "examples": [{"x": [-Infinity]}]}', REGRESSOR
    )
    assert _fed(asked) == [_example(x=[float("-inf")])]


def test_a_number_beyond_the_range_of_floats_is_infinite() -> None:
    asked = rest.regress_request(
        b'{"signature_name": "regress", "examples": [{"x": [1e39, 100000000000000000000]}]}',
        REGRESSOR,
    )
    assert _fed(asked) == [_example(x=[float("inf"), 1e20])]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        (
            {"examples": [{"x": {"y": 1}}]},
            "Feature: x has element with unexpected JSON type: Object",
        ),
        (
            {"examples": [{"x": [1, 1.5]}]},
            "Unexpected element type in feature: x expecting type: int64",
        ),
        (
            {"examples": [{"x": [1, 1 << 63]}]},
            "Feature: x has uint64 element. Only int64 is supported.",
        ),
        ({"examples": [[1]]}, "Example must be JSON object but got JSON Array"),
        ({"context": 1, "examples": [{}]}, "Example must be JSON object but got JSON Number"),
        (
            {"examples": []},
            "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array",
        ),
        (
            {"examples": 1},
            "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array",
        ),
        (
            {},
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            {"signature_name": "s", "examples": [{}]},
            "No signature was found with the name: s",
        ),
    ],
)
def test_bodies_that_hold_no_examples_are_refused(body: Any, message: str) -> None:
    assert _refusal(rest.classify_request, json.dumps(body).encode(), CLASSIFIER) == message
