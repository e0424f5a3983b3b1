"""Sessions of one client: what must be put up with, windows, deadlines, the end."""

import asyncio
import struct

import hpack
import pytest

from eas_processor.http2 import frames
from eas_processor.http2.connection import Http2Connection
from eas_processor.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PRIORITY,
    SETTINGS,
    frame,
)
from eas_processor.http2.lifetime import Connections
from eas_processor.http2.upkeep import Bounds
from eas_processor.rpc import wire
from eas_processor.rpc.dispatch import Dispatcher, Unary
from tests.http2.peer import (
    ASKED,
    BEGUN,
    BODY,
    FIRST,
    HEAD,
    HELLO,
    OPEN,
    REQUEST,
    SIX,
    UNKNOWN,
    WAIT_S,
    WHOLE,
    block,
    call,
    connection,
    failure,
    gone,
    padded,
    played,
    survives,
    watch,
    with_fields,
)
from tests.rpc.fakes import Version, run

# the connection's beginning (3.4)


def test_settings_come_first_and_are_acknowledged():
    async def play(peer, _):
        first = await peer.frame()
        return first[:3], (await peer.next(SETTINGS))[1:]

    assert played(play) == ((SETTINGS, 0, 0), (ACK, 0, b""))


@pytest.mark.parametrize("hello", [b"INVALID PREFACE\r\n\r\n", PREFACE[:10] + b"x" * 20])
def test_what_is_no_http2_is_told_so_and_closed(hello):
    async def play(peer, _):
        async with asyncio.timeout(WAIT_S):
            return await peer._reader.read()

    assert b"HTTP/1.1 400" in played(play, hello=hello)


@pytest.mark.parametrize(
    "first",
    [
        frame(PING, 0, 0, bytes(8)),
        frame(SETTINGS, ACK, 0),
        frame(DATA, 0, 1, b"x"),
        frame(HEADERS, WHOLE, 1, HEAD),
    ],
)
def test_settings_must_come_first(first):
    assert failure(first, hello=PREFACE) == connection(frames.PROTOCOL_ERROR)


# what must be put up with

GOOD = {
    "unknown frame": frame(UNKNOWN, 0xFF, 0, b"x" * 100),
    "unknown frame on a stream": frame(UNKNOWN, 0xFF, 77, b"x" * 100),
    "unknown flags": frame(PING, 0xFE & ~ACK, 0, bytes(8)),
    "reserved bit": struct.pack(">HBBBI", 0, 8, PING, 0, 1 << 31) + bytes(8),
    "unknown setting": frame(SETTINGS, 0, 0, SIX(0xFF, 1)),
    "PING that answers none": frame(PING, ACK, 0, bytes(8)),
    "SETTINGS that answer none": frame(SETTINGS, ACK, 0),
    "PRIORITY of an idle stream": frame(PRIORITY, 0, 9, bytes(5)),
    "GOAWAY": frames.goaway(0, frames.NO_ERROR, "bye"),
    "GOAWAY, unknown code": frames.goaway(0, 0xFFFF),
    "RST_STREAM, unknown code": OPEN + frames.reset(1, 0xFFFF),
    "RST_STREAM twice": OPEN + frames.reset(1, 8) + frames.reset(1, 8),
    "WINDOW_UPDATE after RST_STREAM": OPEN + frames.reset(1, 8) + frames.window_update(1, 5),
    "PRIORITY after RST_STREAM": OPEN + frames.reset(1, 8) + frame(PRIORITY, 0, 1, bytes(5)),
    "DATA after RST_STREAM": OPEN + frames.reset(1, 8) + frame(DATA, 0, 1, b"x"),
    "WINDOW_UPDATE half-closed": ASKED + frames.window_update(1, 5),
    "PRIORITY half-closed": ASKED + frame(PRIORITY, 0, 1, bytes(5)),
    "empty DATA": OPEN + frame(DATA, 0, 1) * 100,
    "padded DATA": OPEN + frame(DATA, PADDED, 1, padded(b"x", 255)),
    "DATA of padding": OPEN + frame(DATA, PADDED, 1, padded(b"", 0)),
    "padded HEADERS": frame(HEADERS, END_HEADERS | PADDED, 1, padded(HEAD, 7)),
    "HEADERS with priority": frame(HEADERS, END_HEADERS | PRIORITISED, 1, bytes(5) + HEAD),
    "HEADERS with both": frame(
        HEADERS, END_HEADERS | PRIORITISED | PADDED, 1, padded(bytes(5) + HEAD, 9)
    ),
    "HEADERS and CONTINUATION": BEGUN + frame(CONTINUATION, END_HEADERS, 1),
    "empty HEADERS, CONTINUATIONs": frame(HEADERS, 0, 1)
    + b"".join(frame(CONTINUATION, 0, 1, HEAD[n : n + 9]) for n in range(0, len(HEAD), 9))
    + frame(CONTINUATION, END_HEADERS, 1),
    "DATA of 2^14": OPEN + frame(DATA, 0, 1, bytes(1 << 14)),
    "DATA of 2^20": OPEN + frame(DATA, 0, 1, bytes(1 << 20)),
    "trailers": frame(HEADERS, END_HEADERS, 1, HEAD) + frame(DATA, 0, 1, BODY)
    + frame(HEADERS, WHOLE, 1, block((b"x-checksum", b"1"))),
    "streams left out": frame(HEADERS, END_HEADERS, 7, HEAD),
    "window of 2^31-1": frames.window_update(0, frames.WINDOW_BYTES_MAX - frames.WINDOW_BYTES),
    "window of a stream of 2^31-1": OPEN
    + frames.window_update(1, frames.WINDOW_BYTES_MAX - frames.WINDOW_BYTES),
    "two first windows": frame(SETTINGS, 0, 0, SIX(4, 100) + SIX(4, 1)),
    "space around a value, as gRPC's clients send it": frame(
        HEADERS, END_HEADERS, 1, with_fields((b"a", b" 1 "))),
    "table sizes": frame(HEADERS, END_HEADERS, 1, b"\x20\x3f\xe1\x1f" + HEAD),
}  # fmt: skip


@pytest.mark.parametrize("said", GOOD.values(), ids=GOOD)
def test_what_a_client_may_say(said):
    assert survives(said)


def test_all_kinds_of_literals_and_both_tables():
    literals = (
        b"\x40\x01a\x01b",  # into the table, new name
        b"\x7e\x01c",  # into the table, name from the table
        b"\x0f\x2f\x01d",  # not indexed, name from the table
        b"\x10\x01e\x01f",  # never indexed
        b"\xbe",  # the newest of the table
        b"\x00\x81\x1f\x81\x07",  # Huffman, both
    )

    async def play(peer, _):
        peer.say(frame(HEADERS, END_HEADERS, 1, HEAD + b"".join(literals)))
        peer.say(frame(DATA, END_STREAM, 1, BODY))
        return (await peer.answer(1))[2][b"grpc-status"]

    assert played(play) == b"0"


def test_a_head_with_hpacks_encoder_huffman_and_table():
    async def play(peer, _):
        encoder, found = hpack.Encoder(), []
        for stream in range(1, 60, 2):
            fields = [*FIRST, (b"x-id", b"%d" % (stream % 7)), (b"x-long", b"y" * 400)]
            peer.say(frame(HEADERS, END_HEADERS, stream, encoder.encode(fields)))
            peer.say(frame(DATA, END_STREAM, stream, BODY))
            found.append((await peer.answer(stream))[2][b"grpc-status"])
        return set(found)

    assert played(play) == {b"0"}


# windows (5.2, 6.9)


def test_an_answer_keeps_to_a_window_of_one_byte_and_its_order():
    async def play(peer, _):
        peer.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 1}) + call(1))
        sizes = []
        while True:
            kind, flags, _, payload = await peer.next(DATA, HEADERS)
            sizes.append((kind, len(payload) if kind == DATA else flags))
            if flags & END_STREAM:
                return sizes
            if kind == DATA:
                peer.say(frames.window_update(1, 1))

    head, *data, end = played(play)
    assert head == (HEADERS, END_HEADERS) and end == (HEADERS, WHOLE)
    assert set(data) == {(DATA, 1)} and len(data) > wire.PREFIX_BYTES


def test_windows_that_settings_made_negative_are_filled_before_more_is_sent():
    version = Version(1, b"x" * 1000)

    async def play(peer, _):
        peer.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 300}) + call(1))
        assert len((await peer.next(DATA))[3]) == 300
        peer.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))  # 300 below nothing
        peer.say(frames.window_update(1, 300))
        assert await peer.is_alive()
        peer.say(frames.window_update(1, 7))
        assert len((await peer.next(DATA))[3]) == 7
        peer.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 10_000}))
        return await peer.answer(1)

    kinds, body, fields = played(play, version)
    assert len(body) > 600 and kinds[-1] == HEADERS and fields[b"grpc-status"] == b"0"


def test_frames_are_as_large_as_the_client_says():
    async def play(peer, _):
        peer.say(
            frames.settings({frames.MAX_FRAME_SIZE: 30_000, frames.INITIAL_WINDOW_SIZE: 1 << 20})
        )
        peer.say(frames.window_update(0, 1 << 20) + call(1))
        return max([len((await peer.next(DATA))[3]) for _ in range(3)])

    assert played(play, Version(1, b"x" * 100_000)) == 30_000


# the end of it


def test_a_client_that_resets_ends_its_call_only():
    version = Version(1, None)

    async def play(peer, served):
        peer.say(call(1))
        await version.came.wait()
        peer.say(frames.reset(1, frames.CANCEL))
        assert await peer.is_alive()
        (ours,) = served.server._connections.open
        return len(ours._streams), version.queue.take()

    assert played(play, version) == (0, None)


def test_a_drain_says_so_twice_and_closes():
    async def play(peer, served):
        peer.say(call(1))
        await peer.answer(1)
        draining = asyncio.create_task(served.server.drain(5))
        last = [int.from_bytes((await peer.next(GOAWAY))[3][:4], "big")]
        ping = await peer.next(PING)
        peer.say(frame(PING, ACK, 0, ping[3]))
        last.append(int.from_bytes((await peer.next(GOAWAY))[3][:4], "big"))
        assert await peer.frame() is None
        await draining
        return last

    assert played(play) == [frames.STREAM_MAX, 1]


# however it arrives

SESSION = (
    HELLO
    + call(1)
    + frame(HEADERS, END_HEADERS | PADDED | PRIORITISED, 3, padded(bytes(5) + HEAD, 3))
    + frame(DATA, PADDED, 3, padded(BODY[:3], 5))
    + frame(PING, 0, 0, b"12345678")
    + frame(DATA, PADDED | END_STREAM, 3, padded(BODY[3:], 4))
    + frame(HEADERS, 0, 5, HEAD[:10]) + frame(CONTINUATION, END_HEADERS, 5, HEAD[10:])
    + frame(DATA, 0, 5, BODY) + frame(DATA, PADDED | END_STREAM, 5, padded(b"", 2))
    + frame(HEADERS, END_HEADERS, 7, HEAD) + frame(DATA, 0, 7, BODY)
    + frame(HEADERS, WHOLE, 7, block((b"x", b"y")))
)  # fmt: skip


class Wire(asyncio.Transport):
    """Keeps what a connection sends."""

    def __init__(self):
        super().__init__()
        self.sent = b""

    def write(self, data):
        self.sent += data

    def writelines(self, pieces):
        self.sent += b"".join(pieces)

    def get_write_buffer_size(self):
        return 0

    def close(self):
        pass


def direct(chunks):
    """What a connection of its own sends when it is fed those chunks."""

    async def echo(body, _):
        return body

    async def scene():
        app = Dispatcher({REQUEST[b":path"]: Unary(echo)}, 1 << 20, 1 << 20)
        served, transport = Http2Connection(Connections(app, Bounds())), Wire()
        served.connection_made(transport)
        for chunk in chunks:
            served.data_received(chunk)
        for _ in range(5):
            await asyncio.sleep(0)
        left = len(served._streams)
        served.connection_lost(None)
        return transport.sent, left

    return run(scene())


def test_a_session_means_the_same_wherever_it_is_cut():
    whole, left = direct([SESSION])
    assert left == 0 and whole.count(BODY) == 4
    assert direct([SESSION[n : n + 1] for n in range(len(SESSION))]) == (whole, 0)
    for at in range(1, len(SESSION)):
        assert direct([SESSION[:at], SESSION[at:]]) == (whole, 0)


@pytest.mark.parametrize("size", [2, 3, 5, 9, 13])
def test_a_session_in_small_pieces(size):
    pieces = [SESSION[n : n + size] for n in range(0, len(SESSION), size)]
    assert direct(pieces) == direct([SESSION])


# what once went wrong


def test_the_end_of_a_call_needs_no_window():
    """Its status comes though a change of SETTINGS has left its stream less than nothing."""

    async def play(peer, _):
        peer.say(watch(1, (b"grpc-timeout", b"300m")))
        await peer.next(DATA)
        peer.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
        _, _, fields = await peer.answer(1)
        return fields[b"grpc-status"], await peer.is_alive()

    assert played(play) == (b"4", True)


def test_streams_that_wait_take_turns_and_all_arrive():
    version = Version(1, b"x" * 100_000)

    async def play(peer, _):
        count = 20
        peer.say(b"".join(call(stream) for stream in range(1, 2 * count, 2)))
        order, got, ended = [], {}, set()
        while len(ended) < count:
            kind, flags, number, payload = await peer.next(DATA, HEADERS)
            if kind == DATA:
                assert number not in ended
                order.append(number)
                got[number] = got.get(number, 0) + len(payload)
                peer.say(frames.window_update(0, len(payload)))
                peer.say(frames.window_update(number, len(payload)))
            if flags & END_STREAM:
                assert number not in ended
                ended.add(number)
        assert len(set(got.values())) == 1 and max(got.values()) > 100_000
        return len(set(order[:count]))

    assert played(play, version) > 3


def test_who_leaves_while_answers_are_outstanding_is_forgotten():
    version = Version(1, None)

    async def play(peer, served):
        peer.say(call(1))
        await version.came.wait()
        peer.close()
        await gone(served)
        return version.queue.take()

    assert played(play, version) is None


def test_a_watcher_that_leaves_is_forgotten():
    async def play(peer, served):
        peer.say(watch(1))
        await peer.next(DATA)
        peer.close()
        await gone(served)

    played(play)


@pytest.mark.parametrize("text", [b"1n", b"100u", b"400u", b"1400u", b"1m", b"7m"])
def test_a_deadline_is_told_as_such(text):
    async def play(peer, _):
        found = set()
        for number in range(1, 20, 2):
            peer.say(call(number, (b"grpc-timeout", text)))
            found.add((await peer.answer(number))[2][b"grpc-status"])
        return found

    assert played(play, Version(1, None)) == {b"4"}


def test_a_deadline_that_passes_before_the_call_begins_is_told_too():
    async def play(peer, served):
        late = call(1, (b"grpc-timeout", b"1m"))
        peer.say(late + b"".join(call(number) for number in range(3, 1603, 2)))
        _, _, fields = await peer.answer(1)
        return fields[b"grpc-status"]

    assert played(play, Version(1, (14, "not now"))) in (b"4", b"14")
