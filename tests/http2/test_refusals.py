"""What ends a stream or the connection: the cases of h2spec (RFC 9113, RFC 7541), and more."""

import pytest

from eas_processor.http2 import frames
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
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)
from tests.http2.peer import (
    ASKED,
    BEGUN,
    FIRST,
    HEAD,
    OPEN,
    UNKNOWN,
    WHOLE,
    block,
    call,
    connection,
    failure,
    played,
    stream,
    with_fields,
)
from tests.rpc.fakes import Version

# what ends the connection

BAD = {
    "DATA of stream 0": (frame(DATA, 0, 0, b"x"), frames.PROTOCOL_ERROR),
    "DATA of an idle stream": (frame(DATA, 0, 1, b"x"), frames.PROTOCOL_ERROR),
    "DATA too padded": (OPEN + frame(DATA, PADDED, 1, b"\x05abcd"), frames.PROTOCOL_ERROR),
    "DATA too large": (OPEN + frames.head((1 << 20) + 1, DATA, 0, 1), frames.FRAME_SIZE_ERROR),
    "HEADERS of stream 0": (frame(HEADERS, WHOLE, 0, HEAD), frames.PROTOCOL_ERROR),
    "HEADERS of a server": (frame(HEADERS, WHOLE, 2, HEAD), frames.PROTOCOL_ERROR),
    "HEADERS too padded": (frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + HEAD[:20]),
                           frames.PROTOCOL_ERROR),
    "HEADERS too large": (frames.head((1 << 20) + 1, HEADERS, WHOLE, 1), frames.FRAME_SIZE_ERROR),
    "HEADERS amid a head": (BEGUN + frame(HEADERS, WHOLE, 3, HEAD), frames.PROTOCOL_ERROR),
    "DATA amid a head": (BEGUN + frame(DATA, 0, 1, b"x"), frames.PROTOCOL_ERROR),
    "PING amid a head": (BEGUN + frame(PING, 0, 0, bytes(8)), frames.PROTOCOL_ERROR),
    "PRIORITY amid a head": (BEGUN + frame(PRIORITY, 0, 1, bytes(5)), frames.PROTOCOL_ERROR),
    "unknown amid a head": (BEGUN + frame(UNKNOWN, 0, 0), frames.PROTOCOL_ERROR),
    "CONTINUATION of another": (BEGUN + frame(CONTINUATION, END_HEADERS, 3),
                                frames.PROTOCOL_ERROR),
    "CONTINUATION of stream 0": (BEGUN + frame(CONTINUATION, END_HEADERS, 0),
                                 frames.PROTOCOL_ERROR),
    "CONTINUATION of none": (frame(CONTINUATION, END_HEADERS, 1), frames.PROTOCOL_ERROR),
    "CONTINUATION of a whole head": (OPEN + frame(CONTINUATION, END_HEADERS, 1),
                                     frames.PROTOCOL_ERROR),
    "CONTINUATION behind DATA": (OPEN + frame(DATA, 0, 1) + frame(CONTINUATION, END_HEADERS, 1),
                                 frames.PROTOCOL_ERROR),
    "CONTINUATIONs without end": (BEGUN + frame(CONTINUATION, 0, 1) * 1000,
                                  frames.ENHANCE_YOUR_CALM),
    "CONTINUATIONs, too much": (BEGUN + frame(CONTINUATION, 0, 1, bytes(16000)) * 9,
                                frames.ENHANCE_YOUR_CALM),
    "PRIORITY of stream 0": (frame(PRIORITY, 0, 0, bytes(5)), frames.PROTOCOL_ERROR),
    "PRIORITY of a wrong size": (frame(PRIORITY, 0, 1, bytes(4)), frames.FRAME_SIZE_ERROR),
    "RST_STREAM of stream 0": (frames.reset(0, 8), frames.PROTOCOL_ERROR),
    "RST_STREAM of an idle stream": (frames.reset(1, 8), frames.PROTOCOL_ERROR),
    "RST_STREAM of a wrong size": (OPEN + frame(RST_STREAM, 0, 1, bytes(3)),
                                   frames.FRAME_SIZE_ERROR),
    "SETTINGS of a stream": (frame(SETTINGS, 0, 1), frames.PROTOCOL_ERROR),
    "SETTINGS of a wrong size": (frame(SETTINGS, 0, 0, bytes(3)), frames.FRAME_SIZE_ERROR),
    "SETTINGS, ACK that says more": (frame(SETTINGS, ACK, 0, bytes(6)), frames.FRAME_SIZE_ERROR),
    "ENABLE_PUSH 2": (frames.settings({2: 2}), frames.PROTOCOL_ERROR),
    "first window 2^31": (frames.settings({4: 1 << 31}), frames.FLOW_CONTROL_ERROR),
    "frames of 2^14-1": (frames.settings({5: (1 << 14) - 1}), frames.PROTOCOL_ERROR),
    "frames of 2^24": (frames.settings({5: 1 << 24}), frames.PROTOCOL_ERROR),
    "PUSH_PROMISE": (OPEN + frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + HEAD),
                     frames.PROTOCOL_ERROR),
    "PING of a stream": (frame(PING, 0, 1, bytes(8)), frames.PROTOCOL_ERROR),
    "PING of a wrong size": (frame(PING, 0, 0, bytes(6)), frames.FRAME_SIZE_ERROR),
    "GOAWAY of a stream": (frame(GOAWAY, 0, 1, bytes(8)), frames.PROTOCOL_ERROR),
    "WINDOW_UPDATE by nothing": (frames.window_update(0, 0), frames.PROTOCOL_ERROR),
    "WINDOW_UPDATE of a wrong size": (frame(WINDOW_UPDATE, 0, 0, bytes(3)),
                                      frames.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of an idle stream": (frames.window_update(1, 1), frames.PROTOCOL_ERROR),
    "window of more than 2^31-1": (frames.window_update(0, frames.WINDOW_BYTES_MAX),
                                   frames.FLOW_CONTROL_ERROR),
    "windows of more by SETTINGS": (
        OPEN + frames.window_update(1, frames.WINDOW_BYTES_MAX - frames.WINDOW_BYTES)
        + frames.settings({4: frames.WINDOW_BYTES + 1}), frames.FLOW_CONTROL_ERROR),
}  # fmt: skip


@pytest.mark.parametrize(("said", "code"), BAD.values(), ids=BAD)
def test_what_ends_the_connection(said, code):
    assert failure(said) == connection(code)


BAD_BLOCKS = {
    "index 0": b"\x80",
    "index too high": b"\xff\x64",
    "name's index too high": b"\x7f\x64\x01a",
    "cut short": b"\x40\x05ab",
    "no value": b"\x40\x01a",
    "integer too long": b"\xff" + b"\xff" * 9 + b"\x01",
    "table size behind a field": HEAD + b"\x20",
    "table size too large": b"\x3f\xe2\x1f" + HEAD,
    "Huffman, padded by a byte": HEAD + b"\x00\x01a\x82\x07\xff",
    "Huffman, padded by zeros": HEAD + b"\x00\x01a\x81\x00",
    "Huffman, end of string": HEAD + b"\x00\x01a\x84\xff\xff\xff\xff",
}


@pytest.mark.parametrize("said", BAD_BLOCKS.values(), ids=BAD_BLOCKS)
def test_blocks_that_can_not_be_read_end_the_connection(said):
    assert failure(frame(HEADERS, WHOLE, 1, said)) == connection(frames.COMPRESSION_ERROR)


@pytest.mark.parametrize(
    "said",
    [
        b"\x40\x01a\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 5000,
        b"\0\0\0" * 6000,
    ],
    ids=["one entry, often", "empty fields"],
)
def test_a_head_that_unpacks_to_far_too_much_ends_the_connection(said):
    assert failure(frame(HEADERS, WHOLE, 1, HEAD + said)) == connection(frames.ENHANCE_YOUR_CALM)


# what ends a stream

MALFORMED = {
    "capitals": with_fields((b"X-A", b"1")),
    "connection": with_fields((b"connection", b"keep-alive")),
    "keep-alive": with_fields((b"keep-alive", b"1")),
    "transfer-encoding": with_fields((b"transfer-encoding", b"chunked")),
    "te": with_fields((b"te", b"gzip"), without=(b"te",)),
    "unknown pseudo": block((b":unknown", b"1"), *FIRST),
    "pseudo of answers": block((b":status", b"200"), *FIRST),
    "pseudo behind others": with_fields((b":authority", b"x"), without=(b":authority",)),
    "no method": with_fields(without=(b":method",)),
    "no scheme": with_fields(without=(b":scheme",)),
    "no path": with_fields(without=(b":path",)),
    "empty path": block((b":path", b""), *(one for one in FIRST if one[0] != b":path")),
    "method twice": block((b":method", b"POST"), *FIRST),
    "path twice": block((b":path", b"/"), *FIRST),
    "scheme twice": block((b":scheme", b"http"), *FIRST),
    "content-length, no number": with_fields((b"content-length", b"x")),
    "content-length, two": with_fields((b"content-length", b"1"), (b"content-length", b"2")),
    "content-length, endless": with_fields((b"content-length", b"1" * 5000)),
    "space in a name": with_fields((b"a b", b"1")),
    "line break in a name": with_fields((b"a\nb", b"1")),
    "colon in a name": with_fields((b"a:b", b"1")),
    "8 bits in a name": with_fields((b"\xe9", b"1")),
    "line break in a value": with_fields((b"a", b"1\n2")),
    "NUL in a value": with_fields((b"a", b"1\x002")),
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
def test_heads_that_are_malformed_end_their_stream(said):
    async def play(peer, _):
        peer.say(frame(HEADERS, WHOLE, 1, said))
        return await peer.failure(), await peer.is_alive()

    assert played(play) == (stream(frames.PROTOCOL_ERROR), True)


ENDS_STREAM = {
    "DATA after its end": (ASKED + frame(DATA, 0, 1, b"x"), frames.STREAM_CLOSED),
    "trailers after its end": (ASKED + frame(HEADERS, WHOLE, 1, block((b"a", b"b"))),
                               frames.STREAM_CLOSED),
    "pseudo in trailers": (OPEN + frame(HEADERS, WHOLE, 1, HEAD), frames.PROTOCOL_ERROR),
    "less than content-length": (call(1, (b"content-length", b"9999")), frames.PROTOCOL_ERROR),
    "more than content-length": (call(1, (b"content-length", b"1")), frames.PROTOCOL_ERROR),
    "content-length, no body": (
        frame(HEADERS, WHOLE, 1, with_fields((b"content-length", b"1"))), frames.PROTOCOL_ERROR),
    "content-length, several DATA": (
        frame(HEADERS, END_HEADERS, 1, with_fields((b"content-length", b"1")))
        + frame(DATA, 0, 1, b"x") + frame(DATA, END_STREAM, 1, b"x"), frames.PROTOCOL_ERROR),
    "WINDOW_UPDATE by nothing": (OPEN + frames.window_update(1, 0), frames.PROTOCOL_ERROR),
    "window of more than 2^31-1": (OPEN + frames.window_update(1, frames.WINDOW_BYTES_MAX),
                                   frames.FLOW_CONTROL_ERROR),
    "HEADERS after its end": (ASKED + OPEN, frames.STREAM_CLOSED),
    "HEADERS that do not end it": (OPEN + frame(HEADERS, END_HEADERS, 1, block((b"a", b"b"))),
                                   frames.PROTOCOL_ERROR),
    "capitals in trailers": (OPEN + frame(HEADERS, WHOLE, 1, block((b"A", b"b"))),
                             frames.PROTOCOL_ERROR),
}  # fmt: skip


@pytest.mark.parametrize(("said", "code"), ENDS_STREAM.values(), ids=ENDS_STREAM)
def test_what_ends_a_stream_and_no_other(said, code):
    async def play(peer, _):
        peer.say(said)
        return await peer.failure(), await peer.is_alive()

    assert played(play, Version(1, None)) == (stream(code), True)


def test_a_stream_below_the_newest_is_refused():
    async def play(peer, _):
        peer.say(frame(HEADERS, END_HEADERS, 5, HEAD) + frame(HEADERS, WHOLE, 3, HEAD))
        return (await peer.failure())[1]

    assert played(play) == frames.PROTOCOL_ERROR


def test_a_head_that_is_too_large_ends_its_stream_alone():
    async def play(peer, _):
        peer.say(frame(HEADERS, WHOLE, 1, with_fields(*[(b"x-a", b"y" * 4000)] * 9)))
        return await peer.failure(), await peer.is_alive()

    assert played(play) == (stream(frames.ENHANCE_YOUR_CALM), True)
