"""A worker as the pool sees it: its wall, and what ends with it."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest
import structlog
import uvloop

from eas_processor.config import Limits
from eas_processor.errors import Code
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import AwaitedCall
from eas_processor.pool.worker import Worker, WorkerSpec
from eas_processor.worker import output
from eas_processor.worker.frames import Kind


def test_a_worker_whose_wall_is_gone_is_given_no_more_calls():
    async def run():
        spec = WorkerSpec("s", Path("python"), {}, 3, 9, Limits())
        worker = Worker(spec, lambda: None, lambda worker: None, Awake())
        ours, theirs = socket.socketpair()
        with theirs:
            loop = asyncio.get_running_loop()
            await loop.create_unix_connection(lambda: worker._channel, sock=ours)
            assert worker.room == 3
            worker._channel.close()
            assert worker.room == 0  # not yet told of the end
            async with asyncio.timeout(30):
                while worker._window:
                    await asyncio.sleep(0)
            assert worker.room == 0

    asyncio.run(run())


def spec_of(folder, name, code):
    """A worker of the processor of that name in the code."""
    module = name.lower()
    (folder / f"{module}.py").write_text(code)
    load = {"entry": f"{module}:{name}", "paths": [str(folder)], "packages": {}, "model_dir": ""}
    load["config"] = {"concurrency": 1}
    return WorkerSpec("s", Path(sys.executable), load, 1, 4, Limits())


STARTS_A_PROCESS = """
import os, subprocess
from eas_processor.worker.processor import Processor

class Starter(Processor):
    def initialize(self, model_dir, config):
        self.child = subprocess.Popen(["sleep", "60"])

    def process(self, request):
        if request == b"crash":
            os.abort()
        return b"%d" % self.child.pid
"""


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_what_a_processor_has_started_ends_with_a_worker_that_crashes(tmp_path, loop):
    spec = spec_of(tmp_path, "Starter", STARTS_A_PROCESS)

    async def run():
        gone = asyncio.Event()
        worker = Worker(spec, lambda: None, lambda worker: gone.set(), Awake())
        await worker.start()
        answers = []
        for body in (b"which?", b"crash"):
            call = AwaitedCall(Kind.PROCESS, body, 30)
            worker.send(call)
            answers.append((await call.wait()).body)
        async with asyncio.timeout(30):
            await gone.wait()
            while _is_running(int(answers[0])):
                await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def _is_running(pid):
    """Whether there is such a process that has not ended; nobody may have asked for its status."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


FAILS = """
from eas_processor.worker.processor import Processor

class Failing(Processor):
    def process(self, request):
        return 1 / 0
"""


def test_where_a_processor_failed_is_told_in_the_log_but_not_for_each_request(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("eas_processor.pool.worker.FAULT_EVERY_S", 1000)
    spec = spec_of(tmp_path, "Failing", FAILS)

    async def run():
        worker = Worker(spec, lambda: None, lambda worker: None, Awake())
        await worker.start()
        calls = [AwaitedCall(Kind.PROCESS, b"x", 30) for _ in range(3)]
        for call in calls:
            worker.send(call)
            assert (await call.wait()).body == b"ZeroDivisionError: division by zero"
        await worker.stop()

    with structlog.testing.capture_logs() as told:
        asyncio.run(run())
    faults = [one for one in told if one["event"] == "the processor failed"]
    assert [one["log_level"] for one in faults].count("error") == 1
    assert "failing.py" in faults[0]["exception"] and "1 / 0" in faults[0]["exception"]


ODD = """
import os, sys
from eas_processor.worker.processor import Processor

class ToLog:
    def write(self, text):
        pass

class Odd(Processor):
    def process(self, request):
        if request == b"exit":
            os._exit(3)
        sys.stderr = None if request == b"none" else ToLog()
        print("epoch 1/2", end=" ", flush=True)
        raise ValueError(os.fsdecode(b"\\xff") + "\U0001f600" * 20_000)
"""


def test_whatever_a_processor_raises_and_makes_of_its_output_its_worker_lives_and_its_end_is_seen(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("eas_processor.pool.worker.FAULT_EVERY_S", 0)
    spec = spec_of(tmp_path, "Odd", ODD)
    codes = []

    async def run():
        gone = asyncio.Event()
        worker = Worker(spec, lambda: None, lambda worker: gone.set(), Awake())
        await worker.start()
        for body in (b"none", b"log", b"exit"):
            call = AwaitedCall(Kind.PROCESS, body, 30)
            worker.send(call)
            codes.append((await call.wait()).code)
        async with asyncio.timeout(30):
            await gone.wait()
        assert worker.exit_reason.startswith("exited with status 3")

    with structlog.testing.capture_logs() as told:
        asyncio.run(run())
    assert codes == [Code.INTERNAL, Code.INTERNAL, Code.WORKER_LOST]
    assert sum(one["event"] == "the processor failed" for one in told) == 2


@pytest.mark.parametrize("line", ["5", "null", "[", '"\\ud800"'])
def test_a_line_that_only_looks_like_a_traceback_harms_nobody(line):
    found = output.traceback_in(output.MARK + line)
    assert found is None or found == "?"
