"""Numbers are printed as the peer prints them, one by one and by columns."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eas_processor.codec import float_text, floats


def _plainly(values: np.ndarray) -> list[bytes]:
    wide = values.dtype == np.float64
    return [float_text.text(value, wide).encode() for value in values.tolist()]


def _checked(values: np.ndarray) -> None:
    assert floats.texts(np.resize(values, max(len(values), 500)))[: len(values)] == _plainly(values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9000000, b"9e+06"),
        (999999, b"999999.0"),
        (0.5, b"0.5"),
        (0.0003, b"0.0003"),
        (0.00003, b"3e-05"),
        (555557.5, b"555557.5"),
        (3, b"3.0"),
        (0.1, b"0.1"),
        (1 / 3, b"0.333333343"),
        (16777217, b"16777216.0"),
        (1234567, b"1234567.0"),
        (0, b"0.0"),
        (-0.0, b"-0.0"),
        (-1.5, b"-1.5"),
        (1e-45, b"1.4013e-45"),
        (3.4028235e38, b"3.40282347e+38"),
        (float("nan"), b"NaN"),
        (float("inf"), b"Infinity"),
        (float("-inf"), b"-Infinity"),
    ],
)
def test_a_float_is_printed_as_the_peer_prints_it(value: float, text: bytes) -> None:
    values = np.array([value], np.float32)
    assert floats.texts(values) == [text]
    assert floats.texts(np.repeat(values, 1000)) == [text] * 1000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, b"0.1"),
        (1 / 3, b"0.33333333333333331"),
        (1e100, b"1e+100"),
        (123456789, b"123456789.0"),
        (1e22, b"1e+22"),
        (2.0, b"2.0"),
    ],
)
def test_a_double_takes_seventeen_digits(value: float, text: bytes) -> None:
    assert floats.texts(np.array([value])) == [text]


@given(st.lists(st.floats(), max_size=50))
def test_many_doubles_are_printed_like_one_by_one(values: list[float]) -> None:
    assert floats.texts(np.array(values)) == [
        float_text.text(value, True).encode() for value in values
    ]


@given(st.lists(st.floats(width=32), max_size=50))
def test_a_few_floats_are_printed_like_one_by_one(values: list[float]) -> None:
    array = np.array(values, np.float32)
    assert floats.texts(array) == _plainly(array)


@pytest.mark.parametrize("least", [10**5, 976563])  # from there to a million floats are coarse
@pytest.mark.parametrize("scale", [1e9, 1e7, 1e6, 1e4])
def test_floats_next_to_six_digits_are_printed_like_one_by_one(least: int, scale: float) -> None:
    digits = np.linspace(least, 10**6, 5000).astype(int)
    bits = (digits / scale).astype(np.float32).view(np.int32)
    values = np.concatenate([bits + step for step in (-1, 0, 1)]).view(np.float32)
    assert [text.encode() for text in floats.few(values.tolist())] == _plainly(values)


@pytest.mark.parametrize("seed", range(3))
def test_doubles_of_all_lengths_are_printed_like_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    anything = random.integers(0, 1 << 63, 2000).view(np.float64)
    short = random.integers(-(10**6), 10**6, 2000) * 10.0 ** random.integers(-300, 300, 2000)
    whole = random.integers(0, 1 << 60, 2000).astype(np.float64)
    values = np.concatenate((anything, short, short * (1 + 1e-12), whole, [0.0, -0.0, 5e-324]))
    assert floats.texts(values) == [
        float_text.text(value, True).encode() for value in values.tolist()
    ]


def test_halves_that_are_no_numbers_have_names() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1], np.float16)
    assert floats.texts(values) == [b"NaN", b"Infinity", b"-Infinity", b"1.0"]


@given(st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=300))
@example([0x7F800001])  # a signalling NaN
def test_columns_print_any_float_like_one_by_one(bits: list[int]) -> None:
    _checked(np.array(bits, np.uint32).view(np.float32))


@pytest.mark.parametrize("seed", range(4))
def test_columns_print_what_models_answer_like_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=3000) * 4
    softmax = np.exp(logits) / np.exp(logits).sum()
    dyadic = random.integers(0, 1 << 24, 3000) * 2.0 ** random.integers(-12, 6, 3000)
    short = random.integers(-(10**6), 10**6, 3000) / 1000
    whole = random.integers(-(10**7), 10**7, 3000)
    values = np.concatenate((logits, softmax, dyadic, short, whole)).astype(np.float32)
    _checked(values)


def test_columns_print_the_neighbours_of_powers_of_ten_like_one_by_one() -> None:
    powers = np.array([float(f"1e{n}") for n in range(-44, 39)], np.float32)
    up, down = np.nextafter(powers, np.float32(np.inf)), np.nextafter(powers, np.float32(0))
    _checked(np.concatenate((powers, up, down, -powers)))


def test_every_half_reads_back_from_its_text() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    texts = floats.texts(finite)
    back = np.array([float(text) for text in texts]).astype(np.float16)
    np.testing.assert_array_equal(back, finite)
    assert floats.texts(np.array([0.1], np.float16)) == [b"0.0999756"]


def test_no_numbers_are_no_texts() -> None:
    assert floats.texts(np.zeros(0, np.float32)) == []
