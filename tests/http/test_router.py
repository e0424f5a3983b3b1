"""Who answers may change while a body arrives: whoever does so when it is complete."""

import zlib
from dataclasses import replace

from eas_processor.http.router import Route, Router
from tests.http.fakes import SMALL, answers, connect, post


class Scene:
    """A router whose only dialect has the routes of `now`, by path; and one connection."""

    def __init__(self, **now):
        self.now = now
        self.router = Router([self._resolve], lambda r: r.respond(404, b"not found"), SMALL)
        self.protocol, self.transport, _ = connect(self.router)

    def _resolve(self, target):
        return self.now.get(target.path[1:])

    def change(self, **now):
        self.now = now
        self.router.forget()

    def send_half(self):
        self.rest = post(b"body")[-2:]
        self.protocol.data_received(post(b"body")[:-2])

    def send_rest(self):
        self.protocol.data_received(self.rest)
        return answers(self.transport)


def route(name, lets_in=True):
    def check(request):
        if not lets_in:
            request.respond(401, name + b" lets nobody in")

    return Route(lambda request: request.respond(200, name + b" " + request.body), 9.0, check)


def test_a_request_goes_to_whoever_answers_when_it_is_complete():
    scene = Scene(p=route(b"old"))
    scene.send_half()
    scene.change(p=route(b"new"))
    assert scene.send_rest() == [(200, b"new body")]


def test_it_is_judged_anew():
    scene = Scene(p=route(b"old"))
    scene.send_half()
    scene.change(p=route(b"new", lets_in=False))
    assert scene.send_rest() == [(401, b"new lets nobody in")]


def test_what_is_gone_is_not_found():
    scene = Scene(p=route(b"old"))
    scene.send_half()
    scene.change()
    assert scene.send_rest() == [(404, b"not found")]


def test_where_the_head_has_been_passed_on_its_receiver_answers():
    class Waiter:
        def give_way(self):
            pass

    def pass_on(request):
        request.waiter = Waiter()

    scene = Scene(p=Route(lambda request: request.respond(200, b"elsewhere"), 9.0, pass_on))
    scene.send_half()
    scene.change(p=route(b"new"))
    assert scene.send_rest() == [(200, b"elsewhere")]


def test_nothing_is_looked_up_anew_where_nothing_has_changed():
    scene = Scene(p=route(b"old"))
    scene.send_half()
    scene.now = {}
    assert scene.send_rest() == [(200, b"old body")]


class Kept:
    """A body where its route wants it, and nobody else can read it."""

    def __init__(self):
        self.pieces = []

    def write(self, data):
        self.pieces.append(data)

    def __bytes__(self):
        return b"".join(self.pieces)

    def __len__(self):
        return sum(map(len, self.pieces))


def test_a_body_that_was_kept_for_one_route_can_be_unpacked_by_the_next():
    scene = Scene(p=replace(route(b"old"), sink=lambda _: Kept()))
    packed = zlib.compress(b"unpacked")
    request = post(packed)
    scene.protocol.data_received(request[:-2])
    scene.change(p=replace(route(b"new"), decompressor="zlib"))
    scene.protocol.data_received(request[-2:])
    assert answers(scene.transport) == [(200, b"new unpacked")]
