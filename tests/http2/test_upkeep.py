"""When a connection is ended, or asked for a sign of life."""

from eas_processor.http2.upkeep import Bounds, Due, Life, Upkeep

QUIET = Life(True, ends=False, requests=0, streams=0, sent=0, buffered=0, heard=1)


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
    slow = [(second, QUIET._replace(buffered=99 - second)) for second in range(0, 60, 4)]
    assert set(dues(Bounds(stall_s=5), *slow)) == {Due.NOTHING}
    sending = [(second, QUIET._replace(buffered=9, sent=second)) for second in range(0, 60, 4)]
    assert set(dues(Bounds(stall_s=5), *sending)) == {Due.NOTHING}
    growing = [(second, QUIET._replace(buffered=second)) for second in range(1, 9, 3)]
    assert dues(Bounds(stall_s=5), *growing)[1:] == [Due.NOTHING, Due.CUT]


def test_a_connection_that_is_closed_is_cut_if_the_client_does_not_close_it():
    closed = QUIET._replace(ends=True)
    full = closed._replace(buffered=9)
    assert dues(Bounds(), (1, full), (30, full), (40, closed), (41, closed), (43, closed)) == [
        *[Due.NOTHING] * 4, Due.CUT,
    ]  # fmt: skip


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
    patient = Bounds(ping_s=10, ping_answer_s=None)
    assert dues(patient, (1, QUIET), (12, QUIET), (9999, QUIET))[1:] == [Due.PING, Due.NOTHING]
