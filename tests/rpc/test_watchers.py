"""Watchers share their looks, are told of each change, and leave nothing behind."""

import asyncio

import pytest

from eas_processor.rpc import watchers
from eas_processor.rpc.watchers import Watchers
from tests.rpc.fakes import run, until

UNKNOWN = 3


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(watchers, "LOOK_EVERY_S", 0.01)


class Statuses(dict):
    """looks: how many were taken."""

    def __init__(self, **known):
        super().__init__(known)
        self.looks = 0

    def __call__(self):
        self.looks += 1
        return self


def waits(shared, name, told):
    return asyncio.create_task(shared.change(name, told))


async def looked(statuses, times=2):
    """Some more looks have been taken, and whoever was woken has run."""
    enough = statuses.looks + times
    await until(lambda: statuses.looks >= enough)
    await asyncio.sleep(0)


def test_however_many_wait_there_is_one_look():
    statuses = Statuses(m=1)

    async def scene():
        shared = Watchers(statuses, UNKNOWN)
        tasks = [waits(shared, "m", 1) for _ in range(1000)]
        tasks += [waits(shared, f"made up {k}", UNKNOWN) for k in range(1000)]
        before_s = asyncio.get_running_loop().time()
        await looked(statuses, 5)
        took_s = asyncio.get_running_loop().time() - before_s
        still = not any(task.done() for task in tasks)
        shared.end()
        await asyncio.gather(*tasks)
        return still, statuses.looks <= took_s / 0.01 + 1

    assert run(scene()) == (True, True)


def test_only_those_are_woken_whose_status_is_another_than_they_were_told():
    statuses = Statuses(m=1, n=1)

    async def scene():
        shared = Watchers(statuses, UNKNOWN)
        waiting = {
            "same": waits(shared, "n", 1),
            "changed": waits(shared, "m", 1),
            "told earlier": waits(shared, "n", 2),
            "gone": waits(shared, "gone", 1),
            "known now": waits(shared, "new", UNKNOWN),
            "never known": waits(shared, "z", UNKNOWN),
        }
        await asyncio.sleep(0)
        statuses.update(m=2, new=1)
        await looked(statuses)
        woken = [name for name, task in waiting.items() if task.done()]
        shared.end()
        await asyncio.gather(*waiting.values())
        return woken

    assert run(scene()) == ["changed", "told earlier", "gone", "known now"]


def test_when_nobody_waits_any_more_there_are_no_looks_and_later_again():
    statuses = Statuses(m=1)

    async def scene():
        shared = Watchers(statuses, UNKNOWN)
        one, other = waits(shared, "m", 1), waits(shared, "m", 1)
        await looked(statuses)
        one.cancel()
        await looked(statuses)
        other.cancel()
        await asyncio.wait({one, other})
        rests = shared._timer is None and not any(shared._waiting.values())
        seen = statuses.looks
        await asyncio.sleep(0.05)
        rests = rests and statuses.looks == seen
        third = waits(shared, "m", 2)
        await third
        return rests, shared._timer

    assert run(scene()) == (True, None)


def test_who_was_woken_and_waits_again_is_told_the_next_change():
    statuses = Statuses(m=1)

    async def scene():
        shared = Watchers(statuses, UNKNOWN)
        told = []

        async def watch():
            while len(told) < 5:
                told.append(statuses["m"])
                await shared.change("m", told[-1])

        watching = asyncio.create_task(watch())
        for number, status in enumerate((2, 1, 2, 1, 2), 1):
            await until(lambda number=number: len(told) == number)
            statuses["m"] = status
        await watching
        return told

    assert run(scene()) == [1, 2, 1, 2, 1]


def test_after_the_end_nobody_waits():
    async def scene():
        shared = Watchers(Statuses(m=1), UNKNOWN)
        waiting = waits(shared, "m", 1)
        await asyncio.sleep(0)
        shared.end()
        await asyncio.gather(waiting, shared.change("m", 1))
        return shared._timer

    assert run(scene()) is None


def test_a_look_that_fails_is_not_the_last():
    statuses = Statuses(m=1)
    fails = [True]

    def look():
        if fails:
            fails.pop()
            raise RuntimeError("a fault")
        return statuses()

    async def scene():
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await Watchers(look, UNKNOWN).change("m", 2)

    run(scene())
    assert not fails
