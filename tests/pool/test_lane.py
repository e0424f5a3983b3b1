"""A lane counts, sends and fails also the calls that it holds back for a moment."""

import asyncio

from eas_processor.errors import Code
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import AwaitedCall
from eas_processor.pool.lane import Lane
from eas_processor.worker.frames import Kind


class Transport:
    def __init__(self):
        self.written = []

    def set_write_buffer_limits(self, high):
        pass

    def is_closing(self):
        return False

    def write(self, data):
        self.written.append(data)


def a_lane(run_us):
    lane = Lane(lambda: None, Awake(), least=8, most=8)
    transport = Transport()
    lane._channel.connection_made(transport)
    lane._channel.run_us_mean = run_us
    lane.joins = True
    return lane, transport


def calls(count):
    return [AwaitedCall(Kind.PROCESS, b"x", 5.0) for _ in range(count)]


def test_held_calls_take_room_and_are_sent_together():
    async def run():
        lane, transport = a_lane(run_us=10)
        asked = calls(6)
        lane._gathering._about, lane._gathering._group = 8.0, 4
        for call in asked[:3]:
            lane.send(call)
        assert (lane.in_flight, lane.room, transport.written) == (3, 5, [])
        assert lane.calls() == asked[:3]
        assert all(call.sent_s for call in asked[:3]), "nobody need give way any more"
        lane.send(asked[3])
        assert len(transport.written) == 4 and lane.in_flight == 4
        assert all(call.sent_s for call in asked[:4])

    asyncio.run(run())


def test_held_calls_fail_with_the_worker():
    async def run():
        lane, transport = a_lane(run_us=10)
        asked = calls(2)
        lane._gathering._about, lane._gathering._group = 8.0, 4
        for call in asked:
            lane.send(call)
        lane.fail_calls("it was killed")
        for call in asked:
            answer = await call.wait()
            assert (answer.code, answer.body) == (Code.WORKER_LOST, b"it was killed")
        await asyncio.sleep(0)
        assert not transport.written and lane.in_flight == 0

    asyncio.run(run())


def test_long_calls_are_not_held():
    async def run():
        lane, transport = a_lane(run_us=500)
        lane._gathering._about, lane._gathering._group = 8.0, 4
        lane.send(*calls(1))
        assert len(transport.written) == 1

    asyncio.run(run())
