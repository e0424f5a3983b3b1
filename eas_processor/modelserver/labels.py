"""Which version each label names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from eas_processor.errors import Code, ServingError


class Labels(NamedTuple):
    """now: the labels in force. refused: those that have to wait, with the version they want."""

    now: dict[str, int]
    refused: dict[str, int]


def settle(
    current: Mapping[str, int],
    wanted: Mapping[str, int],
    available: Collection[int],
    allow_unavailable: bool,
) -> Labels:
    """The labels that a model has from now on: those wanted, whole; others are gone.

    A label may name only a version that is available. With `allow_unavailable` a label that is not
    in use yet may name any version. While one has to wait, those in use stay what they are, so that
    a mistake moves nobody's traffic; those that are new harm nobody.
    """
    refused = {
        label: version
        for label, version in wanted.items()
        if version not in available
        and not (allow_unavailable and current.get(label, version) == version)
    }
    if not refused:
        return Labels(dict(wanted), refused)
    new = {label: v for label, v in wanted.items() if label not in {*current, *refused}}
    return Labels({**current, **new}, refused)


def refusal(model: str, version: int) -> ServingError:
    """What is said of a label that had to wait, in the words that clients look for."""
    return ServingError(
        Code.FAILED_PRECONDITION,
        f"Request to assign label to version {version} of model {model}, which is not currently "
        "available for inference",
    )
