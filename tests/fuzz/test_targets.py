"""Every target on its seeds, damaged a little: the same inputs in every run, in a few seconds."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eas_processor.codec import binary
from eas_processor.config import jsonc
from eas_processor.http import compression
from eas_processor.http.protocol import HttpProtocol
from eas_processor.http2.outlet import Outlet
from eas_processor.pool import channel
from processors.tensorflow import layout
from tests.fuzz.http_target import IS_TIGHT, POST, Conversation, answers
from tests.fuzz.memory import growth_bytes
from tests.fuzz.target import Target, damaged
from tests.fuzz.targets import TARGETS

INPUTS = 1500
PLANTED = {
    "http": (HttpProtocol, "tick", lambda self, now_s: None),
    "http2": (Outlet, "_takes", lambda self, stream, size: True),
    "packing": (compression, "_too_large", lambda bytes_max: AssertionError("escapes")),
    "tensors": (layout.Layout, "arrays", lambda self, request: []),
    "rest": (binary, "refused", ValueError),
    "wall": (channel, "CONTENT_MAX", 1 << 16),
    "service_json": (jsonc, "_NUMBER", re.compile("[0-9]()()")),
}
HELD_BYTES_MAX = 16 * 1024

each = pytest.mark.parametrize("name", TARGETS)


@each
def test_seeds_break_no_promise(name):
    for seed in TARGETS[name].seeds:
        TARGETS[name].check(seed)


@each
def test_damaged_seeds_break_no_promise(name):
    target = TARGETS[name]

    @settings(max_examples=INPUTS, derandomize=True, deadline=None)
    @given(st.sampled_from(target.seeds), st.integers(0, 1 << 32))
    def every(seed, number):
        target.check(damaged(seed, target.words, random.Random(number)))

    every()


@each
def test_garbage_breaks_no_promise(name):
    target = TARGETS[name]

    @settings(max_examples=INPUTS // 3, derandomize=True, deadline=None)
    @given(st.binary(max_size=300))
    def every(data):
        target.check(data)

    every()


@settings(max_examples=INPUTS // 3, derandomize=True, deadline=None)
@given(st.integers(0, 1900), st.integers(1, 2000), st.integers(1, 4))
def test_what_is_within_the_limits_is_never_refused_however_it_is_cut(size, cut, count):
    whole = POST + b"Content-Length: %d\r\n\r\n" % size + b"b" * size
    talk = Conversation(IS_TIGHT)
    for _ in range(count):
        talk.send(whole, cut)
    assert [status for status, _ in answers(talk.transport.written, [])] == [200] * count


@each
def test_a_planted_bug_is_found(name, monkeypatch):
    monkeypatch.setattr(*PLANTED[name])
    target, chance = TARGETS[name], random.Random(3)
    inputs = (damaged(seed, target.words, chance) for seed in target.seeds * 50)
    assert any(_is_found(target, data) for data in inputs)


def _is_found(target, data):
    try:
        target.check(data)
    except Exception:  # also what the bug itself lets escape
        return True
    return False


@each
def test_nothing_is_kept_of_what_was_fed(name):
    target, chance = TARGETS[name], random.Random(7)
    inputs = [damaged(chance.choice(target.seeds), target.words, chance) for _ in range(200)]
    assert growth_bytes(target, inputs) < HELD_BYTES_MAX


def test_what_is_kept_is_found():
    kept = []
    target = Target("keeps", lambda data: kept.append(data * 100), (), ())
    assert growth_bytes(target, [b"x"] * 200) > HELD_BYTES_MAX
