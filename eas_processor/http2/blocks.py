"""Header blocks (HPACK, RFC 7541): bytes to fields and back.

The table and Huffman's code are the hpack library's. Its decoder would do, too, but takes some
five times as long, which clients whose heads differ from call to call would pay each time.
"""

from __future__ import annotations

import logging

import hpack
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from eas_processor.http2 import frames
from eas_processor.http2.frames import ConnectionFault

logging.getLogger("hpack").setLevel(logging.INFO)  # else it writes down fields, tokens included

FIELD_EXTRA_BYTES = 32  # how much more than its texts a field counts
INTEGER_SHIFT_MAX = 28  # a number of more than 32 bits is a mistake

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]


class BlockReader:
    """Of one connection. bytes_max: of the fields of one block.

    changes: counts the blocks that have changed the table, which decides what later ones mean.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._table = HeaderTable()
        self.changes = 0

    def fields(self, block: bytes) -> tuple[Fields, int]:
        """The fields, and how many bytes they count (4.1). Raises ConnectionFault: what follows
        could not be read either.
        """
        try:
            return self._fields(block)
        except (hpack.HPACKError, IndexError):
            words = "a header block can not be read"
            raise ConnectionFault(frames.COMPRESSION_ERROR, words) from None

    def _fields(self, block: bytes) -> tuple[Fields, int]:
        table, at, end, size = self._table, 0, len(block), 0
        found: list[Field] = []
        changes = False
        while at < end:
            first = block[at]
            if first & 0x80:  # a field of the table
                index, at = _integer(block, at, 0x7F)
                field = table.get_by_index(index)
            elif first & 0xE0 == 0x20:  # the table's new size
                index, at = _integer(block, at, 0x1F)
                if found or index > HeaderTable.DEFAULT_SIZE:
                    raise hpack.HPACKError
                changes = True
                table.maxsize = index
                continue
            else:  # written out; kept or not
                index, at = _integer(block, at, 0x3F if first & 0x40 else 0x0F)
                if index:
                    name = table.get_by_index(index)[0]
                else:
                    name, at = _text(block, at)
                value, at = _text(block, at)
                field = name, value
                if first & 0x40:
                    changes = True
                    table.add(name, value)
            found.append(field)
            size += len(field[0]) + len(field[1]) + FIELD_EXTRA_BYTES
            if size > self._bytes_max:
                raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "a head is too large")
        self.changes += changes
        return tuple(found), size


def _integer(block: bytes, at: int, most: int) -> tuple[int, int]:
    """A number that begins in the low bits `most` of a byte (5.1); where it ends."""
    number = block[at] & most
    at += 1
    if number < most:
        return number, at
    shift = 0
    while shift <= INTEGER_SHIFT_MAX:
        byte = block[at]
        at += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise hpack.HPACKError


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    is_huffman = block[at] & 0x80
    size, at = _integer(block, at, 0x7F)
    end = at + size
    if end > len(block):
        raise hpack.HPACKError
    text = block[at:end]
    return (decode_huffman(text) if is_huffman else text), end


def block(fields: Fields) -> bytes:
    """A block that needs no table: each field written out, and not to be kept (6.2.2)."""
    return b"".join(b"\0" + _written(name) + _written(value) for name, value in fields)


def _written(text: bytes) -> bytes:
    size = len(text)
    if size < 0x7F:
        return bytes((size,)) + text
    out = bytearray((0x7F,))
    size -= 0x7F
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out) + text
