"""Large request bodies in memory that host and worker share."""

import gc
import os

from eas_processor.pool.bodies import FREE_SLOTS_MAX, SHARED_BYTES_MIN, SLOT_BYTES_MIN, Bodies
from eas_processor.worker.shared import PLACE, Mapped

MIB = 1 << 20


def written(bodies, data):
    body = bodies.borrow(len(data))
    for start in range(0, len(data), 100_000):
        body.write(data[start : start + 100_000])
    return body


def test_what_is_written_is_read_on_the_other_side():
    mapped = Mapped()
    bodies = Bodies(64 * MIB)
    for size in (SHARED_BYTES_MIN, MIB + 1, 3 * MIB):
        data = os.urandom(size)
        body = written(bodies, data)
        assert bytes(body) == data and len(body) == size
        assert mapped.body(body.place()) == data


def test_a_body_ends_where_tensorflow_wants_numbers_to_begin():
    bodies = Bodies(64 * MIB)
    for size in (SHARED_BYTES_MIN, MIB - 1, MIB, MIB + 1, 3 * MIB + 63):
        body = written(bodies, os.urandom(size))
        _, _, _, slot_bytes, start, told = PLACE.unpack(body.place())
        assert told == size and (start + size) % 64 == 0 and start + size <= slot_bytes
        assert len(body.room()) == 0


def test_small_bodies_and_those_without_room_go_another_way():
    bodies = Bodies(2 * MIB)
    assert bodies.borrow(SHARED_BYTES_MIN - 1) is None
    assert bodies.borrow(3 * MIB) is None
    kept = [bodies.borrow(MIB), bodies.borrow(MIB)]
    assert all(kept) and bodies.borrow(MIB) is None
    kept.pop()
    assert bodies.borrow(MIB) is not None
    assert Bodies(0).borrow(MIB) is None


def test_a_slot_is_used_again_but_never_while_its_body_lives():
    bodies = Bodies(64 * MIB)
    first = written(bodies, b"1" * MIB)
    second = written(bodies, b"2" * MIB)
    assert bytes(first) == b"1" * MIB
    number = PLACE.unpack(first.place())[0]
    del first
    third = written(bodies, b"3" * MIB)
    assert PLACE.unpack(third.place())[0] == number
    assert bytes(second) == b"2" * MIB


def test_no_two_slots_of_one_process_have_the_same_number(monkeypatch):
    monkeypatch.setattr("time.monotonic_ns", lambda: 1)  # made at the same moment
    bodies = [Bodies(64 * MIB) for _ in range(2)]
    kept = [one.borrow(MIB) for one in bodies for _ in range(3)]
    assert len({PLACE.unpack(body.place())[0] for body in kept}) == 6


def test_descriptors_stay_bounded():
    bodies = Bodies(1 << 30)
    before = len(os.listdir("/proc/self/fd"))
    many = [bodies.borrow(SLOT_BYTES_MIN) for _ in range(40)]
    assert len(os.listdir("/proc/self/fd")) > before
    many.clear()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 2 * FREE_SLOTS_MAX
