"""A worker as the pool sees it, without a process."""

import asyncio
from pathlib import Path

from eas_processor.config import Limits
from eas_processor.pool.awake import Awake
from eas_processor.pool.worker import Worker, WorkerSpec


def test_a_worker_whose_wall_is_gone_is_given_no_more_calls():
    async def run():
        spec = WorkerSpec("s", Path("python"), {}, 3, 9, Limits())
        worker = Worker(spec, lambda: None, lambda worker: None, Awake())
        assert worker.room == 3
        worker._channel.connection_lost(None)
        assert worker.room == 0

    asyncio.run(run())
