"""What an op says when it fails may quote bytes that are not UTF-8: a client's broken Example, say.

TensorFlow's Python side decodes those words strictly, as it is about to raise them. 1.14 and 1.15
end the process with a segmentation fault where that fails, 2.x raise the UnicodeDecodeError in
place of the op's error. There is no other hook than the codecs' own handler for strict decoding.
"""

import codecs
import sys

from tensorflow.python.client import session

from . import bounded

CALLERS = frozenset([session.__name__, bounded.__name__])  # modules that run graphs

_strict = codecs.lookup_error("strict")


def read_any_bytes():
    """From now on TensorFlow raises the op's error, with U+FFFD for bytes that are no text.

    Whatever else is decoded in this process is as strict as before.
    """
    codecs.register_error("strict", _strict_but_for_ops)


def _strict_but_for_ops(error):
    """The native code of a run has no frame of its own: it decodes in that of its caller."""
    caller = sys._getframe().f_back
    module = caller and caller.f_globals.get("__name__")
    if isinstance(error, UnicodeDecodeError) and module in CALLERS:
        return codecs.replace_errors(error)
    return _strict(error)
