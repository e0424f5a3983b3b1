"""A client whose frames are made by hand, and what a server is told by it.

No real client would send most of them.
"""

import asyncio
import struct

import hpack

from eas_processor.http2 import frames
from eas_processor.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    frame,
)  # fmt: skip
from eas_processor.rpc import wire
from tests.rpc.fakes import PREDICTION, Scene, Version, predict, run, service

WAIT_S = 5.0
WHOLE = END_HEADERS | END_STREAM
UNKNOWN = 0xFE
HELLO = PREFACE + frames.settings({})
BODY = wire.framed(predict().SerializeToString())
REQUEST = {
    b":method": b"POST", b":scheme": b"http", b":path": f"/{PREDICTION}/Predict".encode(),
    b":authority": b"localhost", b"te": b"trailers", b"content-type": b"application/grpc",
}  # fmt: skip
FIRST = tuple(REQUEST.items())


def block(*fields):
    """A header block of its own: nothing in it depends on a table."""
    return b"".join(
        b"\0" + hpack.hpack.encode_integer(len(name), 7) + name
        + hpack.hpack.encode_integer(len(value), 7) + value
        for name, value in fields
    )  # fmt: skip


HEAD = block(*FIRST)


def with_fields(*fields, without=()):
    return block(*(one for one in FIRST if one[0] not in without), *fields)


def call(stream, *more, body=BODY):
    return frame(HEADERS, END_HEADERS, stream, with_fields(*more)) + frame(
        DATA, END_STREAM, stream, body
    )


def padded(payload, size):
    return bytes((size,)) + payload + bytes(size)


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.decoder = hpack.Decoder()

    def say(self, data):
        self._writer.write(data)

    def end(self):
        self._writer.write_eof()

    def close(self):
        self._writer.close()

    async def frame(self):
        """(kind, flags, stream, payload); None once the server has closed."""
        async with asyncio.timeout(WAIT_S):
            try:
                head = await self._reader.readexactly(frames.HEAD_BYTES)
                high, low, *rest = frames.HEAD.unpack(head)
                return *rest, await self._reader.readexactly(high << 8 | low)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    async def next(self, *kinds):
        """The next frame of one of those kinds; None once the server has closed."""
        while (found := await self.frame()) is not None and found[0] not in kinds:
            pass
        return found

    async def failure(self):
        """("stream" or "connection", error code) of the first error we are told of."""
        found = await self.next(RST_STREAM, GOAWAY)
        if found is None:
            return None
        if found[0] == RST_STREAM:
            return "stream", int.from_bytes(found[3], "big")
        code = int.from_bytes(found[3][4:8], "big")
        assert await self.next() is None  # a connection that failed is closed
        return "connection", code

    async def is_alive(self):
        """Whether it answers a PING, and has complained of nothing before."""
        self.say(frame(PING, 0, 0, b"is alive"))
        while (found := await self.frame()) is not None:
            if found[0] in (RST_STREAM, GOAWAY):
                return False
            if found[0] == PING and found[1] & ACK and found[3] == b"is alive":
                return True
        return False

    async def answer(self, stream):
        """(kinds of its frames, body, all fields) of a whole answer."""
        kinds, body, fields = [], b"", {}
        while (found := await self.frame()) is not None:
            kind, flags, number, payload = found
            if kind == HEADERS:
                read = self.decoder.decode(payload, raw=True)
                if number == stream:
                    fields |= dict(read)
            if number != stream or kind not in (DATA, HEADERS):
                continue
            kinds.append(kind)
            if kind == DATA:
                body += payload
            if flags & END_STREAM:
                return kinds, body, fields
        return None


def played(play, version=None, hello=HELLO, endpoint=None):
    """What play(peer, served) gives; the server must not have let an error out."""
    told = []

    async def scene():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: told.append(what))
        async with Scene(service("m", version or Version(1, b"")), endpoint=endpoint) as served:
            port = served.server.port
            peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
            try:
                peer.say(hello)
                return await play(peer, served)
            finally:
                peer.close()

    found = run(scene())
    assert not told
    return found


def failure(*said, hello=HELLO):
    async def play(peer, _):
        peer.say(b"".join(said))
        return await peer.failure()

    return played(play, Version(1, None), hello)


def survives(*said, hello=HELLO):
    async def play(peer, _):
        peer.say(b"".join(said))
        return await peer.is_alive()

    return played(play, Version(1, None), hello)


def stream(code):
    return "stream", code


def connection(code):
    return "connection", code


OPEN = frame(HEADERS, END_HEADERS, 1, HEAD)
ASKED = call(1)
BEGUN = frame(HEADERS, 0, 1, HEAD)  # a head that goes on
SIX = struct.Struct(">HI").pack


WATCH = b"/grpc.health.v1.Health/Watch"


def watch(stream, *more):
    """A call of Health.Watch, which goes on until somebody ends it."""
    fields = block(*{**REQUEST, b":path": WATCH}.items(), *more)
    return frame(HEADERS, END_HEADERS, stream, fields) + frame(
        DATA, END_STREAM, stream, wire.framed(b"")
    )


async def gone(served):
    async with asyncio.timeout(WAIT_S):
        while served.server._connections.open:
            await asyncio.sleep(0.01)
