"""What a worker prints that the host understands: the traceback of a fault, in one line."""

import json
import os
import traceback

MARK = "eas-processor traceback "
CHARS_MAX = 8000  # the end of a longer one; in a line that the host does not find too long
STANDARD_ERROR = 2  # the pipe to the host, whatever a processor's code makes of sys.stderr


def report(error):
    """Tell the host, for its log, where a processor's code failed. Never raises."""
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        line = "\n" + MARK + json.dumps("".join(lines)[-CHARS_MAX:], ensure_ascii=False) + "\n"
        os.write(STANDARD_ERROR, line.encode("utf-8", "replace"))
    except Exception:  # a log is not worth a call
        pass


def traceback_in(line):
    """The traceback that a line of a worker's output holds; None for any other line."""
    if not line.startswith(MARK):
        return None
    try:
        found = json.loads(line[len(MARK) :])
    except ValueError:
        return None
    return found.encode("utf-8", "replace").decode("utf-8") if isinstance(found, str) else None
