"""Makes the `sdk` fixture known to this room; others import it from `sdk_environment` likewise."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sdk_environment import sdk

__all__ = ["sdk"]
