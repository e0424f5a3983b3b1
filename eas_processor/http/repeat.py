"""Requests that repeat an earlier one's head word for word, which need not be parsed again.

A client that keeps its connection sends the same head before every body of the same length. Parsing
it costs as much as all else that the host does with a small request; comparing it, next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from eas_processor.http.messages import HEAD_END, Head

HEAD_BYTES_MAX = 4096  # of a head that is kept; longer ones are parsed each time


@dataclass(frozen=True, slots=True)
class Repeat:
    """A head that was parsed, and its bytes. whole_bytes: of a request that has it, in all."""

    raw: bytes
    head: Head
    whole_bytes: int


def learn(data: bytes, head: Head) -> Repeat | None:
    """What a repetition is known by, if `data` is exactly one request with this head and its body.

    The parser does not tell where a head ends. Only what cannot be read otherwise is learnt: as
    many lines as were parsed, all ended by CRLF, and behind them the announced body.
    """
    head_bytes = len(data) - head.body_bytes
    if not head.body_bytes or not 0 < head_bytes <= HEAD_BYTES_MAX:
        return None
    if head.id or head.wants_continue:
        return None  # the next one's is another; the client waits between head and body
    raw = data[:head_bytes]
    lines = len(head.headers) + 2
    if raw.count(b"\r\n") != lines or raw.count(b"\n") != lines or not raw.endswith(HEAD_END):
        return None
    return Repeat(raw, head, len(data))
