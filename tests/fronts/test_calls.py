"""gRPC calls that one process takes and another one answers."""

import asyncio
import itertools
import time

import pytest

from eas_processor.errors import Code, ServingError
from eas_processor.fronts.calls import CallRelay, Calls
from eas_processor.fronts.messages import (
    Call,
    Decoder,
    Forgotten,
    Returned,
    ToFront,
    ToHost,
    encode,
)
from eas_processor.http2.heads import Head
from eas_processor.rpc.context import Context
from eas_processor.rpc.dispatch import Unary

PATH = b"/a.Service/Method"
PEER = ("10.0.0.7", 4711)
WAIT_S = 5.0


class Scene:
    """Both ends, with all that passes between them encoded as it is on its way."""

    def __init__(self, answer):
        self.said = []
        self.calls = Calls({PATH: Unary(answer)}, self._to_front)
        self.relay = CallRelay(self._to_host, itertools.count(1))

    def _to_front(self, message):
        (told,) = Decoder(ToFront).feed(b"".join(encode(message)))
        self.said.append(told)
        assert isinstance(told, Returned)
        self.relay.returned(told)

    def _to_host(self, message):
        (told,) = Decoder(ToHost).feed(b"".join(encode(message)))
        self.said.append(told)
        if isinstance(told, Call):
            self.calls.ask(told)
        else:
            assert isinstance(told, Forgotten)
            self.calls.forget(told.number)

    async def ask(self, body, path=PATH, deadline_s=None):
        head = Head(b"POST", path, ((b"authorization", b"open"), (b"x-bin", b"\0\xff")), None)
        context = Context(head, lambda side: PEER, deadline_s)
        async with asyncio.timeout(WAIT_S):
            return await self.relay.method(path)(body, context)


def run(scene):
    return asyncio.run(scene)


def test_the_message_and_what_came_with_it_arrive():
    async def answer(body, context):
        left_s = context.time_remaining()
        assert 50 < left_s <= 60
        assert ("authorization", "open") in context.metadata()
        return body + context.client_address().encode()

    async def scene():
        return await Scene(answer).ask(b"from ", deadline_s=time.monotonic() + 60)

    assert run(scene()) == b"from 10.0.0.7"


@pytest.mark.parametrize("code", list(Code))
def test_a_refusal_arrives_with_its_code(code):
    async def answer(body, context):
        raise ServingError(code, "not this")

    async def scene():
        with pytest.raises(ServingError, match="not this") as raised:
            await Scene(answer).ask(b"")
        return raised.value.code

    if code != Code.OK:
        assert run(scene()) == code


def test_a_method_that_is_not_there_is_refused():
    async def scene():
        with pytest.raises(ServingError, match="Method not found!") as raised:
            await Scene(None).ask(b"", path=b"/a.Service/Other")
        return raised.value.code

    assert run(scene()) == Code.UNIMPLEMENTED


def test_answers_find_their_calls_in_whatever_order():
    async def answer(body, context):
        await asyncio.sleep(0.05 / int(body))
        return body

    async def scene():
        both = Scene(answer)
        return await asyncio.gather(*(both.ask(b"%d" % n) for n in range(1, 9)))

    assert run(scene()) == [b"%d" % n for n in range(1, 9)]


@pytest.mark.parametrize("who", ["client", "front"])
def test_what_nobody_waits_for_is_ended(who):
    ended = []

    async def answer(body, context):
        try:
            await asyncio.sleep(WAIT_S)
        except asyncio.CancelledError:
            ended.append(who)
            raise

    async def scene():
        both = Scene(answer)
        asking = asyncio.ensure_future(both.ask(b""))
        await asyncio.sleep(0.01)
        if who == "client":
            asking.cancel()
        else:
            both.calls.forget_all()
        await asyncio.sleep(0.01)
        asking.cancel()
        both.relay.returned(Returned(1, Code.OK, "", b"too late"))
        await asyncio.gather(asking, return_exceptions=True)
        return both.said

    said = run(scene())
    assert ended == [who]
    assert not any(isinstance(message, Returned) for message in said)
