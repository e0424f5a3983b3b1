"""Requests that come packed and answers that leave packed, over a connection and a router."""

import asyncio
import gzip
import json
import random
import threading
import zlib

import cramjam
import pytest

from eas_processor.config import Limits
from eas_processor.http import compression
from eas_processor.http.compression import INLINE_BYTES_MAX, TooLarge
from eas_processor.http.connections import Connections
from eas_processor.http.messages import BINARY, JSON
from eas_processor.http.router import Route, Router
from tests.http.fakes import answers, connect, post

LIMITS = Limits(body_bytes_max=200_000)
LONG = json.dumps(list(range(2000))).encode()


class Echo:
    """A router whose one route answers with the body, or with what is put here."""

    def __init__(self, decompressor="", answer=None, content_type=BINARY):
        route = Route(self.handle, 5.0, decompressor=decompressor)
        self.router = Router([lambda target: route], lambda request: None, LIMITS)
        self.answer, self.content_type, self.bodies = answer, content_type, []

    def handle(self, request):
        self.bodies.append(request.body)
        request.respond(200, self.answer or request.body, self.content_type)


def exchange(echo, sent, limits=LIMITS, connections=None):
    """The transport after `sent` has been answered, which may take a thread."""

    async def talk():
        protocol, transport, _ = connect(echo.router, limits, connections)
        protocol.data_received(sent)
        async with asyncio.timeout(10):
            while protocol._waiting:
                await asyncio.sleep(0.001)
        return transport

    return asyncio.run(talk())


def packed(body, coding=b"gzip"):
    return post(body, head=b"Content-Encoding: " + coding + b"\r\n")


def test_a_header_says_how_a_body_is_packed():
    for coding, body in ((b"gzip", gzip.compress(LONG)), (b"deflate", zlib.compress(LONG)),
                         (b"zstd", bytes(cramjam.zstd.compress(LONG))),
                         (b"identity", LONG)):  # fmt: skip
        assert answers(exchange(Echo(), packed(body, coding))) == [(200, LONG)]


def test_a_service_says_how_bodies_are_packed_where_no_header_does():
    body = bytes(cramjam.lz4.compress_block(LONG, store_size=False))
    assert answers(exchange(Echo("lz4"), post(body))) == [(200, LONG)]
    assert answers(exchange(Echo("lz4"), packed(gzip.compress(LONG)))) == [(200, LONG)]
    assert answers(exchange(Echo("lz4"), packed(LONG, b"identity"))) == [(200, LONG)]


def test_an_empty_body_is_never_unpacked():
    echo = Echo("gzip", b"signature")
    assert answers(exchange(echo, post(b""))) == [(200, b"signature")]
    assert echo.bodies == [b""]


def test_a_body_whose_time_is_over_before_its_turn_is_not_unpacked(monkeypatch):
    unpacked, turn = [], threading.Event()

    def unpack(form, body, bytes_max):
        if len(body) <= bytes_max == INLINE_BYTES_MAX:
            raise TooLarge("for the loop")
        unpacked.append(body)
        turn.wait(10)
        return body

    monkeypatch.setattr(compression, "unpack", unpack)
    route = Route(lambda request: request.respond(200, b"ok"), 0.5)
    router = Router([lambda target: route], lambda request: None, LIMITS)

    async def talk():
        transports = []
        for number in range(2):
            protocol, transport, _ = connect(router, LIMITS)
            protocol.data_received(packed(b"%d" % number))
            transports.append((protocol, transport))
        await asyncio.sleep(0.6)
        turn.set()
        async with asyncio.timeout(10):
            while any(protocol._waiting for protocol, _ in transports):
                await asyncio.sleep(0.001)
        return [answers(transport)[0][0] for _, transport in transports]

    assert asyncio.run(talk()) == [200, 408]
    assert unpacked == [b"0"]


def test_a_body_that_unpacks_to_much_is_unpacked_beside_the_loop():
    body = bytes(INLINE_BYTES_MAX * 2)
    assert answers(exchange(Echo(), packed(gzip.compress(body)))) == [(200, body)]


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (packed(b"these are plain words"), 400, b"the body is not gzip, or is cut short"),
        (packed(gzip.compress(LONG)[:-9]), 400, b"the body is not gzip, or is cut short"),
        (packed(gzip.compress(bytes(900_000))), 413, b"unpacks to more than 200000 bytes"),
        (packed(LONG, b"br"), 415, b"Content-Encoding br is not known; known: gzip, zlib"),
    ],
)
def test_what_does_not_unpack_is_refused_in_words_and_the_connection_goes_on(sent, status, words):
    echo = Echo()
    first, second = answers(exchange(echo, sent + post(b"next")))
    assert first[0] == status and words in first[1]
    assert second == (200, b"next") and echo.bodies == [b"next"]


def test_packed_requests_in_a_pipeline_are_answered_in_order():
    large, small = bytes(INLINE_BYTES_MAX * 2), b"small"
    sent = packed(gzip.compress(large)) + packed(gzip.compress(small)) + post(b"plain")
    assert answers(exchange(Echo(), sent)) == [(200, large), (200, small), (200, b"plain")]


def test_what_a_body_unpacks_to_counts_as_held_until_it_is_answered():
    connections, limits = Connections(), Limits(held_bytes_max=10_000)
    body = gzip.compress(bytes(9_000))
    transport = exchange(Echo(), packed(body) + packed(body), limits, connections)
    assert [status for status, _ in answers(transport)] == [200, 200]
    assert connections.held_bytes == 0
    transport = exchange(Echo(), packed(gzip.compress(bytes(11_000))), limits, connections)
    assert [status for status, _ in answers(transport)] == [503]
    assert connections.held_bytes == 0


def test_a_client_that_leaves_while_its_body_is_unpacked_calls_nobody():
    echo = Echo()

    async def leave():
        protocol, _, _ = connect(echo.router, LIMITS, connections)
        protocol.data_received(packed(gzip.compress(bytes(150_000))))
        assert protocol._waiting
        protocol.connection_lost(None)
        other, transport, _ = connect(echo.router, LIMITS, connections)
        other.data_received(packed(gzip.compress(bytes(150_000))))  # behind it in the same thread
        async with asyncio.timeout(10):
            while not transport.written:
                await asyncio.sleep(0.001)

    connections = Connections()
    asyncio.run(leave())
    assert len(echo.bodies) == 1
    assert connections.held_bytes == 0


# answers


def get(head=b"", method=b"GET"):
    return method + b" / HTTP/1.1\r\n" + head + b"\r\n"


WANTS = b"Accept-Encoding: gzip, deflate\r\n"


@pytest.mark.parametrize("size", [2000, INLINE_BYTES_MAX * 2])
def test_long_json_is_packed_for_those_who_take_it(size):
    transport = exchange(Echo(answer=b"7" * size, content_type=JSON), get(WANTS))
    assert b"\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\n" in transport.written
    ((status, body),) = answers(transport)
    assert status == 200 and gzip.decompress(body) == b"7" * size and len(body) < size / 10


@pytest.mark.parametrize(
    "head", [b"", b"Accept-Encoding: identity\r\n", b"Accept-Encoding: gzip;q=0\r\n"]
)
def test_nobody_else_gets_them_packed_but_caches_are_told(head):
    transport = exchange(Echo(answer=LONG, content_type=JSON), get(head))
    assert answers(transport) == [(200, LONG)]
    assert b"Vary: Accept-Encoding" in transport.written
    assert b"Content-Encoding" not in transport.written


def test_short_answers_and_those_to_head_are_never_packed():
    transport = exchange(Echo(answer=b"7" * 1023, content_type=JSON), get(WANTS))
    assert answers(transport) == [(200, b"7" * 1023)]
    transport = exchange(Echo(answer=LONG, content_type=JSON), get(WANTS, b"HEAD"))
    assert b"Content-Length: %d\r\n" % len(LONG) in transport.written
    assert b"Content-Encoding" not in transport.written


def test_binary_answers_are_packed_only_where_that_pays():
    noise = random.Random(3).randbytes(5000)
    assert answers(exchange(Echo(answer=noise), get(WANTS))) == [(200, noise)]
    sparse = noise[:100] + bytes(4900)
    ((_, body),) = answers(exchange(Echo(answer=sparse), get(WANTS)))
    assert gzip.decompress(body) == sparse


def test_packing_can_be_switched_off():
    limits = Limits(answer_gzip_bytes_min=0)
    transport = exchange(Echo(answer=LONG, content_type=JSON), get(WANTS), limits)
    assert answers(transport) == [(200, LONG)] and b"Vary" not in transport.written
