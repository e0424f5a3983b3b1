"""How much a target keeps of what it was fed."""

import gc
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

from tests.fuzz.target import Target

WARM_UP_PASSES = 2  # caches fill with the inputs; they are no leak
TIMES = 3


def growth_bytes(target: Target, inputs: Sequence[bytes], passes: int = 2) -> int:
    """What is held after some passes over `inputs` more than before them: the least of three times.

    What is lost is lost each time; the interpreter's free lists grow now and then.
    """
    for _ in range(WARM_UP_PASSES):
        _feed(target, inputs)
    tracemalloc.start()
    try:
        held = [_held_bytes(target, inputs, passes) for _ in range(1 + TIMES)]
    finally:
        tracemalloc.stop()
    return min(after - before for before, after in pairwise(held))


def _held_bytes(target: Target, inputs: Sequence[bytes], passes: int) -> int:
    for _ in range(passes):
        _feed(target, inputs)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _feed(target: Target, inputs: Sequence[bytes]) -> None:
    for data in inputs:
        target.check(data)
