"""What gRPC writes into HTTP/2."""

import gzip
import zlib

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_processor.errors import Code, ServingError
from eas_processor.rpc import wire

MAX = 1 << 20
IDENTITY, GZIP, DEFLATE = (wire.form(name) for name in (None, b"gzip", b"deflate"))


def refused(call, *args):
    with pytest.raises(ServingError) as caught:
        call(*args)
    return caught.value.code, caught.value.message


@given(st.binary(max_size=40), st.lists(st.integers(0, 45), max_size=6))
def test_a_message_is_found_however_its_body_is_cut(message, cuts):
    body = wire.framed(message)
    ends = sorted({min(cut, len(body)) for cut in cuts} - {0}) + [len(body)]
    parts = [memoryview(body)[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]
    assert wire.message(parts, IDENTITY, MAX) == message
    whole = parts[0] if len(parts) == 1 else b"".join(parts)
    assert wire.promised(whole) == len(message)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", Code.UNIMPLEMENTED),
        (b"\0\0", Code.INTERNAL),
        (b"\0\0\0\0\2x", Code.INTERNAL),
        (b"\0\0\0\0\1xy", Code.UNIMPLEMENTED),
        (wire.framed(b"a") + wire.framed(b"b"), Code.UNIMPLEMENTED),
    ],
)
def test_anything_but_one_whole_message_is_refused(body, code):
    assert refused(wire.message, [body] if body else [], IDENTITY, MAX)[0] is code


def packed(message):
    return b"\1" + wire.framed(message)[1:]


def test_a_compressed_message_is_unpacked():
    text = b"text " * 99
    assert wire.message([packed(gzip.compress(text))], GZIP, MAX) == text
    assert wire.message([packed(zlib.compress(text))], DEFLATE, MAX) == text
    assert wire.message([wire.framed(text)], GZIP, MAX) == text  # a client may leave it as it is


def test_a_compressed_message_that_is_none_or_too_large_is_refused():
    cut = gzip.compress(bytes(999))[:-12]
    for body, form in ((b"no gzip", GZIP), (cut, GZIP), (gzip.compress(b"x"), IDENTITY)):
        assert refused(wire.message, [packed(body)], form, MAX)[0] is Code.INTERNAL
    bomb = packed(gzip.compress(bytes(64 << 20)))
    code, text = refused(wire.message, [bomb], GZIP, MAX)
    assert (code, "1048577 vs. 1048576" in text) == (Code.RESOURCE_EXHAUSTED, True)


def test_an_encoding_that_nobody_knows_is_told():
    code, text = refused(wire.form, b"br")
    assert code is Code.UNIMPLEMENTED and "gzip" in text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"40m", 0.04), (b"500u", 5e-4), (b"6n", 6e-9),
     (b"99999999H", 99999999 * 3600), (None, None)],
)  # fmt: skip
def test_timeouts(text, seconds):
    assert wire.timeout_s(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("text", [b"", b"1", b"S", b"-1S", b"1.5S", b"123456789S", b"1s", b"1S "])
def test_a_timeout_that_is_none_is_refused(text):
    assert refused(wire.timeout_s, text)[0] is Code.INVALID_ARGUMENT


def test_metadata_is_what_the_client_added():
    fields = (
        (b"te", b"trailers"), (b"content-type", b"application/grpc"), (b"grpc-timeout", b"1S"),
        (b"authorization", b"Bearer t\xe9"), (b"k-bin", b"AAE"), (b"k-bin", b"AA==,Ag"),
    )  # fmt: skip
    assert wire.metadata(fields) == [
        ("authorization", "Bearer té"), ("k-bin", b"\0\1"), ("k-bin", b"\0"), ("k-bin", b"\2"),
    ]  # fmt: skip


def test_a_failure_is_told_in_the_alphabet_of_heads():
    block = wire.failed(5, "größer than 100%\n", is_first=True)
    fields = dict(hpack.Decoder().decode(block, raw=True))
    assert fields[b":status"] == b"200" and fields[b"grpc-status"] == b"5"
    assert fields[b"grpc-message"] == b"gr%C3%B6%C3%9Fer than 100%25%0A"
    later = dict(hpack.Decoder().decode(wire.failed(5, "", is_first=False), raw=True))
    assert later == {b"grpc-status": b"5"}
