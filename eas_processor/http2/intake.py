"""What a connection receives: bytes to frames.

The payload of a DATA frame is taken as it comes, so that such frames may be large; every other
frame is read whole, and so is a head that comes in several frames.
"""

from __future__ import annotations

import asyncio

from eas_processor.http2 import frames
from eas_processor.http2.frames import ConnectionFault

DATA_FRAME_BYTES_MAX = 1 << 20
OTHER_FRAME_BYTES_MAX = 1 << 17
HEAD_FRAMES_MAX = 32  # of one head
_WORDS = b"This port speaks HTTP/2 without an upgrade, as gRPC does\n"
NOT_HTTP2 = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_WORDS), _WORDS)
)


class FrameIntake(asyncio.Protocol):
    """Calls, of who inherits it, in the order of arrival: `_begin` for the preface; `_head` for
    HEADERS with all that belongs to it; for DATA `_data_begins`, then `_data` for each piece and,
    with the last of a body, `_data_ends`; `_frame` for all others; and `_fail` once, where nothing
    of this can go on, or `_close` where it is another protocol.

    block_bytes_max: of a head, as it comes.
    """

    def __init__(self, block_bytes_max: int) -> None:
        self._block_bytes_max = block_bytes_max
        self._block: list[bytes] = []  # of a head that is not whole
        self._block_of = (0, 0)  # the flags and the stream of its first frame
        self._heard = 0  # how often anything came
        self._transport: asyncio.Transport
        self._is_closing = False
        self._rest = b""  # of a frame that is not whole
        self._has_preface = self._has_settings = False
        self._data_left = self._padding_left = 0  # of a DATA frame that is being taken
        self._data_is_last = False

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        self._heard += 1
        if self._rest:
            data = self._rest + data
            self._rest = b""
        try:
            at = self._read(data)
        except ConnectionFault as fault:
            self._fail(fault)
            return
        if at < len(data):
            self._rest = data[at:]

    def _read(self, data: bytes) -> int:
        """Take all frames that are there; where the rest begins."""
        at, end = 0, len(data)
        if not self._has_preface:
            at = self._preface(data)
        elif self._data_left or self._padding_left:
            at = self._take(data, 0)
        unpack = frames.HEAD.unpack_from
        while self._has_preface and end - at >= frames.HEAD_BYTES and not self._is_closing:
            high, low, kind, flags, number = unpack(data, at)
            size = high << 8 | low
            start = at + frames.HEAD_BYTES
            if kind == frames.DATA and self._has_settings:
                if flags & frames.PADDED and end == start:
                    break  # how much of it is padding comes next
                at = self._begin_data(data, start, size, flags, number & frames.STREAM_MAX)
                continue
            if kind > frames.CONTINUATION and self._has_settings and not self._block:
                at = self._skip(data, start, size)
                continue
            if size > OTHER_FRAME_BYTES_MAX:
                raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a frame is too large")
            if end - start < size:
                break
            if not self._has_settings:
                if kind != frames.SETTINGS or flags & frames.ACK:
                    raise ConnectionFault(frames.PROTOCOL_ERROR, "no SETTINGS first")
                self._has_settings = True
            at = start + size
            self._other(kind, flags, number & frames.STREAM_MAX, data[start:at])
        return at

    def _preface(self, data: bytes) -> int:
        size = len(frames.PREFACE)
        if not frames.PREFACE.startswith(data[:size]):
            self._transport.write(NOT_HTTP2)
            self._close()
        elif len(data) >= size:
            self._has_preface = True
            self._begin()
            return size
        return 0

    def _begin_data(self, data: bytes, at: int, size: int, flags: int, number: int) -> int:
        """A DATA frame begins; where what is there of it ends."""
        if size > DATA_FRAME_BYTES_MAX:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a frame is too large")
        if self._block:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a head is not whole")
        self._data_begins(number, size)
        self._data_is_last = bool(flags & frames.END_STREAM)
        self._padding_left = 0
        if flags & frames.PADDED:
            if not size or data[at] >= size:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "more padding than frame")
            self._padding_left = data[at]
            size -= 1 + self._padding_left
            at += 1
        self._data_left = size
        return self._take(data, at)

    def _skip(self, data: bytes, at: int, size: int) -> int:
        """A frame of a kind that nobody here knows begins; it is taken for padding."""
        if size > DATA_FRAME_BYTES_MAX:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a frame is too large")
        self._data_left, self._padding_left, self._data_is_last = 0, size, False
        return self._take(data, at)

    def _take(self, data: bytes, at: int) -> int:
        """What is there of a DATA frame; where it ends."""
        size = min(self._data_left, len(data) - at)
        if size:
            self._data_left -= size
            piece = data if size == len(data) else memoryview(data)[at : at + size]
            self._data(piece, len(data))
            at += size
        if not self._data_left:
            skipped = min(self._padding_left, len(data) - at)
            self._padding_left -= skipped
            at += skipped
            if self._data_is_last and not self._padding_left:
                self._data_is_last = False
                self._data_ends()
        return at

    def _other(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """A frame that is whole. Those of a head must follow each other."""
        if self._block:
            if kind != frames.CONTINUATION or number != self._block_of[1]:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "a head is not whole")
            self._block.append(payload)
        elif kind == frames.HEADERS:
            if not number % 2:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "no stream of a client")
            payload = frames.unpadded(payload, flags)
            self._block, self._block_of = [payload], (flags, number)
        else:
            self._frame(kind, flags, number, payload)
            return
        block = payload if len(self._block) == 1 else b"".join(self._block)
        if len(block) > self._block_bytes_max or len(self._block) > HEAD_FRAMES_MAX:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "a head is too large")
        if flags & frames.END_HEADERS:
            self._block = []
            self._head(*self._block_of, block)

    def _begin(self) -> None:
        raise NotImplementedError

    def _head(self, flags: int, number: int, block: bytes) -> None:
        raise NotImplementedError

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        raise NotImplementedError

    def _data_begins(self, number: int, size: int) -> None:
        raise NotImplementedError

    def _data(self, piece: bytes | memoryview, of_bytes: int) -> None:
        raise NotImplementedError

    def _data_ends(self) -> None:
        raise NotImplementedError

    def _fail(self, fault: ConnectionFault) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError
