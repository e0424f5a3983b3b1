"""Where models come from: local folders and archives, http(s) URLs, oss:// and s3:// paths.

`fetch` turns what a service JSON names into a path on this machine. It blocks; the host calls it
in a thread.
"""

from eas_processor.store.fetch import fetch
from eas_processor.store.settings import FetchSettings

__all__ = ["FetchSettings", "fetch"]
