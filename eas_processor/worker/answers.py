"""Answers as frames, whatever a processor gave for one: bytes, text, an Answer, an exception."""

import time

from eas_processor.errors import Code, ServingError
from eas_processor.worker import output
from eas_processor.worker.frames import HEADER, PAYLOAD_BYTES_MAX, Content, Kind
from eas_processor.worker.processor import Answer

MESSAGE_CHARS_MAX = 1024
CODE_PLACE = 5  # in a frame's header
# Plain numbers: looking up a member of an enum costs more than using it.
ANSWER, OK, BINARY = map(int, (Kind.ANSWER, Code.OK, Content.BINARY))
PLAIN = {bytes}  # what nearly every answer is


def is_late(frame):
    """Whether a call's deadline has passed."""
    return frame.aux and frame.aux < time.monotonic() * 1e6


def is_success(answer):
    """Whether an encoded answer is one, not an error."""
    return answer[CODE_PLACE] == OK


def encode(id, value, aux):
    """The frame of an answer, whatever a processor gave for one."""
    code, content, body = OK, BINARY, value
    if type(value) is not bytes:
        try:
            if isinstance(value, BaseException):
                code, content, body = _failure(value)
            else:
                body, content = _unwrap(value)
        except Exception as error:
            code, content, body = _failure(error)
    if len(body) > PAYLOAD_BYTES_MAX:
        code, content, body = _failure(
            ValueError("an answer of %d bytes, protobuf carries fewer" % len(body))
        )
    return HEADER.pack(len(body), ANSWER, code, content, id, aux) + body


def encode_all(ids, values, aux):
    """The frames of several answers to one run."""
    if set(map(type, values)) == PLAIN and max(map(len, values)) <= PAYLOAD_BYTES_MAX:
        pack = HEADER.pack
        return [
            pack(len(value), ANSWER, OK, BINARY, id, aux) + value for id, value in zip(ids, values)
        ]
    return [encode(id, value, aux) for id, value in zip(ids, values)]


def _failure(error):
    """The code, content and body that tell the client of what `process` raised."""
    if isinstance(error, ServingError) and 0 < int(error.code) < 256:
        return int(error.code), Content.TEXT, text(str(error.message))
    if isinstance(error, MemoryError):
        return Code.RESOURCE_EXHAUSTED, Content.TEXT, b"out of memory"
    output.report(error)
    return Code.INTERNAL, Content.TEXT, text(first_line(error))


def _unwrap(value):
    """The body and content of what a processor gave that is not plain bytes."""
    if isinstance(value, Answer):
        if not isinstance(value.body, bytes):
            return _unwrap(value.body)[0], Content(value.content)
        return value.body, Content(value.content)
    if isinstance(value, str):
        return value.encode("utf-8"), Content.TEXT
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value), Content.BINARY
    raise TypeError("process() returned %s, not bytes" % type(value).__name__)


def first_line(error):
    """The first line that tells a reader what happened: `ValueError: …`."""
    text = str(error).strip().split("\n")[0]
    return type(error).__name__ + (": " + text if text else "")


def text(message):
    """A message as the wall carries it."""
    return message[:MESSAGE_CHARS_MAX].encode("utf-8", "replace")
