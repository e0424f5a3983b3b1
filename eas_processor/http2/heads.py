"""Heads of requests: fields that are known to be well-formed.

A client's header blocks repeat: one that changes nothing in the connection's table means the same
until another does, so it is read once.
"""

from __future__ import annotations

import re
from typing import Any

from eas_processor.http2 import frames
from eas_processor.http2.blocks import BlockReader, Fields
from eas_processor.http2.upkeep import Bounds

REMEMBERED_MAX = 64
REMEMBERED_BYTES_MAX = 1024

LENGTH_DIGITS_MAX = 19

_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_NOT_IN_VALUES = re.compile(rb"[\0\r\n]")
_PSEUDO = (b":method", b":path", b":scheme", b":authority")
_OF_HTTP1 = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)


class Malformed(Exception):
    """The fields are not those of a request; the connection can go on. code: for RST_STREAM."""

    def __init__(self, words: str, code: int = frames.PROTOCOL_ERROR) -> None:
        super().__init__(words)
        self.code = code


class Head:
    """fields: without the pseudo-header fields. length: what content-length says, if anything.

    meaning: what the application makes of it; one head serves all requests that repeat its block.
    """

    __slots__ = ("fields", "length", "meaning", "method", "path")

    def __init__(self, method: bytes, path: bytes, fields: Fields, length: int | None) -> None:
        self.method = method
        self.path = path
        self.fields = fields
        self.length = length
        self.meaning: Any = None

    def get(self, name: bytes) -> bytes | None:
        """The first field of that name."""
        return next((value for key, value in self.fields if key == name), None)


class HeadReader:
    """One for each connection. Every block must pass through it, in the order of their arrival."""

    def __init__(self, bounds: Bounds) -> None:
        self._bytes_max = bounds.fields_bytes_max
        self._blocks = BlockReader(bounds.head_bytes_max)
        self._changes = 0
        self._known: dict[bytes, Head] = {}

    def head(self, block: bytes) -> Head:
        """Of a request. Raises Malformed, ConnectionFault."""
        changes = self._blocks.changes
        if changes != self._changes:
            self._changes = changes
            self._known.clear()
        head = self._known.get(block)
        if head is None:
            head = _head(self._fields(block))
            if changes == self._blocks.changes and len(block) <= REMEMBERED_BYTES_MAX:
                if len(self._known) >= REMEMBERED_MAX:
                    self._known.clear()
                self._known[block] = head
        return head

    def trailers(self, block: bytes) -> None:
        """Of a request; nobody wants them. Raises Malformed, ConnectionFault."""
        for name, value in self._fields(block):
            _check(name, value)

    def _fields(self, block: bytes) -> Fields:
        fields, size = self._blocks.fields(block)
        if size > self._bytes_max:
            raise Malformed("a head is too large", frames.ENHANCE_YOUR_CALM)
        return fields


def _head(fields: Fields) -> Head:
    pseudo: dict[bytes, bytes] = {}
    rest: list[tuple[bytes, bytes]] = []
    length: int | None = None
    for name, value in fields:
        if name.startswith(b":"):
            if rest or name in pseudo or name not in _PSEUDO:
                raise Malformed(f"the pseudo-header field {name!r} is out of place")
            pseudo[name] = value
            continue
        _check(name, value)
        if name == b"te" and value != b"trailers":
            raise Malformed("te may say trailers only")
        if name == b"content-length":
            if not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
                raise Malformed("content-length is no number")
            if length not in (None, int(value)):
                raise Malformed("content-length says several things")
            length = int(value)
        rest.append((name, value))
    method, path = pseudo.get(b":method"), pseudo.get(b":path")
    if not method or not path or not pseudo.get(b":scheme"):
        raise Malformed(":method, :path or :scheme is missing")
    return Head(method, path, tuple(rest), length)


def _check(name: bytes, value: bytes) -> None:
    if not _NAME.fullmatch(name) or name in _OF_HTTP1 or _NOT_IN_VALUES.search(value):
        raise Malformed(f"no field of HTTP/2: {name!r}")
