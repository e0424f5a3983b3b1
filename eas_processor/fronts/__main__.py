"""Start of a front: `python <this file> LINK DOOR BOARD`, three inherited descriptors.

What is imported is the package that this file is part of, however process 1 came by it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until process 1 ends or says so; it alone takes signals."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    home = str(Path(__file__).parents[2])
    sys.path.insert(0, home)
    import eas_processor.fronts  # noqa: F401, from here on it is found where it is

    sys.path.remove(home)  # its neighbours there must not hide anything
    import uvloop

    from eas_processor import process
    from eas_processor.fronts.front import serve

    process.prepare()
    link, door, board = map(int, sys.argv[1:])
    for descriptor in (link, door, board):
        os.set_inheritable(descriptor, False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(link, door, board))


if __name__ == "__main__":
    main()
