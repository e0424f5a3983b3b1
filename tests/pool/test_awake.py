"""Polling instead of sleeping: only after close events, and never for long after the last."""

import asyncio

from eas_processor.pool import awake


class Clock:
    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr(awake.time, "monotonic", lambda: self.now_s)


def test_events_far_apart_never_start_the_polling(monkeypatch):
    clock = Clock(monkeypatch)
    kept = awake.Awake()
    for _ in range(100):
        clock.now_s += 1.01 * awake.CLOSE_S
        kept.touch()  # would need a running loop to poll
    assert not kept._polling


def test_close_events_start_it_and_quiet_ends_it(monkeypatch):
    clock = Clock(monkeypatch)

    async def live():
        kept = awake.Awake()
        for _ in range(awake.CLOSE_EVENTS + 1):
            clock.now_s += awake.AWAKE_S / 2
            kept.touch()
        assert kept._polling
        for _ in range(5):  # still awake, however many turns that takes
            await asyncio.sleep(0)
        assert kept._polling
        clock.now_s += 2 * awake.AWAKE_S
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not kept._polling

    asyncio.run(live())


def test_events_that_get_no_closer_end_what_they_have_begun(monkeypatch):
    clock = Clock(monkeypatch)
    between_s = (awake.AWAKE_S + awake.CLOSE_S) / 2

    async def live():
        kept = awake.Awake()
        began = []
        for _ in range(5 * (awake.CLOSE_EVENTS + 1)):
            clock.now_s += between_s
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not kept._polling  # in vain until now, if at all
            kept.touch()
            began.append(kept._polling)
        return began

    began = asyncio.run(live())
    assert began.count(True) == 5
    assert began[: awake.CLOSE_EVENTS] == [False] * awake.CLOSE_EVENTS


def test_events_that_got_closer_keep_it(monkeypatch):
    clock = Clock(monkeypatch)

    async def live():
        kept = awake.Awake()
        for _ in range(awake.CLOSE_EVENTS + 1):
            clock.now_s += 0.9 * awake.CLOSE_S
            kept.touch()
        for _ in range(50):
            clock.now_s += 0.9 * awake.AWAKE_S
            await asyncio.sleep(0)
            assert kept._polling
            kept.touch()

    asyncio.run(live())
