"""How an error is told over gRPC: its status, and as much of its text as fits."""

from __future__ import annotations

from eas_processor.errors import Code, ServingError
from eas_processor.observe.series import Dialect

MESSAGE_BYTES_MAX = 1024  # of an error's text; TensorFlow Serving cuts it there
TRUNCATED = "...TRUNCATED"

_OURS: dict[int, Code] = {
    Code.QUEUE_FULL: Code.UNAVAILABLE,  # what the peer's full batching queue says
    Code.RATE_LIMITED: Code.RESOURCE_EXHAUSTED,
    Code.WORKER_LOST: Code.UNAVAILABLE,
}


def status(code: int) -> Code:
    """gRPC's status for an `errors.Code`."""
    return _OURS.get(code) or Code(code)


DIALECT = Dialect("grpc", {code: status(code).name for code in Code})


def internal() -> ServingError:
    """What is said where something broke that should not; the log has the rest."""
    return ServingError(Code.INTERNAL, "an error of the server; see log")


def message(error: ServingError) -> str:
    """As much of an error's text as is told."""
    text = error.message.encode(errors="replace")
    if len(text) <= MESSAGE_BYTES_MAX:
        return text.decode()
    return text[:MESSAGE_BYTES_MAX].decode(errors="ignore") + TRUNCATED
