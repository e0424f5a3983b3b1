"""The tolerant reader: equal to json where json can read, helpful where it can not."""

import contextlib
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eas_processor.config import jsonc
from eas_processor.errors import ConfigError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=15,
)
NOISE = (
    "", " ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "// oss://x, { [ \"\n", "# }],\n",
    "/* \" // # { */", "/**/", "/* a\n b */ // c\r\n",
)  # fmt: skip


def value_of(text: str) -> object:
    return jsonc.parse(text, "f.json").value


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        jsonc.parse(text, "f.json")
    return caught.value.message


def written(value: object, data: st.DataObject) -> str:
    def noise() -> str:
        return data.draw(st.sampled_from(NOISE))

    def comma(last: bool) -> str:
        return "," if not last or data.draw(st.booleans()) else ""

    if isinstance(value, dict):
        items = [
            f"{noise()}{json.dumps(key)}{noise()}:{noise()}{written(one, data)}{noise()}"
            f"{comma(at == len(value) - 1)}"
            for at, (key, one) in enumerate(value.items())
        ]
        return "{" + "".join(items) + noise() + "}"
    if isinstance(value, list):
        items = [
            f"{noise()}{written(one, data)}{noise()}{comma(at == len(value) - 1)}"
            for at, one in enumerate(value)
        ]
        return "[" + "".join(items) + noise() + "]"
    return json.dumps(value, ensure_ascii=data.draw(st.booleans()))


@given(JSON, st.data())
@settings(max_examples=300, deadline=None)
def test_any_json_reads_the_same_whatever_comments_and_commas_are_added(
    value: object, data: st.DataObject
) -> None:
    around = data.draw(st.sampled_from(NOISE))
    assert value_of(around + written(value, data) + around) == json.loads(json.dumps(value))


@given(
    st.text(st.sampled_from('{}[]",:/*#\\\n\tabtrufalsn01-.eE+ \ud800é“，'), max_size=40)
    | st.text(max_size=40)
)
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example("9" * 10_000)
@example('"\\ud800"')
@example('{"a": 1e999}')
@settings(max_examples=1500, deadline=None)
def test_garbage_raises_nothing_but_a_config_error(text: str) -> None:
    try:
        value_of(text)
    except ConfigError as error:
        assert error.message.startswith("f.json")


@given(st.text(st.sampled_from('{}[]",:ab1 '), max_size=12))
@settings(max_examples=1500, deadline=None)
def test_what_json_accepts_is_accepted_and_equal(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        return
    assert value_of(text) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        '"a',
        '"\\"',
        "//x\n",
        "/*x*/",
        '{"a":1},',
        "# \n\t",
        "1,",
        "[],",
        '{"k":1,"k":2},',
        "/*",
        "\\",
    ],
)
def test_the_time_grows_with_the_size_and_no_faster(pattern: str) -> None:
    def seconds(size: int) -> float:
        text = "[" + pattern * (size // len(pattern))
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            with contextlib.suppress(ConfigError):
                value_of(text)
            best = min(best, time.process_time() - began)
        return best

    # Eight times the text may take eight times as long; squared it would take 64 times.
    assert seconds(240_000) < 24 * max(seconds(30_000), 0.004)


def test_a_comment_sign_inside_a_text_is_text() -> None:
    assert value_of('{"a": "oss://b/c#d/*e*/"} // end') == {"a": "oss://b/c#d/*e*/"}


def test_a_byte_order_mark_and_odd_white_space_are_skipped() -> None:
    assert value_of('\ufeff{\u00a0"a"\u3000:\u200b1}') == {"a": 1}


def test_a_key_that_is_written_twice_counts_the_last_time_and_warns() -> None:
    document = jsonc.parse('{"a": 1,\n "b": 2,\n "a": 3}', "f.json")
    assert document.value == {"a": 3, "b": 2}
    assert document.warnings == (
        'f.json:3:2: "a" is written twice (first on line 1); the last one counts',
    )


def test_every_value_has_its_place() -> None:
    document = jsonc.parse('{"a": [1,\r\n  {"b": 2}]}', "f.json")
    assert document.place(("a", 1, "b")) == "f.json:2:9"
    assert document.place(()) == "f.json:1:1"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "holds no JSON"),
        ("// only a comment", "1:18", "holds no JSON"),
        ('{"a": 1 "b": 2}', "1:9", "a comma is missing before it"),
        ('{"a": 1\n "b": 2}', "2:2", "a comma is missing before it"),
        ('{"a": [1 2]}', "1:10", "a comma is missing before it"),
        ('{"a" 1}', "1:6", '":" is wanted after the key "a"'),
        ("{a: 1}", "1:2", 'write "a"'),
        ("{'a': 1}", "1:2", "double quotes"),
        ("{\u201ca\u201d: 1}", "1:2", "double quotes"),
        ('{"a": True}', "1:7", "write true"),
        ('{"a": None}', "1:7", "write null"),
        ('{"a": NaN}', "1:7", "no such number"),
        ('{"a": yes}', "1:7", 'put text in double quotes: "yes"'),
        ('{"a": 40MB}', "1:7", '"40MB" is not a number'),
        ('{"a": 012}', "1:7", '"012" is not a number'),
        ('{"a": }', "1:7", "a value is missing"),
        ('{"a": 1,, "b": 2}', "1:9", "between two commas"),
        ("[,]", "1:2", "a value is missing"),
        ('{"a": "x\n"}', "1:7", "no closing"),
        ('{"a": "C:\\models"}', "1:7", "\\\\ for a backslash"),
        ('{"a": 1', "1:8", "the file ends inside the object opened at 1:1"),
        ('{"a": 1}}', "1:9", "one bracket too many"),
        ('{"a": 1} /* b', "1:10", "never closed"),
        ('{"a": 1\uff0c"b": 2}', "1:8", "write ,"),
        ('{"a": 1]', "1:8", '"," or "}" is wanted'),
        ('{"p": "x", // why. "metadata": {"instance": 1} }', "1:49", "swallows the rest"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_hint(text: str, place: str, words: str) -> None:
    message = complaint(text)
    assert message.startswith(f"f.json:{place}: ")
    assert words in message


def test_a_file_that_is_far_too_large_is_refused() -> None:
    assert "larger than" in complaint(" " * (jsonc.TEXT_CHARS_MAX + 1))
