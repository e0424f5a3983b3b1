"""The vocabulary of failure, shared by the host and the workers (Python 3.6-clean).

Below `api/` nothing knows an HTTP number: errors carry one of these codes, and each dialect has one
table that turns a code into its own status.
"""

import enum


class Code(enum.IntEnum):
    """Canonical status codes: gRPC's numbers, then the three that EAS tells apart."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16
    # gRPC calls the one in the middle RESOURCE_EXHAUSTED and the other two UNAVAILABLE.
    QUEUE_FULL = 101
    RATE_LIMITED = 102
    WORKER_LOST = 103


TOO_LATE = "the request took too long"  # what is said of a deadline that has passed


class ServingError(Exception):
    """A failure with a canonical code and a message that is fit to be shown to the client.

    The message says what was wrong, where, and what to do; it never holds a traceback.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConfigError(ServingError):
    """A mistake in what the user wrote: a service JSON, a flag, a model path. Exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.INVALID_ARGUMENT, message)


class StartError(ServingError):
    """A service that could not be brought up: no runtime, no model, failed warm-up. Exit code 3.

    code: what a model's status tells of it.
    """

    def __init__(self, message: str, code: Code = Code.FAILED_PRECONDITION) -> None:
        super().__init__(code, message)
