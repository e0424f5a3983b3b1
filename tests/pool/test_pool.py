"""Replacing workers: the delays, as a pure function; and the end, which is one."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from eas_processor.config import Limits
from eas_processor.pool.awake import Awake
from eas_processor.pool.channel import Channel
from eas_processor.pool.pool import (
    RESTART_DELAY_S_MAX,
    RESTART_DELAY_S_MIN,
    Pool,
    restart_delay_s,
)
from eas_processor.pool.worker import WorkerSpec
from tests.serving_process import PUPPETS

SPEC = WorkerSpec(
    "s",
    Path(sys.executable),
    {
        "entry": "puppet:Puppet",
        "paths": [str(PUPPETS / "puppet")],
        "packages": {},
        "model_dir": "",
        "config": {"service": "s", "options": {}, "concurrency": 2, "cores": 1},
    },
    concurrency=2,
    window_calls_max=4,
    limits=Limits(),
)


def test_the_delay_doubles_from_its_least_to_its_most():
    delays = [restart_delay_s(failures) for failures in range(1, 12)]
    assert delays[0] == RESTART_DELAY_S_MIN
    assert all(
        b == min(2 * a, RESTART_DELAY_S_MAX) for a, b in zip(delays, delays[1:], strict=False)
    )
    assert delays[-1] == RESTART_DELAY_S_MAX


def test_the_delay_stays_bounded_after_any_number_of_failures():
    assert restart_delay_s(1_000_000) == RESTART_DELAY_S_MAX


def test_a_pool_that_is_ended_while_a_worker_comes_back_has_none_afterwards(monkeypatch):
    """The end falls into the turn of the loop in which the new worker says hello."""
    take = Channel.data_received

    async def nothing(_):
        pass

    async def scenario():
        pool = Pool(SPEC, 1, nothing, lambda: None, lambda: None, Awake())
        stops = []

        def data_received(channel, data):
            take(channel, data)
            if not stops:
                stops.append(asyncio.ensure_future(pool.stop()))

        async with asyncio.timeout(60):
            await pool.start()
            os.kill(pool.ready[0].pid, signal.SIGKILL)
            while pool.ready:
                await asyncio.sleep(0.005)
            monkeypatch.setattr(Channel, "data_received", data_received)
            while not stops:
                await asyncio.sleep(0.005)
            await stops[0]
            await asyncio.sleep(3 * RESTART_DELAY_S_MIN)
        return pool

    pool = asyncio.run(scenario())
    assert pool.ready == [] and pool._started == [] and not pool._tasks
