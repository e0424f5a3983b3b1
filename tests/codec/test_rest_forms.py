"""A body whose form is known from an earlier one says what it would say without the earlier one."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.codec import rest_fast, rest_forms, rest_request, tensors
from eas_processor.codec.dtypes import DT_FLOAT, DT_INT32, DT_INT64
from eas_processor.codec.signatures import Signatures
from eas_processor.errors import ServingError
from tests.codec.models import model
from tests.codec.test_rest_fast import REGULAR, outcome

NUMBER = re.compile(rb"-?\d[\d.eE+-]*")


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    rest_forms._forms.clear()
    yield
    rest_forms._forms.clear()


def _padded(document: Any) -> bytes:
    return json.dumps(document).encode() + b" " * rest_fast.BODY_BYTES_MIN


def _general(body: bytes, known: Signatures) -> Any:
    """What is said of a body that is too short for the fast way."""
    short = body.rstrip(b" ")
    assert len(short) < rest_fast.BODY_BYTES_MIN
    return outcome(short, known)


def _reads(body: bytes, known: Signatures) -> dict[str, Any]:
    found = rest_fast.read(body, known)
    assert found is not None
    return {name: tensor.values.tolist() for name, tensor in found[1].items()}


@given(
    st.sampled_from([DT_FLOAT, DT_INT64]),
    st.sampled_from(["instances", "inputs", "rows", "columns"]),
    REGULAR,
    st.lists(st.sampled_from([b"", b"7", b"2.5", b"-1e3", b"1 2", b"true", b'"5"']), max_size=20),
    st.sampled_from([b"x1", b"x1", b"x1", b"x2", b"x", b"xe1"]),
)
def test_other_numbers_in_a_known_form(
    dtype: int, form: str, value: Any, others: list[bytes], name: bytes
) -> None:
    known = model(x1=dtype)
    document = {
        "instances": {"instances": value},
        "inputs": {"inputs": value, "signature_name": "serving_default"},
        "rows": {"instances": [{"x1": value}] * 2},
        "columns": {"inputs": {"x1": value}},
    }[form]
    first = _padded(document)
    outcome(first, known)  # known from now on, if it is taken
    left = iter(others)
    text = NUMBER.sub(lambda match: next(left, match[0]), first.replace(b'"x1"', b'"NAME"'))
    second = text.replace(b'"NAME"', b'"%b"' % name)
    if len(second.rstrip(b" ")) < rest_fast.BODY_BYTES_MIN:
        assert outcome(second, known) == _general(second, known)


def test_a_form_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known = model(a=DT_FLOAT, b=DT_INT32)
    rows = [{"a": [[1, 2.5]], "b": 3}] * 2
    _reads(_padded({"instances": rows, "signature_name": "serving_default"}), known)
    monkeypatch.setattr(rest_forms, "first_form", None)
    rows = [{"a": [[3, 4]], "b": 5}, {"b": 8, "a": [[6, 7]]}]
    with pytest.raises(TypeError):  # which is no reason to read it in the general way
        monkeypatch.setattr(rest_fast, "_REASONS", ())
        _reads(_padded({"instances": rows, "signature_name": "serving_default"}), known)
    rows[1] = {"a": [[6, 7]], "b": 8}
    found = _reads(_padded({"instances": rows, "signature_name": "serving_default"}), known)
    assert found == {"a": [[[3, 4]], [[6, 7]]], "b": [5, 8]}


def test_names_that_leave_the_same_are_not_mixed_up() -> None:
    known = model(x1=DT_FLOAT, x2=DT_FLOAT)
    for key in ("inputs", "instances"):
        for one, two in (([[1, 2]], [[3], [4]]), ([[1], [2]], [[3, 4]])):
            for document in ({"x1": one, "x2": two}, {"x2": one, "x1": two}):
                if key == "inputs":
                    assert _reads(_padded({key: document}), known) == document
                else:
                    rows = {name: [value] for name, value in document.items()}
                    assert _reads(_padded({key: [document]}), known) == rows


def test_the_signature_is_that_of_the_body() -> None:
    both = dict.fromkeys(("s1", "s2"), model(x=DT_FLOAT)["serving_default"])
    for name in ("s1", "s2", "s1", "s3"):
        body = _padded({"signature_name": name, "instances": [1.5, 2]})
        if name in both:
            found = rest_fast.read(body, both)
            assert found is not None
            assert found[0] == {"signature_name": name}
        else:
            with pytest.raises(ServingError, match='name: "s3" not found'):
                rest_request.predict_request(body, both)


def test_models_are_not_mixed_up() -> None:
    body = _padded({"instances": [[1, 2]]})
    for dtype in (DT_FLOAT, DT_INT32, DT_FLOAT):
        asked = rest_request.predict_request(body, model(x=dtype))
        assert tensors.inputs(asked.request)["x"].dtype == dtype


def test_what_is_known_is_bounded() -> None:
    known = model(x=DT_FLOAT)
    for size in range(1, 3 * rest_forms.REMEMBERED_MAX):
        _reads(_padded({"instances": [[1] * size]}), known)
    assert len(rest_forms._forms) == rest_forms.REMEMBERED_MAX
    rest_forms._forms.clear()
    _reads(_padded({"instances": [1] * rest_forms.REMEMBERED_BYTES_MAX}), known)
    assert not rest_forms._forms
