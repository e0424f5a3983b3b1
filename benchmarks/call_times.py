"""How long each call of a function took, written by one process and read by another: a mapped file.

The first number counts the calls; the others, in turn, are the µs of the newest ones.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

KEPT = 1 << 16
FOLDER = "EAS_BENCHMARK_CALL_TIMES"  # the variable that names the folder of the files


class CallTimes:
    """The times of one function."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            np.zeros(1 + KEPT).tofile(file)
        self._numbers = np.memmap(file, np.float64, "r+")

    @property
    def count(self) -> int:
        """How many calls there were."""
        return int(self._numbers[0])

    def since(self, count: int) -> list[float]:
        """µs of each call after the first `count`, or of the newest that are still kept."""
        newest = self.count
        places = range(max(count, newest - KEPT), newest)
        return [float(self._numbers[1 + place % KEPT]) for place in places]

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose calls are written down."""
        numbers = np.asarray(self._numbers)  # quicker to write to
        count = self.count

        def call(*arguments: Any) -> Any:
            nonlocal count
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                numbers[1 + count % KEPT] = (time.perf_counter() - began) * 1e6
                count += 1
                numbers[0] = count

        return call
