"""Bodies are read, and refused, as RapidJSON would."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.codec import json_reader, json_text
from eas_processor.errors import Code, ServingError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab"\\/\n'), inner),
    max_leaves=20,
)


def _refusal(body: bytes) -> str:
    with pytest.raises(ServingError) as caught:
        json_text.parse(body)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "phrase", "offset"),
    [
        (b" \n", "The document is empty.", 2),
        (b"x", "Invalid value.", 0),
        (b"{", "Missing a name for object member.", 1),
        (b'{"a":1,}', "Missing a name for object member.", 7),
        (b"{a:1}", "Missing a name for object member.", 1),
        (b'{"a" 1}', "Missing a colon after a name of object member.", 5),
        (b'{"a":1', "Missing a comma or } after an object member.", 6),
        (b'{"a":[1,2}', "Missing a comma or ] after an array element.", 9),
        (b'{"a":[01]}', "Missing a comma or ] after an array element.", 7),
        (b'{"a":[1,]}', "Invalid value.", 8),
        (b'{"a":nul}', "Invalid value.", 8),
        (b'{"a":-}', "Invalid value.", 6),
        (b'{"a":Infinit}', "Invalid value.", 12),
        (b'{"a":[1.]}', "Miss fraction part in number.", 8),
        (b'{"a":[1e+]}', "Miss exponent in number.", 9),
        (b'{"a":[1,2,1e999]}', "Number too big to be stored in double.", 10),
        (b'{"a":[1,2,' + b"9" * 5000 + b"]}", "Number too big to be stored in double.", 10),
        (b'{"a":"x', "Missing a closing quotation mark in string.", 7),
        (b'{"a":"\\x"}', "Invalid escape character in string.", 6),
        (b'{"a":"\\u12g4"}', "Incorrect hex digit after \\u escape in string.", 6),
        (b'{"a":"\\ud800"}', "The surrogate pair in string is invalid.", 6),
        (b'{"a":"\\udc80"}', "The surrogate pair in string is invalid.", 6),
        (b'{"a":"x\x01"}', "Invalid encoding in string.", 7),
        ('{"é":x}'.encode(), "Invalid value.", 6),
    ],
)
def test_a_mistake_is_named_with_its_byte_offset(body: bytes, phrase: str, offset: int) -> None:
    assert _refusal(body) == f"JSON Parse error: {phrase} at offset: {offset}"


@pytest.mark.parametrize(
    ("mistake", "phrase"),
    [
        (b"1e999", "Number too big to be stored in double."),
        (b'"\\ud800"', "The surrogate pair in string is invalid."),
        (b'"\\x"', "Invalid escape character in string."),
        (b"nul", "Invalid value."),
        (b"1 2", "Missing a comma or ] after an array element."),
        (b"{1:2}", "Missing a name for object member."),
        (b'{"a"}', "Missing a colon after a name of object member."),
        (b'{"a":1]', "Missing a comma or } after an object member."),
    ],
)
def test_a_large_body_is_refused_near_the_place_of_its_mistake(mistake: bytes, phrase: str) -> None:
    before = b'{"a":[' + b'[1,2.5],"x\\"",' * (json_reader.EXACT_BYTES_MAX // 12)
    found = _refusal(before + mistake + b"]}")
    said, _, offset = found.removeprefix("JSON Parse error: ").partition(" at offset: ")
    assert said == phrase
    assert len(before) <= int(offset) <= len(before) + len(mistake)


def test_a_large_body_that_is_cut_is_wrong_at_its_end() -> None:
    body = b'{"a":[' + b"1.5," * json_reader.EXACT_BYTES_MAX
    assert _refusal(body) == f"JSON Parse error: Invalid value. at offset: {len(body)}"


def test_a_large_body_may_hold_what_only_the_peer_takes() -> None:
    size = json_reader.EXACT_BYTES_MAX
    body = b'{"a":[' + b"1," * size + b'"-Inf NaN", Inf, -Infinity, Infinity,-Inf]}'
    found = json_text.parse(body)["a"][size:]
    infinity = float("inf")
    assert found == ["-Inf NaN", infinity, -infinity, infinity, -infinity]


def test_a_large_body_may_begin_with_a_mark_and_end_with_anything() -> None:
    value = {"a": [1] * json_reader.EXACT_BYTES_MAX}
    body = b"\xef\xbb\xbf" + json.dumps(value).encode()
    assert json_text.parse(body) == value
    assert json_text.parse(body[3:] + b" }x") == value


def test_the_first_of_two_mistakes_is_told() -> None:
    assert "surrogate pair in string is invalid. at offset: 6" in _refusal(b'{"a":"\\ud800",x}')
    assert "too big to be stored in double. at offset: 6" in _refusal(b'{"a":[1e999,"\\ud800"]}')
    assert "too big to be stored in double. at offset: 14" in _refusal(b'{"a":["1e999",1e999]}')


def test_no_body_at_all_is_an_empty_document() -> None:
    assert _refusal(b"") == "JSON Parse error: The document is empty"


def test_anything_but_an_object_is_refused_and_shown() -> None:
    assert _refusal(b"[1, 2.5]") == "JSON Value: [\n    1,\n    2.5\n] Is not object"


@pytest.mark.parametrize("depth", [json_reader.DEPTH_MAX, 990, 1000, 1010, 1020, 1030])
def test_nesting_is_read_or_refused_whatever_reader_sees_it(depth: int) -> None:
    body = b'{"a":' + b"[" * depth + b"1" + b"]" * depth + b"}"
    if depth == json_reader.DEPTH_MAX:
        assert repr(json_text.parse(body)["a"]) == "[" * depth + "1" + "]" * depth
        return
    try:
        json_text.parse(body)
    except ServingError as error:
        assert "in one another" in error.message


@pytest.mark.parametrize("tail", [b"]}}", b"}", b"x"])
def test_a_mistake_behind_any_nesting_is_the_clients(tail: bytes) -> None:
    for depth in range(900, 1050):
        assert _refusal(b'{"instances":[{"x":' + b"[" * depth + b"1" + b"]" * depth + tail)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    assert "in one another" in _refusal(b'{"a":' + opening * 100_000)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":1} and more', {"a": 1}),
        (b'{"a":1,"a":2}', {"a": 1}),
        (b'{"a":Inf,"b":-Infinity}', {"a": float("inf"), "b": float("-inf")}),
        (b'\xef\xbb\xbf {"a":1}', {"a": 1}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        (b'{"a":"\xff"}', {"a": "\udcff"}),
        (b'{"a":-0}', {"a": 0}),
    ],
)
def test_what_the_peer_takes_is_taken(body: bytes, value: dict[str, Any]) -> None:
    assert json_text.parse(body) == value


def test_nan_is_a_number_with_any_sign() -> None:
    for body in (b'{"a":NaN}', b'{"a":-NaN}'):
        (number,) = json_text.parse(body).values()
        assert number != number


@given(JSON)
def test_the_two_readers_agree_on_json(value: Any) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"v": value}, ensure_ascii=ascii_only).encode()
        assert json_reader.read(body) == json.loads(body)
        assert json_text.parse(body) == json.loads(body)


@given(st.binary(max_size=40))
def test_no_body_breaks_the_reader(noise: bytes) -> None:
    for body in (noise, b'{"a":' + noise, b'{"a":[1,' + noise + b"]}"):
        try:
            json_text.parse(body)
        except ServingError as error:
            assert error.code is Code.INVALID_ARGUMENT


def test_a_large_value_is_shown_by_its_beginning() -> None:
    shown = json_text.display({"a": list(range(100_000))})
    assert shown.startswith('{\n    "a": [\n        0,\n        1,')
    assert len(shown) == json_text.SHOWN_BYTES_MAX


def test_a_string_is_printed_with_the_escapes_of_rapidjson() -> None:
    assert json_text.quoted(b'a"\\/\n\x01\x1f\xc3\xa9') == b'"a\\"\\\\/\\n\\u0001\\u001F\xc3\xa9"'


@given(st.lists(st.binary(max_size=4)))
def test_many_strings_are_printed_as_each_by_itself(values: list[bytes]) -> None:
    assert json_text.all_quoted(values) == [json_text.quoted(value) for value in values]
