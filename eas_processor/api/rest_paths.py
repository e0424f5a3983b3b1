"""REST's paths, as they are sent: in any case, with names and labels percent-encoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from eas_processor.errors import Code, ServingError
from eas_processor.serving.service import Services

PREFIX = "/v1/"
LIST = "/v1/models"
RELOAD = "/v1/models:reload"
VERSION_MAX = 2**63 - 1

_FLAGS = re.IGNORECASE | re.ASCII
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
INFERENCE = re.compile(_MODEL + r":(?P<method>predict|classify|regress)", _FLAGS)
MODEL = re.compile(_MODEL + r"(?P<metadata>/metadata)?", _FLAGS)
NAMELESS = re.compile(r"/v1/models/(?:versions/\d+|labels/[^/:]+)(?:/metadata)?", _FLAGS)


@dataclass(frozen=True, slots=True)
class Which:
    """The model that a path names, and which of its versions. version: digits, None if not said."""

    name: str
    version: str | None
    label: str | None

    @classmethod
    def of(cls, match: re.Match[str]) -> Which:
        """What one of the patterns above has found."""
        label = match["label"]
        return cls(_decoded(match["name"]), match["version"], label and _decoded(label))

    def number(self) -> int | None:
        """The version's. Raises ServingError for one that no model can have."""
        text = self.version
        if text is None:
            return None
        digits = text.lstrip("0") or "0"
        if len(digits) > len(str(VERSION_MAX)) or int(digits) > VERSION_MAX:
            words = f"Failed to convert version: {text} to numeric."
            raise ServingError(Code.INVALID_ARGUMENT, words)
        return int(digits)

    def missing(self, services: Services) -> ServingError:
        """What is said where there is no such model."""
        number = None if self.label is not None else self.number()
        return services.missing(self.name, number, self.label)


def _decoded(sent: str) -> str:
    return unquote_to_bytes(sent.encode("latin-1")).decode("utf-8", "replace")
