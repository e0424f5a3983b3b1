"""Joined runs: models whose outputs do not follow dimension 0 are found out."""

import threading
from typing import Any

import numpy as np
import pytest

from eas_processor.errors import TOO_LATE, Code, ServingError
from tests.tensorflow.joining import (
    Arrays,
    Recorded,
    Run,
    ask,
    assert_same,
    checksums,
    double,
    floats,
    joiner,
    scalar,
)


# Models whose outputs do not follow dimension 0
def mean_removed(arrays: Arrays) -> Arrays:
    return [arrays[0] - arrays[0].mean(axis=0)]


def sum_for_each(arrays: Arrays) -> Arrays:
    return [np.broadcast_to(arrays[0].sum(axis=0), arrays[0].shape)]


def reversed_rows(arrays: Arrays) -> Arrays:
    return [arrays[0][::-1]]


def noise(arrays: Arrays) -> Arrays:
    return [np.random.rand(len(arrays[0]))]


@pytest.mark.parametrize(
    "odd",
    [scalar, checksums, mean_removed, sum_for_each, reversed_rows, noise, lambda _: [np.ones(3)]],
)
def test_a_model_whose_outputs_do_not_follow_dimension_0_is_found_out(odd: Run) -> None:
    notes: list[str] = []
    joins = joiner(notes)
    run = Recorded(odd)
    for number in range(6):
        arrays = [floats(number), floats(number + 1, 7), floats(-1 - number)]
        jobs = ask(joins, run, *arrays)
        for job, array in zip(jobs, arrays, strict=True):
            if odd is not noise:
                assert_same(job, odd([array]))
        if number:
            assert run.sizes() == [1, 2, 1]
        run.runs.clear()
    assert len(notes) == 1
    assert "float32[?,2]" in notes[0] and "output 0" in notes[0]


def test_threads_that_find_out_at_once_note_it_once() -> None:
    notes: list[str] = []
    joins = joiner(notes)
    both_joined = threading.Barrier(2)

    def joined_in_both_threads(arrays: Arrays) -> Arrays:
        if len(arrays[0]) > 1:
            both_joined.wait(30)
        return checksums(arrays)

    def work() -> None:
        ask(joins, joined_in_both_threads, floats(1), floats(2))

    thread = threading.Thread(target=work)
    thread.start()
    work()
    thread.join(30)
    assert len(notes) == 1


def test_equal_requests_find_out_a_sum_as_well() -> None:
    notes: list[str] = []
    jobs = ask(joiner(notes), sum_for_each, floats(1), floats(1))
    for job in jobs:
        assert_same(job, sum_for_each([floats(1)]))
    assert len(notes) == 1


def test_equal_requests_are_no_proof_for_different_ones() -> None:
    notes: list[str] = []
    joins = joiner(notes)
    for _ in range(50):
        ask(joins, mean_removed, floats(1, 2), floats(1, 2))
    assert not notes
    jobs = ask(joins, mean_removed, floats(1, 2), floats(3, 4))
    assert_same(jobs[1], mean_removed([floats(3, 4)]))
    assert len(notes) == 1


@pytest.mark.parametrize("step", [0, 1])
def test_proofs_become_rare(step: int) -> None:
    run = Recorded(double)
    joins = joiner()
    compared = []
    for number in range(1, 41):
        ask(joins, run, floats(0), floats(step))
        if len(run.sizes()) > 1:
            compared.append(number)
    assert compared == [1, 2, 3, 4, 8, 16, 32]


def test_a_dependence_that_shows_late_is_found_out() -> None:
    def late(arrays: Arrays) -> Arrays:
        return checksums(arrays) if arrays[0].max() > 50 else [arrays[0][:, 0]]

    notes: list[str] = []
    joins = joiner(notes)
    for number in range(100):
        ask(joins, late, floats(number), floats(number + 1))
    assert len(notes) == 1


def test_an_output_that_is_an_input_is_not_cut_out_of_a_joined_one() -> None:
    notes: list[str] = []
    jobs = ask(joiner(notes), lambda arrays: list(arrays), floats(1), floats(2))
    assert all(job.results[0] is job.arrays[0] for job in jobs)
    assert len(notes) == 1 and "output 0 is an input" in notes[0]


# Rounding
def with_error(error: float, dtype: Any = np.float32) -> Run:
    return lambda arrays: [(arrays[0] * (1 + error * (len(arrays[0]) - 1))).astype(dtype)]


@pytest.mark.parametrize(
    ("dtype", "passes", "fails"),
    [(np.float16, 0.01, 0.1), (np.float32, 1e-4, 2e-3), (np.complex64, 1e-4, 2e-3)],
)
def test_rounding_passes_and_more_than_rounding_does_not(
    dtype: Any, passes: float, fails: float
) -> None:
    for error, noted in ((passes, 0), (fails, 1)):
        notes: list[str] = []
        ask(joiner(notes), with_error(error, dtype), floats(1), floats(2))
        assert len(notes) == noted


def test_doubles_made_of_floats_are_as_precise_as_floats() -> None:
    notes: list[str] = []
    ask(joiner(notes), with_error(1e-5, np.float64), floats(1), floats(2))
    assert not notes
    doubles = [floats(value).astype(np.float64) for value in (1, 2)]
    ask(joiner(notes), with_error(1e-5, np.float64), *doubles)
    assert len(notes) == 1


def test_a_small_rest_of_large_numbers_may_be_imprecise() -> None:
    def rest(arrays: Arrays) -> Arrays:
        return [arrays[0] + np.float32(1e-7 * len(arrays[0]))]

    ask(joiner(), rest, np.zeros((1, 2), np.float32), floats(1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_what_is_no_number_equals_itself_only(value: float) -> None:
    def changed(arrays: Arrays) -> Arrays:
        return [np.full(len(arrays[0]), value if len(arrays[0]) == 1 else 1.0)]

    def same(arrays: Arrays) -> Arrays:
        return [np.where(arrays[0] == 1, value, arrays[0])]

    notes: list[str] = []
    ask(joiner(), same, floats(1), floats(2))
    ask(joiner(notes), changed, floats(1), floats(2))
    assert len(notes) == 1


class Late:
    """The first run of each group is in time, those that would prove it come too late."""

    def __init__(self, function: Run) -> None:
        self.function = function
        self.runs = 0

    def __call__(self, arrays: Arrays) -> Arrays:
        self.runs += 1
        if self.runs > 1:
            raise ServingError(Code.DEADLINE_EXCEEDED, TOO_LATE)
        return self.function(arrays)


def test_runs_that_come_too_late_tell_nothing_for_or_against_joining() -> None:
    joins = joiner()  # whose notes would be unexpected
    late = Late(double)
    for number in range(8):
        late.runs = 0
        jobs = ask(joins, late, floats(number), floats(number + 1))
        assert [job.error.code for job in jobs if job.error] == [Code.DEADLINE_EXCEEDED] * 2
    late.runs = -100
    arrays = [floats(1), floats(2)]
    for job, array in zip(ask(joins, late, *arrays), arrays, strict=True):
        assert_same(job, double([array]))
    assert late.runs == -97  # one joined, and two that prove it: it is still on trial


def test_a_large_run_that_comes_too_late_proves_nothing() -> None:
    notes: list[str] = []
    joins = joiner(notes, rows_max=2, split_large=True)
    odd = Late(sum_for_each)
    for _ in range(6):
        odd.runs = -1  # two pieces in time, the whole not
        ask(joins, odd, floats(1, 2, 3, 4))
        assert odd.runs == 2
    odd.runs = -100
    (job,) = ask(joins, odd, floats(1, 2, 3, 4))
    assert_same(job, sum_for_each([floats(1, 2, 3, 4)]))
