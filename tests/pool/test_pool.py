"""Replacing workers: the delays, as a pure function."""

from eas_processor.pool.pool import RESTART_DELAY_S_MAX, RESTART_DELAY_S_MIN, restart_delay_s


def test_the_delay_doubles_from_its_least_to_its_most():
    delays = [restart_delay_s(failures) for failures in range(1, 12)]
    assert delays[0] == RESTART_DELAY_S_MIN
    assert all(
        b == min(2 * a, RESTART_DELAY_S_MAX) for a, b in zip(delays, delays[1:], strict=False)
    )
    assert delays[-1] == RESTART_DELAY_S_MAX


def test_the_delay_stays_bounded_after_any_number_of_failures():
    assert restart_delay_s(1_000_000) == RESTART_DELAY_S_MAX
