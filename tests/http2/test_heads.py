"""Heads of requests: what is one, and that one that repeats is read once, not wrongly."""

import hpack
import pytest

from eas_processor.http2.blocks import block
from eas_processor.http2.heads import REMEMBERED_MAX, HeadReader, Malformed
from eas_processor.http2.upkeep import Bounds

BOUNDS = Bounds(fields_bytes_max=4096)

GOOD = (
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/s/m"), (b":authority", b"h"),
    (b"te", b"trailers"), (b"content-length", b"7"), (b"x-id", b"1"), (b"x-id", b"2"),
)  # fmt: skip


def read(fields):
    return HeadReader(BOUNDS).head(block(tuple(fields)))


def without(name):
    return [field for field in GOOD if field[0] != name]


def test_a_head_is_method_path_fields_and_length():
    head = read(GOOD)
    assert (head.method, head.path, head.length) == (b"POST", b"/s/m", 7)
    assert head.fields == GOOD[4:]
    assert (head.get(b"x-id"), head.get(b"none")) == (b"1", None)
    assert read(without(b"content-length")).length is None


BAD = {
    "no method": without(b":method"),
    "no path": without(b":path"),
    "no scheme": without(b":scheme"),
    "an empty path": [*without(b":path")[:2], (b":path", b""), *without(b":path")[2:]],
    "two paths": [(b":path", b"/"), *GOOD],
    "an unknown pseudo-header field": [(b":status", b"200"), *GOOD],
    "a pseudo-header field behind others": [*without(b":path"), (b":path", b"/")],
    "upper case": [*GOOD, (b"X-Id", b"1")],
    "no name": [*GOOD, (b"", b"1")],
    "a field of HTTP/1.1": [*GOOD, (b"connection", b"close")],
    "te beyond trailers": [*GOOD, (b"te", b"gzip")],
    "a length that is none": [*GOOD, (b"content-length", b"-1")],
    "two lengths": [*GOOD, (b"content-length", b"8")],
}


@pytest.mark.parametrize("why", BAD)
def test_what_is_no_head_of_a_request_is_refused(why):
    with pytest.raises(Malformed):
        read(BAD[why])


def test_a_block_that_repeats_is_one_head_until_the_table_changes():
    encoder, reader = hpack.Encoder(), HeadReader(BOUNDS)
    first = [*GOOD[:4], (b"x-who", b"first")]
    reader.head(encoder.encode(first))
    again = encoder.encode(first)  # of the table alone
    assert reader.head(again) is reader.head(again)
    assert reader.head(again).get(b"x-who") == b"first"
    by_number = again[-1:]  # of the newest
    reader.head(encoder.encode([*GOOD[:4], (b"x-who", b"second")]))
    pseudo = encoder.encode(GOOD[:4])
    assert reader.head(pseudo + by_number).get(b"x-who") == b"second"


def test_no_more_heads_are_kept_than_so_many():
    reader = HeadReader(BOUNDS)
    for number in range(3 * REMEMBERED_MAX):
        reader.head(block((*GOOD, (b"x-id", b"%d" % number))))
        assert len(reader._known) <= REMEMBERED_MAX
    long = block((*GOOD, (b"x-id", b"x" * 2000)))
    assert reader.head(long) is not reader.head(long)


def test_behind_a_body_no_request_begins():
    reader = HeadReader(BOUNDS)
    reader.trailers(block(((b"x-id", b"1"),)))
    with pytest.raises(Malformed):
        reader.trailers(block(GOOD))
