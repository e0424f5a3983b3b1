"""HTTP requests that one process takes and another one answers."""

import itertools

import pytest

from eas_processor.config import Limits
from eas_processor.fronts.asked import Questions
from eas_processor.fronts.messages import (
    Decoder,
    Forgotten,
    Question,
    Rest,
    ToFront,
    ToHost,
    encode,
)
from eas_processor.fronts.relay import Relay
from eas_processor.http.connections import Connections
from eas_processor.http.messages import TEXT
from eas_processor.http.router import Route, Router
from tests.http.fakes import connect

LIMITS = Limits()
HEAD = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


class Scene:
    """A connection of a front, and process 1; what passes between them waits to be delivered."""

    def __init__(self, limits=LIMITS):
        self.said = []
        self.relay = Relay({}, self._to_host, itertools.count(1))
        router = Router([self.relay.resolve], None, limits)
        self.connections = Connections()
        self.protocol, self.transport, _ = connect(router, limits, self.connections)
        self.host = Host()
        self.questions = Questions(self.host, self._to_front)
        self._way_back = []

    def _to_host(self, message):
        (told,) = Decoder(ToHost).feed(b"".join(encode(message)))
        self.said.append(told)

    def _to_front(self, message):
        self._way_back += Decoder(ToFront).feed(b"".join(encode(message)))

    def deliver(self):
        """Let process 1 hear what was said, and the front its answers."""
        for message in self.said:
            match message:
                case Question():
                    self.questions.ask(message)
                case Rest():
                    self.questions.rest(message)
                case Forgotten(number):
                    self.questions.forget(number)
        self.said.clear()
        for reply in self._way_back:
            self.relay.replied(reply)
        self._way_back.clear()

    def send(self, data):
        self.protocol.data_received(data)


class Host:
    """Process 1: refuses /refused by its head, fails at /broken, answers others with their body."""

    def __init__(self):
        self.gone = []
        self.handled = []

    def begin(self, request):
        request.route = Route(self.handle, 5.0)
        request.deadline_s = request.started_s + 5.0
        if request.target == b"/refused":
            request.respond(401, b"no\n", TEXT)
        elif request.target == b"/broken":
            raise ValueError

    def handle(self, request):
        self.handled.append(request.target)
        request.waiter = self
        if request.target != b"/later":
            request.respond(200, request.body, TEXT)

    def abandon(self):
        self.gone.append(1)


def test_a_request_is_answered_by_process_1():
    scene = Scene()
    scene.send(HEAD % (b"x", 4) + b"bo")
    scene.deliver()
    scene.send(b"dy")
    scene.deliver()
    assert scene.transport.written.startswith(b"HTTP/1.1 200 ")
    assert scene.transport.written.endswith(b"\r\n\r\nbody")


def test_a_body_that_is_refused_by_the_head_goes_nowhere_and_is_not_kept():
    scene = Scene()
    scene.send(HEAD % (b"refused", 1 << 20) + b"a")
    scene.deliver()
    for _ in range(15):
        scene.send(bytes(1 << 16))
        assert scene.connections.held_bytes <= 1
    scene.send(bytes((1 << 16) - 1))
    assert scene.transport.written.startswith(b"HTTP/1.1 401 ")
    assert not scene.said
    assert not scene.host.handled
    assert scene.connections.held_bytes == 0
    scene.send(HEAD % (b"y", 0))  # the connection goes on
    scene.deliver()
    assert scene.transport.written.count(b"HTTP/1.1 ") == 2


def test_an_answer_that_comes_when_the_body_is_on_its_way_is_the_only_one():
    scene = Scene()
    scene.send(HEAD % (b"refused", 2) + b"ab")
    assert [type(message) for message in scene.said] == [Question, Rest]
    scene.deliver()
    assert scene.transport.written.count(b"HTTP/1.1 401 ") == 1
    assert not scene.host.handled


@pytest.mark.parametrize("moment", ["head", "body"])
def test_process_1_is_told_that_a_client_has_left(moment):
    scene = Scene()
    scene.send(HEAD % (b"later", 2) + (b"a" if moment == "head" else b"ab"))
    scene.deliver()
    scene.protocol.connection_lost(None)
    assert [type(message) for message in scene.said] == [Forgotten]
    scene.deliver()
    assert scene.host.gone == ([1] if moment == "body" else [])


def test_process_1_is_told_of_a_body_that_goes_wrong():
    scene = Scene(Limits(body_bytes_max=8))
    scene.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
    scene.deliver()
    scene.send(b"9\r\nefghijklm\r\n")
    assert scene.transport.written.startswith(b"HTTP/1.1 413 ")
    assert [type(message) for message in scene.said] == [Forgotten]


def test_an_error_of_process_1_concerns_one_request_alone():
    scene = Scene()
    scene.send(HEAD % (b"broken", 1) + b"a" + HEAD % (b"x", 1) + b"b")
    scene.deliver()
    assert scene.transport.written.startswith(b"HTTP/1.1 500 ")
    assert scene.transport.written.endswith(b"\r\n\r\nb")
