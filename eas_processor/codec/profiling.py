"""What TensorBoard says to a ProfilerService and is answered: bytes in, bytes out.

The trace goes back in the answer, for the client to keep: TensorFlow's own server writes it into
whatever folder the client names, which here might be anybody's client.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eas_processor.codec import serving

TOOL = "xplane.pb"  # what TensorBoard's plug-in makes all its views of
DEFAULT_LEVELS = {"host_tracer_level": 2, "device_tracer_level": 1, "python_tracer_level": 0}


class Wish(NamedTuple):
    """What is to be recorded. levels: by the names of tf.profiler.experimental.ProfilerOptions."""

    duration_ms: int
    session_id: str
    levels: dict[str, int]


def message(name: str) -> Any:
    """The class of a message of profiler.proto."""
    return serving.message_of("profiler", f"tensorflow.{name}")


def wish(body: bytes) -> Wish:
    """What a ProfileRequest asks for. Raises ServingError INVALID_ARGUMENT."""
    request = serving.parse(message("ProfileRequest"), body)
    levels = DEFAULT_LEVELS
    if request.opts.version:
        levels = {name: getattr(request.opts, name) for name in DEFAULT_LEVELS}
    return Wish(request.duration_ms, request.session_id, levels)


def session(body: bytes) -> str:
    """Which recording a TerminateRequest ends. Raises ServingError INVALID_ARGUMENT."""
    return str(serving.parse(message("TerminateRequest"), body).session_id)


def response(xspace: bytes) -> bytes:
    """A ProfileResponse with what was recorded, a serialised XSpace."""
    answer = message("ProfileResponse")(empty_trace=not xspace)
    if xspace:
        answer.tool_data.add(name=TOOL, data=xspace)
    body: bytes = answer.SerializeToString()
    return body
