"""Large bodies over real sockets: read to their place, and nothing else is disturbed by that."""

import asyncio
import contextlib
import os

import pytest
import uvloop

from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from eas_processor.http.protocol import HttpProtocol
from eas_processor.http.router import Route
from eas_processor.pool.bodies import Bodies, SharedBody
from tests.http.fakes import App, post

LARGE = 3_000_000


class Sinking(App):
    """An application that wants large bodies in shared memory."""

    def __init__(self, **options):
        super().__init__(**options)
        self.bodies = Bodies(64 << 20)

    def begin(self, request):
        super().begin(request)
        request.route = Route(lambda request: None, self.timeout_s, sink=self.bodies.borrow)

    def handle(self, request):
        self.kinds = [*getattr(self, "kinds", ()), type(request.body)]
        body = bytes(request.body)
        self.requests.append(request)
        if self.instantly:
            request.respond(200, body[:5] + body[-5:])


@contextlib.asynccontextmanager
async def served(app, limits):
    connections = Connections()
    loop = asyncio.get_running_loop()
    made = []

    def new():
        made.append(HttpProtocol(app, limits, connections))
        return made[-1]

    server = await loop.create_server(new, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer, made, connections
        finally:
            writer.close()


def run(scenario, app=None, limits=None):
    app = app or Sinking()
    limits = limits or Limits()

    async def bounded():
        async with served(app, limits) as (reader, writer, made, connections):
            await asyncio.wait_for(scenario(app, reader, writer, made, connections), 30)

    uvloop.run(bounded())


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


@pytest.mark.parametrize("pieces", [1, 2, 7, 400])
def test_a_body_is_what_was_sent_however_it_came(pieces):
    body = os.urandom(LARGE)

    async def scenario(app, reader, writer, made, connections):
        data = post(body)
        step = len(data) // pieces + 1
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await writer.drain()
            await asyncio.sleep(0.001)
        assert await answer(reader) == (200, body[:5] + body[-5:])
        assert app.kinds == [SharedBody] and bytes(app.requests[0].body) == body
        assert connections.held_bytes == 0

    run(scenario)


def test_requests_before_and_behind_it_are_read_as_ever():
    body = os.urandom(LARGE)
    small = b"s" * 20

    async def scenario(app, reader, writer, made, connections):
        for _ in range(3):
            writer.write(post(small) + post(body) + post(small) + post(body) + post(small))
            for sent in (small, body, small, body, small):
                assert await answer(reader) == (200, sent[:5] + sent[-5:])
        assert connections.held_bytes == 0

    run(scenario)


def test_a_client_that_waits_for_100_continue_is_told_to_go_on():
    body = os.urandom(LARGE)

    async def scenario(app, reader, writer, made, connections):
        head = post(body, b"Expect: 100-continue\r\n")[: -len(body)]
        writer.write(head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(body)
        assert await answer(reader) == (200, body[:5] + body[-5:])

    run(scenario)


def test_one_that_comes_too_slowly_is_refused_and_its_rest_goes_nowhere():
    async def scenario(app, reader, writer, made, connections):
        writer.write(post(b"x" * LARGE)[: LARGE // 2])
        await asyncio.sleep(0.2)
        made[0].tick(made[0]._arriving.deadline_s + 1)
        lent = app.bodies.borrow(LARGE)  # the same memory, to somebody else
        lent.write(b"z" * LARGE)
        with contextlib.suppress(ConnectionError):
            writer.write(b"y" * LARGE)
            await writer.drain()
        status, _ = await answer(reader)
        assert status == 408 and bytes(lent) == b"z" * LARGE
        assert connections.held_bytes == 0

    run(scenario)


def test_a_connection_that_is_idle_keeps_no_memory():
    async def scenario(app, reader, writer, made, connections):
        for _ in range(3):
            writer.write(post(b"x" * LARGE))
            assert (await answer(reader))[0] == 200
            app.requests.clear()
            assert len(app.bodies._free) == 1

    run(scenario)


def test_one_that_is_too_much_for_all_together_is_refused():
    async def scenario(app, reader, writer, made, connections):
        with contextlib.suppress(ConnectionError):
            writer.write(post(b"x" * LARGE))
            await writer.drain()
        status, _ = await answer(reader)
        assert status == 503 and connections.held_bytes == 0 and not app.requests

    run(scenario, limits=Limits(held_bytes_max=LARGE // 2))


@pytest.mark.parametrize("leave", ["close", "eof", "reset"])
def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(leave):
    async def scenario(app, reader, writer, made, connections):
        writer.write(post(b"x" * LARGE)[: LARGE // 2])
        await writer.drain()
        await asyncio.sleep(0.1)
        if leave == "eof":
            writer.write_eof()
            assert await reader.read() == b""
        elif leave == "reset":
            writer.transport.abort()
        else:
            writer.close()
        for _ in range(100):
            if made[0].closed:
                break
            await asyncio.sleep(0.02)
        assert made[0].closed and connections.held_bytes == 0 and not connections.open
        made.clear()
        await asyncio.sleep(0)
        assert len(app.bodies._free) == 1, "its memory is there for the next one"

    run(scenario)


def test_reading_that_is_paused_goes_on_where_it_was():
    body = os.urandom(LARGE)

    async def scenario(app, reader, writer, made, connections):
        data = post(body)
        writer.write(data[: LARGE // 3])
        await asyncio.sleep(0.1)
        made[0].pause_writing()
        writer.write(data[LARGE // 3 :])
        await asyncio.sleep(0.1)
        assert not app.requests
        made[0].resume_writing()
        assert await answer(reader) == (200, body[:5] + body[-5:])

    run(scenario)
