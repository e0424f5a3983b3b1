"""Large request bodies in memory that host and workers share, so that none crosses the wall.

A body is written into a slot as it arrives; the worker reads it there. A slot is a memfd: the
kernel frees it with the last process that maps it, whatever dies first. It is used again once
nobody refers to the body any more.
"""

from __future__ import annotations

import itertools
import mmap
import os
import time

from eas_processor.worker.shared import PLACE

SHARED_BYTES_MIN = 128 * 1024  # less is faster through the socket
SLOT_BYTES_MIN = 1 << 20
ALIGNMENT_BYTES = 64  # TensorFlow's
FREE_SLOTS_MAX = 8

# One for all Bodies, and from now on: not even a process of the same id has a number twice.
_numbers = itertools.count(time.monotonic_ns())


class Slot:
    """A piece of shared memory. number: never used for another one."""

    __slots__ = ("descriptor", "memory", "number", "size")

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.size = size
        self.descriptor = os.memfd_create("eas-request-body", os.MFD_CLOEXEC)
        try:
            os.truncate(self.descriptor, size)
            self.memory = mmap.mmap(self.descriptor, size)
        except BaseException:
            os.close(self.descriptor)
            raise

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self.descriptor)
        self.memory.close()


class SharedBody:
    """One request's body: so many bytes of a slot, which it gives back at its end.

    It ends at a multiple of ALIGNMENT_BYTES. The numbers of a request's last tensor are the last
    thing in most requests, so that they then begin at one, too, if there are round numbers of them:
    TensorFlow reads such numbers where they lie, and copies others first.
    """

    __slots__ = ("_bodies", "_slot", "_start", "size", "written")

    def __init__(self, bodies: Bodies, slot: Slot, size: int) -> None:
        self._bodies = bodies
        self._slot = slot
        self._start = -size % ALIGNMENT_BYTES
        self.size = size
        self.written = 0

    def __len__(self) -> int:
        return self.size

    def write(self, data: bytes) -> None:
        """The next bytes of the body."""
        start = self._start + self.written
        self._slot.memory[start : start + len(data)] = data
        self.written += len(data)

    def room(self) -> memoryview:
        """Where the bytes belong that are still to come; not to be kept."""
        room = memoryview(self._slot.memory)
        return room[self._start + self.written : self._start + self.size]

    def wrote(self, count: int) -> None:
        """So many bytes have been put there."""
        self.written += count

    def place(self) -> bytes:
        """What tells a worker where it is."""
        slot = self._slot
        return PLACE.pack(
            slot.number, os.getpid(), slot.descriptor, slot.size, self._start, self.size
        )

    def __bytes__(self) -> bytes:
        return self._slot.memory[self._start : self._start + self.size]

    def __del__(self) -> None:
        self._bodies.give_back(self._slot)


class Bodies:
    """The slots of one host. bytes_max: of all of them together."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._free: list[Slot] = []

    def borrow(self, size: int) -> SharedBody | None:
        """Room for a body of that size; None where a plain one serves better."""
        if size < SHARED_BYTES_MIN:
            return None
        needed = size + -size % ALIGNMENT_BYTES
        for place, slot in enumerate(self._free):
            if needed <= slot.size <= 4 * max(needed, SLOT_BYTES_MIN):
                return SharedBody(self, self._free.pop(place), size)
        slot_bytes = max(SLOT_BYTES_MIN, 1 << (needed - 1).bit_length())
        while self._free and self._bytes + slot_bytes > self._bytes_max:
            self._drop(self._free.pop(0))
        if self._bytes + slot_bytes > self._bytes_max:
            return None
        try:
            slot = Slot(next(_numbers), slot_bytes)
        except OSError:  # no memory, no descriptors: the socket serves, too
            return None
        self._bytes += slot_bytes
        return SharedBody(self, slot, size)

    def give_back(self, slot: Slot) -> None:
        """Nobody refers to what is in it any more."""
        self._free.append(slot)
        if len(self._free) > FREE_SLOTS_MAX:
            self._drop(self._free.pop(0))

    def _drop(self, slot: Slot) -> None:
        self._bytes -= slot.size
        slot.close()
