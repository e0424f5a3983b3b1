"""What a worker prints that the host understands: the traceback of a fault, in one line."""

import json
import sys
import traceback

MARK = "eas-processor traceback "
CHARS_MAX = 8000  # the end of a longer one


def report(error):
    """Tell the host, for its log, where a processor's code failed."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    sys.stderr.write(MARK + json.dumps("".join(lines)[-CHARS_MAX:]) + "\n")
    sys.stderr.flush()


def traceback_in(line):
    """The traceback that a line of a worker's output holds; None for any other line."""
    if not line.startswith(MARK):
        return None
    try:
        return json.loads(line[len(MARK) :])
    except ValueError:
        return None
