"""Until when the call of this thread is wanted, for processors that can end a run early."""

import threading
import time

_call = threading.local()


def begin(deadline_us):
    """This thread begins a call. deadline_us: on CLOCK_MONOTONIC; 0: there is none."""
    _call.deadline_us = deadline_us


def left_s():
    """Seconds until nobody wants the answer any more, below zero if so; None: no such end."""
    deadline_us = getattr(_call, "deadline_us", 0)
    return deadline_us * 1e-6 - time.monotonic() if deadline_us else None
