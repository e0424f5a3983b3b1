"""Making and finding the interpreter environment that a processor's worker runs in.

The host and the CLI call `find`, `install` and `why_not`; the pool starts `Runtime.python`. This
room promises that a runtime it hands out is complete and was seen to import its TensorFlow, however
many processes install at once and whenever one of them is killed.
"""

from eas_processor.runtimes.folder import Runtime, cache_folder
from eas_processor.runtimes.installer import find, install, why_not

__all__ = ["Runtime", "cache_folder", "find", "install", "why_not"]
