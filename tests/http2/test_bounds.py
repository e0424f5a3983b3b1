"""What a client can not make a server keep, and what others do not notice of it."""

import asyncio
from dataclasses import replace

from eas_processor.errors import Code
from eas_processor.http2 import connection, frames
from eas_processor.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    frame,
)
from eas_processor.rpc.channel_arguments import DEFAULTS
from eas_processor.rpc.server import Endpoint
from tests.http2.peer import BODY, HEAD, HELLO, OPEN, UNKNOWN, Peer, call, gone, played
from tests.rpc.fakes import Version, answered, predict, until

SHUT = frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
LARGE = 3_000_000


def test_a_stream_that_is_not_read_is_ended_and_no_other():
    version = Version(1, b"x" * 100_000)
    endpoint = Endpoint(
        port=0, settings=DEFAULTS._replace(bounds=replace(DEFAULTS.bounds, stall_s=1))
    )

    async def play(peer, _):
        peer.say(frames.window_update(0, 1 << 30) + call(1))
        kind, _, number, _ = await peer.next(HEADERS)
        version.answer = b"short"
        while kind != RST_STREAM:  # others go on meanwhile
            number += 2
            peer.say(call(number))
            kind, _, ended, why = await peer.next(RST_STREAM, HEADERS)
            await asyncio.sleep(0.05)
        return ended, int.from_bytes(why, "big"), await peer.is_alive()

    assert played(play, version, endpoint=endpoint) == (1, frames.CANCEL, True)


def test_a_body_that_does_not_come_is_not_awaited_and_a_slow_one_is():
    endpoint = Endpoint(
        port=0, settings=DEFAULTS._replace(bounds=replace(DEFAULTS.bounds, stall_s=1))
    )

    async def play(peer, served):
        peer.say(frame(HEADERS, END_HEADERS, 1, HEAD) + frame(DATA, 0, 1, BODY[:5]))
        peer.say(frame(HEADERS, END_HEADERS, 3, HEAD))
        for byte in BODY[:-1]:
            peer.say(frame(DATA, 0, 3, bytes((byte,))))
            await asyncio.sleep(1.8 / len(BODY))
        _, _, fields = await peer.answer(1)
        ended = (await peer.next(RST_STREAM))[2:]
        peer.say(frame(DATA, END_STREAM, 3, BODY[-1:]))
        return fields[b"grpc-status"], ended, await peer.answer(3)

    status, ended, (_, body, fields) = played(play, Version(1, b"late"), endpoint=endpoint)
    assert int(status) == Code.DEADLINE_EXCEEDED
    assert ended == (1, bytes(4))
    assert b"late" in body
    assert fields[b"grpc-status"] == b"0"


def test_while_very_much_waits_nothing_new_is_begun(monkeypatch):
    monkeypatch.setattr(connection, "UNSENT_BYTES_MAX", 150_000)

    async def play(peer, served):
        peer.say(SHUT + call(1) + call(3))
        heads = {(await peer.next(HEADERS))[2] for _ in range(2)}
        peer.say(call(5))
        refused = (await peer.next(RST_STREAM))[2:]
        peer.say(frames.window_update(1, 1 << 20) + frames.window_update(0, 1 << 20))
        while not (await peer.next(DATA, HEADERS))[1] & END_STREAM:
            pass
        peer.say(call(7))
        return heads, refused, (await peer.next(HEADERS))[2]

    code = frames.REFUSED_STREAM.to_bytes(4, "big")
    assert played(play, Version(1, b"x" * 100_000)) == ({1, 3}, (5, code), 7)


def test_beyond_the_most_connections_new_ones_are_closed_and_the_others_go_on():
    bounds = replace(DEFAULTS.bounds, connections_max=1)
    endpoint = Endpoint(port=0, settings=DEFAULTS._replace(bounds=bounds))

    async def play(peer, served):
        await peer.next(SETTINGS)
        late = Peer(*await asyncio.open_connection("127.0.0.1", served.server.port))
        late.say(HELLO)
        told = await late.frame()
        late.close()
        code, _ = await served.refused("Predict", predict(), timeout=5)
        peer.say(call(1))
        _, body, _ = await peer.answer(1)
        peer.close()
        await gone(served)
        after = Peer(*await asyncio.open_connection("127.0.0.1", served.server.port))
        after.say(HELLO)
        has_room = await after.is_alive()
        after.close()
        return told, code, b"fine" in body, has_room

    found = played(play, Version(1, b"fine"), endpoint=endpoint)
    assert found == (None, "UNAVAILABLE", True, True)


def test_a_body_in_tiny_pieces_is_kept_in_few():
    body = BODY * 1000

    async def play(peer, served):
        peer.say(OPEN + b"".join(frame(DATA, 0, 1, body[i : i + 1]) for i in range(len(body))))
        (ours,) = served.server._connections.open
        await until(lambda: 1 in ours._streams and ours._streams[1].received == len(body))
        parts = ours._streams[1].parts
        return b"".join(parts) == body, len(parts)

    same, count = played(play)
    assert same and count < 20


def test_a_body_of_a_stream_that_was_reset_is_forgotten():
    async def play(peer, served):
        peer.say(OPEN + frame(DATA, 0, 1, bytes(200_000)))
        (ours,) = served.server._connections.open
        await until(lambda: 1 in ours._streams and ours._streams[1].received == 200_000)
        stream = ours._streams[1]
        peer.say(frames.reset(1, frames.CANCEL))
        await until(lambda: not ours._streams)
        return stream.parts

    assert played(play) == []


def test_bodies_that_are_not_whole_are_bounded_all_together():
    bounds = replace(DEFAULTS.bounds, held_bytes_max=300_000)
    endpoint = Endpoint(port=0, settings=DEFAULTS._replace(bounds=bounds))
    part = bytes(100_000)

    async def play(peer, served):
        for number in 1, 3, 5:
            peer.say(frame(HEADERS, END_HEADERS, number, HEAD) + frame(DATA, 0, number, part))
        peer.say(frame(DATA, 0, 3, part))
        refused = await peer.next(RST_STREAM)
        shared = served.server._connections
        kept = shared.held_bytes
        peer.say(frames.reset(1, frames.CANCEL) + frame(DATA, END_STREAM, 5))
        await until(lambda: shared.held_bytes == 0)
        return refused[2], kept

    assert played(play, endpoint=endpoint) == (3, 200_000)


def test_settings_may_not_change_all_the_time():
    async def play(peer, _):
        peer.say(SHUT * 1000)
        return await peer.failure()

    assert played(play) == ("connection", frames.ENHANCE_YOUR_CALM)


def test_a_large_frame_of_a_kind_that_is_not_known_is_skipped():
    async def play(peer, _):
        peer.say(frame(UNKNOWN, 0, 0, bytes(1 << 20)))
        return await peer.is_alive()

    assert played(play) is True


def test_the_last_answer_arrives_whole_though_the_client_speaks_while_it_reads():
    version = Version(1, None)

    async def play(peer, served):
        peer.say(frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 30}))
        peer.say(frames.window_update(0, 1 << 30) + call(1))
        await version.came.wait()
        draining = asyncio.create_task(served.server.drain(10))
        await peer.next(GOAWAY)
        version.calls[0].finish(answered(bytes(LARGE)))
        size = 0
        while (found := await peer.next(DATA, HEADERS)) is not None:
            if found[0] == DATA:
                size += len(found[3])
                peer.say(frames.window_update(0, len(found[3])))
                await asyncio.sleep(0.002)
            elif found[1] & END_STREAM:
                break
        end = await peer.next(DATA)
        peer.close()
        await draining
        return size > LARGE, end

    assert played(play, version) == (True, None)


def test_a_connection_that_comes_while_the_server_ends_is_let_go():
    async def play(peer, served):
        await peer.next(SETTINGS)
        served.server._connections.drains = True
        late = Peer(*await asyncio.open_connection("127.0.0.1", served.server.port))
        late.say(HELLO)
        found = await late.next(GOAWAY)
        late.close()
        return found is not None

    assert played(play)


def test_a_head_in_two_frames_is_one():
    async def play(peer, _):
        peer.say(frame(HEADERS, 0, 1, HEAD[:9]))
        peer.say(frame(frames.CONTINUATION, END_HEADERS, 1, HEAD[9:]))
        peer.say(frame(DATA, END_STREAM, 1, BODY))
        return (await peer.answer(1))[2][b"grpc-status"]

    assert played(play, Version(1, b"")) == b"0"
