"""The wall's wire: frames, encoded and decoded without any I/O (shared by both sides, 3.6-clean).

    0        4      5      6       8              16              24
    +--------+------+------+-------+--------------+---------------+---------
    |  size  | kind | code | flags |      id      |      aux      | payload
    +--------+------+------+-------+--------------+---------------+---------

Little-endian. `size` counts the payload alone. `id` pairs an answer with its call. `aux` on a call
is its deadline (µs on CLOCK_MONOTONIC, which all processes of a machine share; 0 = none), on an
answer how long the processor ran (µs) and, above BATCH_SHIFT, how many calls ran together. `code`
is an `errors.Code`; `flags` a `Content` on answers, on PREDICT whether TENSOR_CONTENT is wanted.

A life: worker HELLO → host LOAD → worker LOADED or FAILED → host PROCESS, DESCRIBE, PREDICT or
PROFILE, worker ANSWER, in any order, until the host closes the socket.
"""

import collections
import enum
import struct

HEADER = struct.Struct("<IBBHQQ")
HEADER_BYTES = HEADER.size
PAYLOAD_BYTES_MAX = (1 << 31) - 1  # protobuf's own limit for one message

PROTOCOL_VERSION = 2
KIND_MAX = 9
BATCH_SHIFT = 40  # of aux on an answer
RUN_US_MASK = (1 << BATCH_SHIFT) - 1
SHARED = 0x80  # flag of a call: the payload tells where in shared memory the body is
TENSOR_CONTENT = 1  # flag of a PREDICT: numbers come back as raw bytes, not in typed fields


class Kind(enum.IntEnum):
    """What a frame says."""

    HELLO = 1  # worker → host: JSON, who I am
    LOAD = 2  # host → worker: JSON, what to load
    LOADED = 3  # worker → host: JSON, what was loaded
    FAILED = 4  # worker → host: code and text, why it was not
    PROCESS = 5  # host → worker: a request body as it came
    DESCRIBE = 6  # host → worker: the signature asked for, as UTF-8 ("" = default, "*" = all)
    ANSWER = 7  # worker → host: the answer's body, or the error's text
    PREDICT = 8  # host → worker: a serialised tensorflow.serving.PredictRequest
    PROFILE = 9  # host → worker: JSON, what to record from now on; nothing: end it, and give it


class Content(enum.IntEnum):
    """What an answer's payload is."""

    BINARY = 0
    JSON = 1
    TEXT = 2


Frame = collections.namedtuple("Frame", "kind code flags id aux payload")
new_frame = tuple.__new__  # half of what calling Frame costs


class FrameError(Exception):
    """The bytes on the wall are not frames: the other side is broken and must be ended."""


def encode(kind, payload=b"", id=0, code=0, flags=0, aux=0):
    """One frame as bytes."""
    return HEADER.pack(len(payload), kind, code, flags, id, aux) + payload


class FrameDecoder(object):
    """Bytes in, frames out. Each byte is copied at most twice however the sender cut the stream."""

    def __init__(self, payload_bytes_max=PAYLOAD_BYTES_MAX):
        self._payload_bytes_max = payload_bytes_max
        self._chunks = []  # of one incomplete frame
        self._have = 0
        self._need = HEADER_BYTES

    @property
    def pending_bytes(self):
        """How many bytes of an incomplete frame are held; 0 between frames."""
        return self._have

    def feed(self, data):
        """Take what the socket gave; return the frames that are now complete, in order.

        Raises FrameError for an unknown kind or a payload over the bound.
        """
        if self._have:
            self._chunks.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._chunks)
            self._chunks = []
            self._have = 0
        frames = []
        pos, end = 0, len(data)
        need = HEADER_BYTES
        while end - pos >= HEADER_BYTES:
            size, kind, code, flags, id, aux = HEADER.unpack_from(data, pos)
            if size > self._payload_bytes_max or not 1 <= kind <= KIND_MAX:
                raise FrameError(
                    "not a frame: kind %d, %d bytes (at most %d)"
                    % (kind, size, self._payload_bytes_max)
                )
            need = HEADER_BYTES + size
            if end - pos < need:
                break
            payload = data[pos + HEADER_BYTES : pos + need]
            frames.append(new_frame(Frame, (kind, code, flags, id, aux, payload)))
            pos += need
            need = HEADER_BYTES
        if pos < end:
            self._chunks.append(data[pos:])
            self._have = end - pos
            self._need = need
        return frames

    def close(self):
        """The stream ended. Raises FrameError if that was inside a frame."""
        if self._have:
            raise FrameError(
                "the other side closed the wall inside a frame (%d of %d bytes)"
                % (self._have, self._need)
            )
