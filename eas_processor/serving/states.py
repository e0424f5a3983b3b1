"""The states of services' versions, in the terms of TensorFlow Serving's GetModelStatus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from eas_processor.errors import Code, ServingError
from eas_processor.serving.lifecycle import State
from eas_processor.serving.service import Service
from eas_processor.serving.version import Version

STATES = {
    State.NEW: "START",
    State.FETCHING: "LOADING",
    State.STARTING: "LOADING",
    State.WARMING: "LOADING",
    State.READY: "AVAILABLE",
    State.DEGRADED: "AVAILABLE",
    State.DRAINING: "UNLOADING",
    State.STOPPED: "END",
    State.FAILED: "END",
}
ERRORS = {State.DEGRADED: Code.UNAVAILABLE, State.FAILED: Code.UNKNOWN}


class VersionStatus(NamedTuple):
    """One version. state: START, LOADING, AVAILABLE, UNLOADING or END. code, message: its error."""

    version: int
    state: str
    code: Code = Code.OK
    message: str = ""


class States(Protocol):
    """Who knows the states: `ServiceStates`, or the manager of a model server."""

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Newest first. Raises ServingError NOT_FOUND for a model that was never seen."""


class ServiceStates:
    """Reads the states off the services themselves."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """The versions of a service, newest first. Raises ServingError NOT_FOUND.

        version: only that one.
        """
        service = self._services.get(name)
        if service is None or not service.versions:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        if version is None:
            return [_status(service.versions[n]) for n in sorted(service.versions, reverse=True)]
        if version not in service.versions:
            words = f"Could not find version {version} of model {name}"
            raise ServingError(Code.NOT_FOUND, words)
        return [_status(service.versions[version])]


def _status(version: Version) -> VersionStatus:
    state = version.lifecycle.state
    code = ERRORS.get(state, Code.OK)
    message = version.why() if code is not Code.OK else ""
    return VersionStatus(version.number, STATES[state], code, message)
