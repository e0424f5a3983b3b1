"""The frames of HTTP/2: their kinds, flags and errors (RFC 9113, sections 4, 6 and 7)."""

from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB

ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6

FRAME_BYTES_MIN = 1 << 14  # what either side may send before it knows more
FRAME_BYTES_MAX = (1 << 24) - 1
WINDOW_BYTES = 65_535  # before it knows more
WINDOW_BYTES_MAX = (1 << 31) - 1
STREAM_MAX = (1 << 31) - 1

HEAD = struct.Struct(">HBBBI")  # length (high, low), kind, flags, stream
HEAD_BYTES = HEAD.size
_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")


class ConnectionFault(Exception):
    """The connection can not go on. code: for GOAWAY."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class StreamFault(Exception):
    """One stream can not go on. code: for RST_STREAM."""

    def __init__(self, stream: int, code: int) -> None:
        super().__init__(stream, code)
        self.stream = stream
        self.code = code


def head(size: int, kind: int, flags: int, stream: int) -> bytes:
    """What stands in front of a payload of `size` bytes."""
    return HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame, as it is sent."""
    return head(len(payload), kind, flags, stream) + payload


# of what a client may set: least, most, and the error beyond
_SETTING_BOUNDS = {
    ENABLE_PUSH: (0, 1, PROTOCOL_ERROR),
    INITIAL_WINDOW_SIZE: (0, WINDOW_BYTES_MAX, FLOW_CONTROL_ERROR),
    MAX_FRAME_SIZE: (FRAME_BYTES_MIN, FRAME_BYTES_MAX, PROTOCOL_ERROR),
}
_ANY = (0, 1 << 32, PROTOCOL_ERROR)


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def read_settings(payload: bytes) -> dict[int, int]:
    """What a SETTINGS frame says; the last of a kind counts. Raises ConnectionFault."""
    if len(payload) % _SETTING.size:
        raise ConnectionFault(FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
    found: dict[int, int] = {}
    for setting, value in _SETTING.iter_unpack(payload):
        found[setting] = value
        least, most, code = _SETTING_BOUNDS.get(setting, _ANY)
        if not least <= value <= most:
            raise ConnectionFault(code, f"setting {setting} may not be {value}")
    return found


def window_update(stream: int, size: int) -> bytes:
    """Lets the other side send `size` bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def reset(stream: int, code: int) -> bytes:
    """Ends a stream at once."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(last_stream: int, code: int, words: str = "") -> bytes:
    """Says which stream was the last that is answered."""
    return frame(GOAWAY, 0, 0, _NUMBER.pack(last_stream) + _NUMBER.pack(code) + words.encode())


def number(payload: bytes) -> int:
    """Of RST_STREAM and WINDOW_UPDATE; without the reserved bit."""
    if len(payload) != _NUMBER.size:
        raise ConnectionFault(FRAME_SIZE_ERROR, "a frame of a wrong size")
    found: int = _NUMBER.unpack(payload)[0]
    return found & STREAM_MAX


def unpadded(payload: bytes, flags: int) -> bytes:
    """A HEADERS payload without padding and priority."""
    start, end = 0, len(payload)
    if end < bool(flags & PADDED) + 5 * bool(flags & PRIORITISED):
        raise ConnectionFault(FRAME_SIZE_ERROR, "HEADERS of a wrong size")
    if flags & PADDED:
        start = 1
        end -= payload[0]
    if flags & PRIORITISED:
        start += 5
    if start > end:
        raise ConnectionFault(PROTOCOL_ERROR, "more padding than frame")
    return payload[start:end]
