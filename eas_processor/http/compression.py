"""Packed bodies: requests unpacked within a bound, answers packed where that pays.

cramjam does the unpacking: one wheel for five formats, and each can write into a buffer of ours, so
that no input, however made, gets more memory than its bound.
"""

from __future__ import annotations

import asyncio
import mmap
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import cramjam

from eas_processor.config import DECOMPRESSORS
from eas_processor.errors import TOO_LATE

INLINE_BYTES_MAX = 64 * 1024  # plain; more would hold the event loop up, so a thread does it
SAMPLE_BYTES = 2048  # what is packed to see how well the rest would
SAMPLE_EVERY_ANSWERS = 256  # of one route, until it is looked at again
PAYS_RATIO = 0.7  # packed to plain, at most
LEVEL = 1  # of zlib: a third of the time of its default, nearly as small

SNAPPY_STREAM = b"\xff\x06\x00\x00sNaPpY"
LZ4_FRAME = b"\x04\x22\x4d\x18"
OWN_PAGES = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
NO_ROOM = "failed to write whole buffer"  # what cramjam says of a buffer that is too small

# One body at a time: however many arrive packed, one bound of memory is enough to unpack them.
_unpacking = ThreadPoolExecutor(1, "unpacking")
_packing = ThreadPoolExecutor(1, "packing")

T = TypeVar("T")
Into = Callable[[bytes, mmap.mmap], int]


class Unpackable(Exception):
    """A body that is not what it is said to be; the text tells the client so."""

    status = 400


class TooLarge(Unpackable):
    """A body that unpacks to more than it may."""

    status = 413


class NotWanted(Unpackable):
    """A body whose time was over before its turn came."""

    status = 408


class NoMemory(Unpackable):
    """A body that there is no memory for."""

    status = 503


def unpack(form: str, body: bytes, bytes_max: int) -> bytes:
    """The body as it was before it was packed. form: a value of `config.DECOMPRESSORS`.

    Raises Unpackable, TooLarge beyond `bytes_max`. The GIL is free while it works.
    """
    try:
        # Pages that are never written cost nothing: the bound is reserved, what is used is paid.
        with mmap.mmap(-1, bytes_max + 1, flags=OWN_PAGES) as room:
            length = _into(form, body)(body, room)
            if length > bytes_max:
                raise _too_large(bytes_max)
            return room[:length]
    except cramjam.DecompressionError as error:
        if NO_ROOM in str(error):
            raise _too_large(bytes_max) from None
        raise Unpackable(f"the body is not {form}, or is cut short: {error}") from None
    except (OSError, MemoryError):
        raise NoMemory("there is no memory to unpack the body; try again later") from None


def unpack_soon(
    form: str,
    body: bytes,
    bytes_max: int,
    is_wanted: Callable[[], bool],
    then: Callable[[bytes | Unpackable], None],
) -> None:
    """Unpack, at once if it is little, else in a thread; then(body or what is wrong with it).

    is_wanted: asked when its turn comes. A few bytes may take seconds: those that nobody waits for
    must not keep the others waiting.
    """
    inline_bytes_max = min(bytes_max, INLINE_BYTES_MAX)
    if len(body) <= inline_bytes_max:
        try:
            plain: bytes | Unpackable = unpack(form, body, inline_bytes_max)
        except Unpackable as error:
            plain = error
        # Of lz4 only the full bound tells whether a body is wrong or merely long.
        is_long = isinstance(plain, TooLarge) or (form == "lz4" and isinstance(plain, Unpackable))
        if not is_long or inline_bytes_max == bytes_max:
            then(plain)
            return

    def work() -> bytes | Unpackable:
        if not is_wanted():
            return NotWanted(TOO_LATE)
        try:
            return unpack(form, body, bytes_max)
        except Unpackable as error:
            return error

    _in_thread(_unpacking, work, then)


def _in_thread(
    thread: ThreadPoolExecutor, work: Callable[[], T], then: Callable[[T], None]
) -> None:
    future = asyncio.get_running_loop().run_in_executor(thread, work)
    future.add_done_callback(lambda done: then(done.result()))


def _into(form: str, body: bytes) -> Into:
    """What unpacks this body; two formats are told apart by how they begin."""
    if form == "snappy":
        return cramjam.snappy.decompress_into if body.startswith(SNAPPY_STREAM) else _snappy_block
    if form == "lz4":
        return cramjam.lz4.decompress_into if body.startswith(LZ4_FRAME) else _lz4_block
    if form == "zlib":
        return cramjam.zlib.decompress_into if _has_zlib_head(body) else _raw_deflate
    return cramjam.gzip.decompress_into if form == "gzip" else cramjam.zstd.decompress_into


def _raw_deflate(body: bytes, room: mmap.mmap) -> int:
    return int(cramjam.deflate.decompress_into(body, room))


def _snappy_block(body: bytes, room: mmap.mmap) -> int:
    if cramjam.snappy.decompress_raw_len(body) > len(room):
        raise cramjam.DecompressionError(NO_ROOM)
    return int(cramjam.snappy.decompress_raw_into(body, room))


def _lz4_block(body: bytes, room: mmap.mmap) -> int:
    """A block without its length, as the Java SDK sends it.

    The library does not tell a block that is wrong from one that is too long.
    """
    return int(cramjam.lz4.decompress_block_into(body, room, output_len=len(room)))


def _has_zlib_head(body: bytes) -> bool:
    head = int.from_bytes(body[:2], "big")
    return len(body) > 1 and body[0] & 15 == 8 and head % 31 == 0


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"the body unpacks to more than {bytes_max} bytes")


def named(coding: bytes) -> str | None:
    """The format that a Content-Encoding names: "" if none, None if it is not known."""
    name = coding.strip().decode("latin-1").lower()
    return "" if name in ("", "identity") else DECOMPRESSORS.get(name)


@lru_cache(64)
def accepts_gzip(header: bytes) -> bool:
    """Whether an Accept-Encoding wants gzip at least as much as a body that is not packed."""
    weights: dict[str, float] = {}
    for part in header.decode("latin-1").lower().split(","):
        name, _, parameters = part.partition(";")
        weights[name.strip()] = _weight(parameters)
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def pack(body: bytes) -> bytes:
    """The body as gzip."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def pack_soon(body: bytes, then: Callable[[bytes], None]) -> None:
    """Pack, at once if it is little, else in a thread; then(packed)."""
    if len(body) <= INLINE_BYTES_MAX:
        then(pack(body))
    else:
        _in_thread(_packing, lambda: pack(body), then)


class Judge:
    """Whether the binary answers of one route are worth packing: looked at now and then."""

    __slots__ = ("_left", "_pays")

    def __init__(self) -> None:
        self._left = 0
        self._pays = False

    def pays(self, body: bytes) -> bool:
        """By a sample of this body, or of one shortly before."""
        if not self._left:
            self._left = SAMPLE_EVERY_ANSWERS
            middle = len(body) // 2
            sample = body[middle : middle + SAMPLE_BYTES] or body
            self._pays = len(zlib.compress(sample, LEVEL)) <= PAYS_RATIO * len(sample)
        self._left -= 1
        return self._pays
