"""One floating-point number as TensorFlow Serving prints it in JSON.

The rule: `%g` with six digits if that reads back equal, else nine digits for a float and seventeen
for a double; `.0` after what would look like an integer; NaN, Infinity and -Infinity bare.
"""

from __future__ import annotations

import math
import struct

import numpy as np

_FLOAT = struct.Struct("f")


def text(value: float, wide: bool) -> str:
    """One number; wide: a double. A float32 is passed as the double equal to it."""
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    short = f"{value:g}"
    back = float(short)
    if back != value and (wide or _FLOAT.unpack(_FLOAT.pack(back))[0] != value):
        short = f"{value:.17g}" if wide else f"{value:.9g}"
    if "." not in short and "e" not in short:
        short += ".0"
    return short


def nearest_float32(value: float) -> float:
    """A double rounded to a float32; beyond its range infinite."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))
