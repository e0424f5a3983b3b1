"""Packed varints to and from arrays, all values at once.

Protobuf writes int32, int64 and bool as varints: seven bits in a byte, the lowest first, the top
bit set on all bytes but a number's last. Negative numbers are 64-bit two's complement, ten bytes.
"""

import numpy as np

VARINT_BYTES_MAX = 10


class BrokenVarint(ValueError):
    """The bytes are not a row of varints."""


def decode(packed):
    """The numbers in `packed` as a uint64 array. Raises BrokenVarint."""
    octets = np.frombuffer(packed, np.uint8)
    lasts = np.flatnonzero(octets < 0x80)
    if len(lasts) == len(octets):
        return octets.astype(np.uint64)
    if not len(lasts) or lasts[-1] != len(octets) - 1:
        raise BrokenVarint("it ends inside a number")
    starts = np.empty_like(lasts)
    starts[0] = 0
    starts[1:] = lasts[:-1] + 1
    sizes = lasts - starts + 1
    size_max = int(sizes.max())
    if size_max > VARINT_BYTES_MAX:
        raise BrokenVarint("a number of %d bytes, at most 10 are possible" % size_max)
    numbers = (octets[starts] & 0x7F).astype(np.uint64)
    for position in range(1, size_max):
        longer = np.flatnonzero(sizes > position)
        bits = (octets[starts[longer] + position] & 0x7F).astype(np.uint64)
        numbers[longer] |= bits << np.uint64(7 * position)
    return numbers


def encode(numbers):
    """Integers of any dtype as packed varints, negative ones in ten bytes."""
    numbers = np.ascontiguousarray(numbers).reshape(-1)
    if numbers.dtype.kind != "u":
        numbers = numbers.astype(np.int64, copy=False).view(np.uint64)
    if not len(numbers) or numbers.max() < 0x80:
        return numbers.astype(np.uint8).tobytes()
    numbers = numbers.astype(np.uint64, copy=False)
    sizes = np.ones(len(numbers), np.int64)
    for position in range(1, VARINT_BYTES_MAX):
        more = numbers >= np.uint64(1 << 7 * position)
        if not more.any():
            break
        sizes += more
    ends = np.cumsum(sizes)
    starts = ends - sizes
    out = np.empty(int(ends[-1]), np.uint8)
    for position in range(int(sizes.max())):
        longer = np.flatnonzero(sizes > position)
        octets = numbers[longer] >> np.uint64(7 * position) & np.uint64(0x7F)
        octets |= (sizes[longer] > position + 1).astype(np.uint64) << np.uint64(7)
        out[starts[longer] + position] = octets.astype(np.uint8)
    return out.tobytes()
