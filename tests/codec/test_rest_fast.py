"""The fast way to read a body says the same as the general one, and is taken when it can be."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.codec import rest_fast, rest_forms, rest_request, tensors
from eas_processor.codec.dtypes import (
    DT_BOOL,
    DT_DOUBLE,
    DT_FLOAT,
    DT_HALF,
    DT_INT32,
    DT_INT64,
    DT_UINT64,
)
from eas_processor.codec.signatures import Signatures
from eas_processor.errors import ServingError
from tests.codec.models import model

NUMBERS = st.one_of(
    st.integers(-300, 300),
    st.floats(-1000, 1000),
    st.sampled_from([1 << 24, 1 << 31, (1 << 53) + 1, 1e39, 1 << 63, (1 << 64) - 1, 1 << 70, -0.0]),
)
LEAVES = st.one_of(NUMBERS, NUMBERS, NUMBERS, st.booleans(), st.none(), st.just("1"))
NESTED = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
REGULAR = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.lists(NUMBERS, min_size=size, max_size=size), min_size=1, max_size=4)
)


def outcome(body: bytes, known: Signatures) -> Any:
    try:
        asked = rest_request.predict_request(body, known)
    except ServingError as error:
        return error.code, error.message
    arrays = tensors.inputs(asked.request)
    return (
        asked.row,
        asked.rows,
        {
            name: (tensor.dtype, tensor.values.shape, tensor.values.tobytes())
            for name, tensor in sorted(arrays.items())
        },
    )


@pytest.fixture(params=["walked", "by its skeleton"], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """However many lists a body has, they are looked at in this way."""
    kept = rest_forms.WALKED_LIST_BYTES
    rest_forms.WALKED_LIST_BYTES = 0 if request.param == "walked" else 1 << 40
    yield
    rest_forms.WALKED_LIST_BYTES = kept


@pytest.mark.usefixtures("way")
@given(
    st.sampled_from([DT_FLOAT, DT_DOUBLE, DT_INT32, DT_INT64, DT_UINT64, DT_HALF, DT_BOOL]),
    st.sampled_from(["instances", "inputs", "rows", "columns"]),
    st.one_of(NESTED, REGULAR),
)
def test_the_fast_way_agrees_with_the_general_way(dtype: int, form: str, value: Any) -> None:
    known = model(x1=dtype)
    document = {
        "instances": {"instances": [value, value]},
        "inputs": {"inputs": value},
        "rows": {"instances": [{"x1": value}] * 2},
        "columns": {"inputs": {"x1": value}},
    }[form]
    short = json.dumps(document).encode()
    long = short[:-1] + b" " * rest_fast.BODY_BYTES_MIN + b"}"
    assert outcome(long, known) == outcome(short, known)


RAGGED = [
    [[1, 2], [3], [4, 5, 6]],
    [[1, 2], [3, [4]]],
    [[1], [2, 3], []],
    [1, [2], 3],
    [[1, 2], [[], 3, 4]],
    [[1, 2, 3], [[4, 5], 6, []]],
]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("value", RAGGED)
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_ragged_lists_of_the_right_total_are_not_taken(key: str, value: Any) -> None:
    body = json.dumps({key: value * 60}).encode()
    assert len(body) > rest_fast.BODY_BYTES_MIN
    assert rest_fast.read(body, model(x=DT_FLOAT)) is None
    with pytest.raises(ServingError, match=r"Encountered list|Expecting|found at incorrect"):
        rest_request.predict_request(body, model(x=DT_FLOAT))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1.5] * 100], "output_filter": ["y"]},
        {"inputs": [[1] * 100] * 2},
        {"inputs": {"x": [[1e-3] * 100]}},
        {"instances": [{"x": [1.5] * 20}] * 5, "signature_name": "serving_default"},
        {"instances": [{"x": 1.5}] * 40},
    ],
)
def test_what_is_in_order_goes_the_fast_way(document: dict[str, Any]) -> None:
    for indent in (None, 1):
        body = json.dumps(document, indent=indent).encode()
        assert rest_fast.read(body, model(x=DT_FLOAT)) is not None


@pytest.mark.usefixtures("way")
def test_a_body_hidden_in_a_string_is_not_taken_for_the_value() -> None:
    decoy = '"instances":[[1,2],[3,4]]'.replace('"', "'")
    body = json.dumps({"signature_name": decoy, "instances": [[1, 2], [3]] * 60}).encode()
    with pytest.raises(ServingError, match="not found in signature def"):
        rest_request.predict_request(body, model(x=DT_FLOAT))
    doubled = b'{"instances":[[1,2],[3]],"instances":[[1,2],[3,4]]' + b" " * 300 + b"}"
    with pytest.raises(ServingError, match="Expecting tensor size"):
        rest_request.predict_request(doubled, model(x=DT_FLOAT))


@pytest.mark.parametrize("name", [None, 0, 0.0, False, [], {}])
def test_a_signature_name_that_is_no_string_is_left_to_the_general_way(name: Any) -> None:
    body = json.dumps({"signature_name": name, "instances": [1.5] * 100}).encode()
    with pytest.raises(ServingError, match="'signature_name' key must be a string value"):
        rest_request.predict_request(body, model(x=DT_FLOAT))


@pytest.mark.usefixtures("way")
def test_names_that_differ_in_what_a_skeleton_leaves_out_are_not_mixed_up() -> None:
    rows = [{"a1": [[1, 2]], "a2": [[1], [2]]}, {"a2": [[1, 2]], "a1": [[1], [2]]}] * 10
    known = model(a1=DT_FLOAT, a2=DT_FLOAT)
    with pytest.raises(ServingError, match="Expecting shape"):
        rest_request.predict_request(json.dumps({"instances": rows}).encode(), known)
    rows = [{"a1": [[1, 2]], "a2": [[1], [2]]}, {"a2": [[1], [2]], "a1": [[3, 4]]}] * 10
    asked = rest_request.predict_request(json.dumps({"instances": rows}).encode(), known)
    assert tensors.inputs(asked.request)["a1"].values.tolist()[:2] == [[[1, 2]], [[3, 4]]]


def test_a_beginning_that_promises_more_than_the_body_holds_costs_no_memory() -> None:
    body = b'{"instances": [' + b"[" * 62 + b"1" + b"]" * 62 + b",1" * 500_000 + b"]}"
    tracemalloc.start()
    try:
        assert rest_fast.read(body, model(x=DT_FLOAT)) is None
        assert tracemalloc.get_traced_memory()[1] < 10 * len(body)
    finally:
        tracemalloc.stop()
