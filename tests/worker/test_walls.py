"""A worker with a door: several processes talk to it, each over its own wall, on any Python."""

import contextlib
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

import eas_processor
from eas_processor.pool.door import Door
from eas_processor.runtimes.interpreters import find_interpreter
from eas_processor.worker.frames import SHARED, FrameDecoder, Kind, encode
from eas_processor.worker.shared import PLACE
from tests.serving_process import PUPPETS

WORKER = Path(eas_processor.__file__).parent / "worker"
TIMEOUT_S = 30


class Wall:
    """Our end of one; calls carry its number."""

    def __init__(self, number, end):
        self.number, self.socket, self.decoder, self.frames = number, end, FrameDecoder(), []
        end.settimeout(TIMEOUT_S)

    def call(self, id, body):
        self.socket.sendall(encode(Kind.PROCESS, body, (self.number << 56) + id))

    def next(self):
        while not self.frames:
            data = self.socket.recv(65536)
            assert data, "the wall has ended"
            self.frames += self.decoder.feed(data)
        return self.frames.pop(0)

    def answer(self):
        frame = self.next()
        assert frame.kind == Kind.ANSWER and frame.id >> 56 == self.number
        return frame.id & 0xFF, frame.payload


class Far(contextlib.AbstractContextManager):
    def __init__(self, python, **config):
        ours, theirs = socket.socketpair()
        self.door = Door()
        with theirs:
            fds = (theirs.fileno(), self.door.inherited.fileno())
            self.process = subprocess.Popen(
                [str(python), "-W", "error", "-s", str(WORKER), *map(str, fds)],
                pass_fds=fds,
                env={"PATH": os.environ["PATH"]},
            )
        self.host = Wall(0, ours)
        self.walls = [self.host]
        assert self.host.next().kind == Kind.HELLO
        config = {"service": "s", "options": {}, "concurrency": 2, "cores": 1, **config}
        load = {"entry": "puppet:Puppet", "paths": [str(PUPPETS / "puppet")], "packages": {},
                "model_dir": "", "config": config}  # fmt: skip
        self.host.socket.sendall(encode(Kind.LOAD, json.dumps(load).encode()))
        assert self.host.next().kind == Kind.LOADED

    def let_in(self, number):
        wall = Wall(number, self.door.let_in(number))
        self.walls.append(wall)
        return wall

    def __exit__(self, *_):
        for wall in self.walls:
            wall.socket.close()
        self.door.close()
        assert self.process.wait(TIMEOUT_S) == 0


@pytest.fixture(params=["3.6", "3.8", "3.11", "3.13"])
def far(request):
    python = find_interpreter(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} here")
    with Far(python.path) as far:
        yield far


def test_answers_go_where_their_calls_came_from(far):
    walls = [far.host, far.let_in(1), far.let_in(2)]
    for round in range(50):
        for wall in walls:
            wall.call(round, b"echo %d of %d" % (round, wall.number))
    for wall in walls:
        answers = sorted(wall.answer() for _ in range(50))
        assert answers == [(n, b"%d of %d" % (n, wall.number)) for n in range(50)]


def test_long_calls_find_their_way_back_too(far):
    walls = [far.host, far.let_in(1)]
    for id in range(10):
        for wall in walls:
            wall.call(id, b"slowly 0.01 of %d" % wall.number)
    for wall in walls:
        assert sorted(wall.answer() for _ in range(10)) == [
            (id, b"of %d" % wall.number) for id in range(10)
        ]


@pytest.mark.parametrize("last_words", [b"", b"\xff" * 64, encode(Kind.PROCESS, b"echo")[:20]])
def test_the_end_of_one_wall_harms_no_other(far, last_words):
    leaving, staying = far.let_in(1), far.let_in(2)
    leaving.call(1, b"slowly 0.2 late")
    leaving.socket.sendall(last_words)
    leaving.socket.close()
    staying.call(1, b"echo stays")
    assert staying.answer() == (1, b"stays")
    far.host.call(1, b"echo host")
    assert far.host.answer() == (1, b"host")
    again = far.let_in(1)  # another process in the place of the one that left
    again.call(2, b"echo again")
    assert again.answer() == (2, b"again")


def test_when_the_hosts_wall_ends_so_does_the_worker_whoever_is_left(far):
    other = far.let_in(1)
    other.call(1, b"echo x")
    assert other.answer() == (1, b"x")
    far.host.socket.close()
    assert other.socket.recv(1) == b""
    assert far.process.wait(TIMEOUT_S) == 0


def test_a_worker_lives_on_when_the_door_is_closed(far):
    other = far.let_in(1)
    far.door.close()
    other.call(1, b"echo x")
    assert other.answer() == (1, b"x")


def test_a_body_whose_owner_has_just_ended_costs_nothing_but_its_call(far):
    other = far.let_in(1)
    gone = subprocess.Popen(["true"])
    gone.wait()
    place = PLACE.pack(1, gone.pid, 5, 1 << 20, 0, 300_000)
    other.socket.sendall(encode(Kind.PROCESS, place, (1 << 56) + 7, flags=SHARED))
    id, words = other.answer()
    assert id == 7 and b"memory cannot be read" in words
    far.host.call(1, b"echo x")
    assert far.host.answer() == (1, b"x")


def test_one_that_takes_no_answers_holds_up_nobody_and_loses_none(far):
    deaf, other = far.let_in(1), far.let_in(2)
    deaf.call(1, b"large %d" % (8 << 20))
    assert deaf.socket.recv(1, socket.MSG_PEEK)  # the worker is writing
    deaf.call(2, b"echo second")
    for id in range(9):
        other.call(id, b"echo x")
        assert other.answer() == (id, b"x")
    assert sorted(deaf.answer() for _ in range(2)) == [(1, b"x" * (8 << 20)), (2, b"second")]


def test_one_that_leaves_without_taking_its_answers_harms_nobody(far):
    deaf, other = far.let_in(1), far.let_in(2)
    deaf.call(1, b"large %d" % (8 << 20))
    assert deaf.socket.recv(1)  # the worker is writing
    deaf.socket.close()
    other.call(1, b"echo x")
    assert other.answer() == (1, b"x")
