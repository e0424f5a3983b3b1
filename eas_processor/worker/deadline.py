"""Until when the call of this thread is wanted, for processors that can end a run early."""

import threading
import time

NEAR_US = 10000000  # deadlines at most so far apart may share a run
NEVER_US = 1 << 62  # later than any

_call = threading.local()


def begin(deadline_us):
    """This thread begins a call. deadline_us: on CLOCK_MONOTONIC; 0: there is none."""
    _call.deadline_us = deadline_us


def together(calls):
    """Calls in groups whose deadlines are near to one another: a run lasts until the last of them.

    Else who waits for long would keep the others' thread long after their own deadlines.
    """
    groups = []
    first_us = 0
    for deadline_us, _, call in sorted((c.aux or NEVER_US, at, c) for at, c in enumerate(calls)):
        if not groups or deadline_us - first_us > NEAR_US:
            groups.append([])
            first_us = deadline_us
        groups[-1].append(call)
    return groups


def left_s():
    """Seconds until nobody wants the answer any more, below zero if so; None: no such end."""
    deadline_us = getattr(_call, "deadline_us", 0)
    return deadline_us * 1e-6 - time.monotonic() if deadline_us else None
