"""The worker's view of request bodies in memory shared with the host (see pool.bodies)."""

import collections
import mmap
import os
import struct

# The slot's number, whose it is (a process id), its descriptor there, its size; where the body
# starts in it, and how long that is.
PLACE = struct.Struct("<QQQQQQ")
MAPPED_MAX = 16


class Mapped(object):
    """Slots as this process maps them; the ones used last are kept."""

    def __init__(self):
        self._views = collections.OrderedDict()

    def body(self, place):
        """A memoryview of the body that a frame's payload tells the place of."""
        number, owner, descriptor, slot_bytes, start, size = PLACE.unpack(place)
        view = self._views.pop((owner, number), None)
        if view is None:
            view = self._map(owner, descriptor, slot_bytes)
            if len(self._views) >= MAPPED_MAX:
                self._views.popitem(last=False)  # unmapped once no array refers to it
        self._views[owner, number] = view
        return view[start : start + size]

    def _map(self, owner, descriptor, slot_bytes):
        opened = os.open("/proc/%d/fd/%d" % (owner, descriptor), os.O_RDONLY)
        try:
            return memoryview(mmap.mmap(opened, slot_bytes, prot=mmap.PROT_READ))
        finally:
            os.close(opened)
