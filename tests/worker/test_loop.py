"""The worker's loop, without a wall: what it learns of its processor's runs."""

import json
import math
import time

import pytest

from eas_processor.errors import Code, ServingError
from eas_processor.worker import deadline
from eas_processor.worker.frames import HEADER, Frame, Kind
from eas_processor.worker.loop import Loop
from eas_processor.worker.processor import Processor, left_s


class Joining(Processor):
    """Refuses all calls that are together but those that say "good"."""

    joins = True

    def many(self, calls):
        refusal = ServingError(Code.INVALID_ARGUMENT, "no good")
        return [b"" if body == b"good" else refusal for _, body, _ in calls]


@pytest.mark.parametrize("body, learned", [(b"bad", False), (b"good", True)])
def test_refused_calls_do_not_make_a_processor_look_quick(body, learned):
    loop = Loop(None, Joining(), {"concurrency": 5, "batching": {"calls_max": 8}})
    for _ in range(20):
        loop._answer_many([Frame(Kind.PROCESS, 0, 0, id, 0, body) for id in range(4)])
    assert (min(loop._recent_s) < math.inf) == learned


@pytest.mark.parametrize(
    "deadlines_s, groups",
    [
        ([3], [[3]]),
        ([3, 1, 2], [[1, 2, 3]]),
        ([0, 300, 5, 0, 6, 312], [[5, 6], [300], [312], [0, 0]]),
        ([0, 0], [[0, 0]]),
    ],
)
def test_calls_are_grouped_by_how_long_they_are_wanted(deadlines_s, groups):
    calls = [Frame(Kind.PROCESS, 0, 0, 0, given * 1000000, b"") for given in deadlines_s]
    found = [[call.aux // 1000000 for call in group] for group in deadline.together(calls)]
    assert found == groups


class Patient(Processor):
    """Answers how many seconds its call has left."""

    joins = True

    def process(self, request):
        return json.dumps(left_s())

    def many(self, calls):
        return [self.process(body) for _, body, _ in calls]


@pytest.mark.parametrize(
    "deadlines_s, left",
    [([None], None), ([50], 50), ([50, 90, 70], 90), ([50, None], None), ([-1, 50, 90], 90)],
)
def test_a_call_can_be_asked_how_long_it_is_wanted(deadlines_s, left):
    """Joined calls as long as the last of them."""
    loop = Loop(None, Patient(), {"concurrency": 5, "batching": {"calls_max": 8}})
    now_us = time.monotonic() * 1e6
    frames = [
        Frame(Kind.PROCESS, 0, 0, id, int(now_us + given * 1e6) if given else 0, b"")
        for id, given in enumerate(deadlines_s)
    ]
    answers = [answer[HEADER.size :] for answer in loop._answer_many(frames)]
    told = [json.loads(answer) for answer in answers if answer != b"the request took too long"]
    assert len(told) == len([given for given in deadlines_s if given != -1])
    assert all(one == left if left is None else left - 20 < one <= left for one in told)
