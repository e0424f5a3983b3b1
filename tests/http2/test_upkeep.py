"""When a connection is ended, or asked for a sign of life."""

from eas_processor.http2.upkeep import Bounds, Due, Life, Upkeep

QUIET = Life(has_begun=True, requests=0, streams=0, waits=False, taken=(0, 0), heard=1)


def dues(bounds, *moments):
    """What is due at each (second, Life)."""
    upkeep = Upkeep(bounds, 0)
    return [upkeep.due(life, now_s) for now_s, life in moments]


def test_a_connection_without_bounds_lives_on():
    bounds = Bounds(ping_s=None)
    assert set(dues(bounds, *((day * 86400, QUIET) for day in range(30)))) == {Due.NOTHING}


def test_who_does_not_begin_is_cut():
    silent = QUIET._replace(has_begun=False, heard=0)
    assert dues(Bounds(stall_s=5), (4, silent), (6, silent)) == [Due.NOTHING, Due.CUT]


def test_who_takes_nothing_is_cut_and_who_takes_a_little_is_not():
    slow = [(second, QUIET._replace(waits=True, taken=(second, 9))) for second in range(0, 60, 4)]
    assert set(dues(Bounds(stall_s=5), *slow)) == {Due.NOTHING}
    stuck = QUIET._replace(waits=True, taken=(1, 9))
    assert dues(Bounds(stall_s=5), (1, stuck), (5, stuck), (7, stuck))[-2:] == [
        Due.NOTHING,
        Due.CUT,
    ]


def test_an_old_connection_is_drained_and_then_cut():
    bounds = Bounds(age_s=10, age_grace_s=5)
    busy = QUIET._replace(streams=1)
    assert dues(bounds, (9, busy), (11, busy), (16, busy)) == [Due.NOTHING, Due.DRAIN, Due.CUT]
    assert dues(Bounds(age_s=10), (99, busy)) == [Due.DRAIN]


def test_only_a_connection_without_requests_is_idle():
    bounds = Bounds(idle_s=10)
    busy, short = QUIET._replace(streams=1), QUIET._replace(requests=3)
    moments = (9, QUIET), (18, busy), (27, short), (36, short), (39, short)
    assert dues(bounds, *moments) == [Due.NOTHING] * 4 + [Due.DRAIN]


def test_silence_is_followed_by_one_ping_and_then_the_end():
    bounds = Bounds(ping_s=10, ping_answer_s=5)
    alive = QUIET._replace(heard=2)
    assert dues(bounds, (1, QUIET), (12, QUIET), (14, QUIET), (17, QUIET)) == [
        Due.NOTHING, Due.PING, Due.NOTHING, Due.CUT,
    ]  # fmt: skip
    assert dues(bounds, (1, QUIET), (12, QUIET), (14, alive), (17, alive), (25, alive)) == [
        Due.NOTHING, Due.PING, Due.NOTHING, Due.NOTHING, Due.PING,
    ]  # fmt: skip
