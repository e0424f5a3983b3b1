"""Header blocks, beside those of the hpack library."""

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.http2 import frames
from eas_processor.http2.blocks import BlockReader, block
from eas_processor.http2.frames import ConnectionFault

BYTES_MAX = 4096
NAMES = st.sampled_from([b":path", b":method", b"te", b"x-id", b"grpc-timeout"]) | st.binary(
    max_size=9
)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=300), st.booleans()), max_size=9)


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([4096, 100, 0])), max_size=6))
def test_what_another_library_writes_is_read(blocks):
    encoder, reader = hpack.Encoder(), BlockReader(1 << 20)
    for fields, huffman, table_bytes in blocks:
        encoder.header_table_size = table_bytes
        told = [hpack.HeaderTuple(n, v) if kept else hpack.NeverIndexedHeaderTuple(n, v)
                for n, v, kept in fields]  # fmt: skip
        found, _ = reader.fields(encoder.encode(told, huffman=huffman))
        assert found == tuple((name, value) for name, value, _ in fields)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_whatever_comes_is_read_or_refused_as_by_another_library(blocks):
    decoder, reader = hpack.Decoder(BYTES_MAX), BlockReader(BYTES_MAX)
    for each in blocks:
        try:
            expected = tuple(decoder.decode(each, raw=True))
        except hpack.HPACKError:
            with pytest.raises(ConnectionFault):
                reader.fields(each)
            return
        assert reader.fields(each)[0] == expected


@given(st.lists(st.tuples(st.binary(max_size=400), st.binary(max_size=400)), max_size=9))
def test_what_we_write_another_library_reads(fields):
    assert list(hpack.Decoder(1 << 20).decode(block(tuple(fields)), raw=True)) == fields


def test_a_small_block_cannot_become_a_large_head():
    reader = BlockReader(BYTES_MAX)
    reader.fields(b"\x40" + block(((b"x", bytes(1000)),))[1:])  # kept, as number 62
    with pytest.raises(ConnectionFault) as caught:
        reader.fields(b"\xbe" * 10)
    assert caught.value.code == frames.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "bad",
    [b"\x80", b"\xff\xff\xff\xff\xff\xff\x01", b"\x00\x05ab", b"\x00", b"\x3f\xe2\x1f",
     b"\x82\x20", b"\xc6", b"\x00\x81\x00\x00"],
)  # fmt: skip
def test_what_can_not_be_read_ends_the_connection(bad):
    with pytest.raises(ConnectionFault) as caught:
        BlockReader(BYTES_MAX).fields(bad)
    assert caught.value.code == frames.COMPRESSION_ERROR


def test_blocks_that_change_the_table_are_counted():
    reader = BlockReader(BYTES_MAX)
    for each in b"\x82", b"\x00\x01a\x01b", b"\x10\x01a\x01b":
        reader.fields(each)
    assert reader.changes == 0
    for changes, each in enumerate((b"\x40\x01a\x01b", b"\x20", b"\x41\x01b"), 1):
        reader.fields(each)
        assert reader.changes == changes
