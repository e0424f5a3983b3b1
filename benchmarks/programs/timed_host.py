"""`eas-processor`, whose JSON bodies tell how long they took to read and to print, in the host.

Started with the arguments of `eas-processor`; the folder of the times is named by a variable.
"""

import os
from pathlib import Path

from benchmarks.call_times import FOLDER, CallTimes
from eas_processor.cli import main
from eas_processor.codec import rest

for name in ("predict_request", "predict_answer"):
    times = CallTimes(Path(os.environ[FOLDER], name))
    setattr(rest, name, times.timed(getattr(rest, name)))
main()
