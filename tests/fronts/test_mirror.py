"""What a front makes of the services that it is told of, and of the walls that come for them."""

import asyncio
import contextlib
import socket
import time

import pytest

from eas_processor.errors import Code
from eas_processor.fronts import mirror
from eas_processor.fronts.messages import (
    Deployed,
    LaneState,
    Lost,
    Released,
    ServiceState,
    VersionState,
)
from eas_processor.fronts.mirror import UNTOLD_S, Mirror
from eas_processor.pool.board import Board
from eas_processor.pool.call import Call
from eas_processor.serving.service import Unknown
from eas_processor.worker.frames import FrameDecoder, Kind, encode


class Caller(Call):
    def __init__(self):
        super().__init__(Kind.PROCESS, b"asked", time.monotonic() + 60)
        self.answer = None

    def reply(self, answer):
        self.answer = answer


class Scene:
    """A front's mirror, told and handed what a test wants; worker N has the version of id N."""

    def __init__(self):
        self.host = Board(2)
        self.said = []
        board = Board(2, 1, self.host.descriptor)
        self.mirror = Mirror(board, 1, self.said.append, lambda: None)
        self.rows = {}
        self.workers = {}  # the far ends of the walls

    def tell(self, *versions, labels=None):
        """versions: (number, state, whether its worker takes calls)."""
        told = [self._version(*version) for version in versions]
        service = ServiceState("m", None, 5.0, "", 0, -1, labels or {}, "", told)
        self.mirror.apply(Deployed([service], True, {}))

    def _version(self, number, state, has_worker):
        row = self.rows.setdefault(number, self.host.take().number)
        lanes = [LaneState(number, 1, row, 4, 20, False)] if has_worker else []
        return VersionState(number, number, state, "", "p", 8, -1, 30.0, b"", lanes)

    def hand(self, worker):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        self.workers[worker] = ours
        self.mirror.handed(worker, theirs)

    async def joined(self):
        while self.mirror._tasks:
            await asyncio.wait(self.mirror._tasks, timeout=10)

    @property
    def service(self):
        return self.mirror.services["m"]

    async def answer(self, worker):
        """Let a worker answer the one call that it has."""
        (frame,) = FrameDecoder().feed(self.workers[worker].recv(1 << 16))
        assert frame.payload == b"asked"
        self.workers[worker].sendall(encode(Kind.ANSWER, b"told", frame.id))
        await asyncio.sleep(0.05)


def played(scenario):
    async def play():
        scene = Scene()
        try:
            async with asyncio.timeout(30):
                await scenario(scene)
        finally:
            for end in scene.workers.values():
                end.close()

    asyncio.run(play())


def test_who_asks_for_what_is_ready_elsewhere_waits_for_the_wall():
    async def scenario(scene):
        scene.tell((1, "READY", True), (2, "READY", True), labels={"new": 2})
        assert not scene.mirror.settled
        found = [scene.service.find(), scene.service.find(2), scene.service.find(None, "new")]
        assert {version.number for version in found} == {2}
        caller = Caller()
        scene.service.submit(caller)
        scene.hand(1)
        scene.hand(2)
        await scene.joined()
        assert scene.mirror.settled and caller.answer is None
        await scene.answer(2)
        assert caller.answer[:3] == (Code.OK, 0, b"told")

    played(scenario)


def test_a_version_without_workers_is_asked_for_elsewhere():
    async def scenario(scene):
        scene.tell((1, "READY", False))
        with pytest.raises(Unknown):
            scene.service.find()

    played(scenario)


def test_a_wall_that_does_not_come_is_not_awaited_for_ever(monkeypatch):
    async def scenario(scene):
        scene.tell((1, "READY", True))
        assert scene.service.find().number == 1
        monkeypatch.setattr(mirror, "WALL_S", 0.0)
        scene.mirror.tick(time.monotonic())
        with pytest.raises(Unknown):
            scene.service.find()
        scene.hand(1)
        await scene.joined()
        assert scene.service.find().number == 1

    played(scenario)


def test_a_version_that_goes_takes_no_calls_without_a_wall():
    async def scenario(scene):
        scene.tell((1, "READY", True))
        scene.hand(1)
        await scene.joined()
        scene.mirror.lost(Lost(1, "was ended"))
        scene.tell((1, "DRAINING", False))
        caller = Caller()
        scene.service.submit(caller, scene.service.versions[1])
        assert caller.answer.code == Code.UNAVAILABLE
        with pytest.raises(Unknown):
            scene.service.find()
        scene.tell((1, "DRAINING", False), (2, "READY", True))
        assert scene.service.find().number == 2

    played(scenario)


def test_who_waits_for_a_version_that_goes_without_a_worker_is_told_at_once():
    async def scenario(scene):
        scene.tell((1, "READY", True))
        caller = Caller()
        scene.service.submit(caller)
        scene.tell((1, "DRAINING", False))
        assert caller.answer.code == Code.WORKER_LOST

    played(scenario)


def test_a_version_that_goes_finishes_what_waits_and_gives_its_wall_back():
    async def scenario(scene):
        scene.tell((1, "READY", True))
        scene.hand(1)
        await scene.joined()
        caller = Caller()
        scene.service.submit(caller)
        scene.tell((1, "DRAINING", False), (2, "READY", True))
        await scene.answer(1)
        assert caller.answer.code == Code.OK
        scene.mirror.tick(time.monotonic())
        assert scene.said == [Released(1)]

    played(scenario)


@pytest.mark.parametrize("was_told", [False, True])
def test_a_wall_that_is_wanted_no_more_goes_back(was_told):
    async def scenario(scene):
        if was_told:
            scene.tell((1, "READY", True))
        scene.tell((1, "DRAINING", False), (2, "READY", True))
        scene.hand(1)
        now_s = time.monotonic()
        scene.mirror.tick(now_s)
        assert scene.said == []  # it might be told of next
        scene.mirror.tick(now_s + UNTOLD_S + 1)
        assert scene.said == [Released(1)]
        with contextlib.suppress(ConnectionResetError):
            assert scene.workers[1].recv(1) == b""

    played(scenario)
