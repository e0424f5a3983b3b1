"""What gRPC writes into HTTP/2: heads, timeouts, messages, statuses (gRPC's PROTOCOL-HTTP2.md)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from eas_processor.errors import Code, ServingError
from eas_processor.http import compression
from eas_processor.http2.blocks import Fields, block

PREFIX_BYTES = 5  # of a message: a flag that says whether it is compressed, and its length
LENGTH_MAX = (1 << 31) - 64  # of a message: protobuf's own bound, and a little below a window

_ENCODINGS = b"identity, deflate, gzip"
_COMMON = ((b"content-type", b"application/grpc"), (b"grpc-accept-encoding", _ENCODINGS))
_STATUS_200 = b"\x88"  # its place in HPACK's table
HEAD = _STATUS_200 + block(_COMMON)
OK = block(((b"grpc-status", b"0"),))
NO_GRPC = block(((b":status", b"415"),))

_FORMS = {b"identity": "", b"gzip": "gzip", b"deflate": "zlib"}  # as `http.compression` calls them
_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNSAFE = re.compile(rb"[^ -$&-~]")


def failed(code: int, message: str, is_first: bool) -> bytes:
    """The block that ends a call. is_first: nothing was sent before it."""
    fields = [(b"grpc-status", b"%d" % code)]
    if message:
        escaped = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], message.encode())
        fields.append((b"grpc-message", escaped))
    return (HEAD if is_first else b"") + block(tuple(fields))


def timeout_s(text: bytes | None) -> float | None:
    """Of `grpc-timeout`; None if there is none. Raises ServingError INVALID_ARGUMENT."""
    if text is None:
        return None
    found = _TIMEOUT.fullmatch(text)
    if found is None:
        raise ServingError(Code.INVALID_ARGUMENT, "grpc-timeout is not as gRPC writes it")
    return int(found[1]) * _UNITS_S[found[2]]


def form(encoding: bytes | None) -> str:
    """How messages are packed by `grpc-encoding`; "" if not. Raises ServingError UNIMPLEMENTED."""
    found = _FORMS.get(encoding or b"identity")
    if found is None:
        known = _ENCODINGS.decode()
        asked = (encoding or b"").decode("latin-1")
        words = f"messages may be compressed as {known}; not as {asked!r}"
        raise ServingError(Code.UNIMPLEMENTED, words)
    return found


def metadata(fields: Fields) -> list[tuple[str, str | bytes]]:
    """What a client sent along: not what gRPC and HTTP/2 say to each other."""
    found: list[tuple[str, str | bytes]] = []
    for name, value in fields:
        if name.startswith(b"grpc-") or name in (b"te", b"content-type"):
            continue
        key = name.decode("latin-1")
        if name.endswith(b"-bin"):
            found += [(key, _binary(each)) for each in value.split(b",")]
        else:
            found.append((key, value.decode("latin-1")))
    return found


def _binary(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        return value


def message(parts: Sequence[bytes | bytearray | memoryview], form: str, bytes_max: int) -> bytes:
    """The one message of a request's body. form: see above. Raises ServingError."""
    first: bytes | memoryview = memoryview(parts[0]) if parts else b""
    if len(first) < PREFIX_BYTES:
        first, parts = b"".join(parts), ()
    size = sum(map(len, parts[1:]), len(first) - PREFIX_BYTES)
    said = int.from_bytes(first[1:PREFIX_BYTES], "big") if size >= 0 else 0
    if not first or said < size:  # gRPC's code for another number of them
        raise ServingError(Code.UNIMPLEMENTED, "the method takes one message, no more and no less")
    if said != size:
        raise ServingError(Code.INTERNAL, "the request is not one whole message")
    is_compressed = first[0]
    found = b"".join((first[PREFIX_BYTES:], *parts[1:]))
    return _unpacked(found, form, bytes_max) if is_compressed else found


def _unpacked(packed: bytes, form: str, bytes_max: int) -> bytes:
    if not form:
        words = "a compressed message, and grpc-encoding does not say how"
        raise ServingError(Code.INTERNAL, words)
    try:
        return compression.unpack(form, packed, bytes_max)
    except compression.TooLarge:
        raise too_large(bytes_max + 1, bytes_max) from None
    except compression.Unpackable as error:
        raise ServingError(Code.INTERNAL, str(error)) from None


def promised(part: bytes | bytearray | memoryview) -> int:
    """How long a message is to be, by the first part of its body."""
    return int.from_bytes(part[1:PREFIX_BYTES], "big")


def too_large(size: int, bytes_max: int, what: str = "Received") -> ServingError:
    """For a message of more than `bytes_max`, in the words of gRPC's own servers."""
    words = f"{what} message larger than max ({size} vs. {bytes_max})"
    return ServingError(Code.RESOURCE_EXHAUSTED, words)


def framed(response: bytes) -> bytes:
    """A message as it is sent."""
    return b"\0" + len(response).to_bytes(4, "big") + response
