"""Short calls for a worker that joins wait for each other, but for no one who is not coming."""

import asyncio

import pytest

from eas_processor.errors import Code
from eas_processor.pool import gathering
from eas_processor.pool.gathering import Gathering


def groups_of(send_all):
    """What crossed the wall together: run send_all(gathering, at_worker) in a loop."""
    sent, sizes = [], []

    async def run():
        gathered = Gathering(sent.append)

        async def turn(count=1):
            before = len(sent)
            for _ in range(count):
                await asyncio.sleep(0)
            sizes.append(len(sent) - before)

        await send_all(gathered, turn)

    asyncio.run(run())
    return sent, sizes


def test_a_lone_call_goes_at_once():
    async def alone(gathered, turn):
        for number in range(50):
            gathered.add(number, 0)
            assert not gathered.held

    sent, _ = groups_of(alone)
    assert sent == list(range(50))


def test_two_callers_never_wait_for_each_other():
    async def two(gathered, turn):
        for number in range(50):
            gathered.add(number, number % 2)
            assert not gathered.held

    groups_of(two)


def test_where_many_are_about_half_of_them_cross_together():
    async def many(gathered, turn):
        gathered.add(0, 40)  # 40 at the worker: so about 41 are in the system
        for number in range(1, 21):
            gathered.add(number, 0)
            assert len(gathered.held) == number % 20
        assert not gathered.held

    sent, _ = groups_of(many)
    assert sent == list(range(21))


def test_a_turn_that_brings_nobody_ends_the_wait():
    async def few(gathered, turn):
        gathered.add(0, 40)
        gathered.add(1, 0)
        gathered.add(2, 0)
        await turn(3)
        assert not gathered.held

    sent, sizes = groups_of(few)
    assert sent == [0, 1, 2] and sizes == [2]


def test_while_every_turn_brings_another_all_wait(monkeypatch):
    monkeypatch.setattr(gathering, "HELD_S", 60.0)

    async def trickle(gathered, turn):
        gathered.add(0, 40)
        for number in range(1, 10):
            gathered.add(number, 0)
            await turn()
        assert len(gathered.held) == 9
        await turn(3)

    sent, _ = groups_of(trickle)
    assert sent == list(range(10))


def test_nobody_is_held_for_longer_than_the_bound(monkeypatch):
    monkeypatch.setattr(gathering, "HELD_S", 0.0)

    async def trickle(gathered, turn):
        gathered.add(0, 40)
        for number in range(1, 10):
            gathered.add(number, 0)
            await turn(2)
            assert not gathered.held

    groups_of(trickle)


def test_one_that_cannot_be_sent_does_not_harm_those_behind_it():
    sent, failed = [], []

    class Call:
        def finish(self, answer):
            failed.append(answer.code)

    bad = Call()

    def send(call):
        if call is bad:
            raise ValueError("no")
        sent.append(call)

    gathered = Gathering(send)
    gathered.held = [1, bad, 2]
    gathered.send_all()
    assert (sent, failed) == ([1, 2], [Code.INTERNAL])


@pytest.mark.parametrize("callers", [1, 3, 16, 64])
def test_callers_that_go_are_forgotten(callers):
    async def fewer(gathered, turn):
        gathered.add(0, callers - 1)
        for number in range(1, 400):
            gathered.add(number, 0)
            await turn(3)
        gathered.add(400, 0)
        assert not gathered.held

    sent, _ = groups_of(fewer)
    assert sent == list(range(401))
