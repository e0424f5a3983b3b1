"""When a connection must be ended, or asked whether its other side is still there."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

KEEPALIVE_S = 2 * 3600.0
KEEPALIVE_ANSWER_S = 20.0
STALL_S = 60.0
CONNECTIONS_MAX = 4096
STREAMS_MAX = 4096
CLOSE_S = 2.0  # for the client to close when all is said
FIELDS_BYTES_MAX = 32 * 1024
READ_HEADS = 4  # a head of so many times its bound is read, and refused; beyond, all must end
HELD_BYTES_MAX = 4 << 30


@dataclass(frozen=True)
class Bounds:
    """What a connection may do; None where there is no bound.

    connections_max: of the server; more are closed as they come. streams_max: at once.
    fields_bytes_max: of one head, unpacked. held_bytes_max: of bodies that are not whole, of all
    connections together. stall_s: how long the client may take to begin, send nothing of a body, or
    take nothing of what waits for it. idle_s: without a request. age_s: after which it is drained,
    and age_grace_s later cut. ping_s, ping_answer_s: after which silence the client is asked for a
    sign of life, and how long it has to give one.
    """

    connections_max: int = CONNECTIONS_MAX
    streams_max: int = STREAMS_MAX
    fields_bytes_max: int = FIELDS_BYTES_MAX
    held_bytes_max: int = HELD_BYTES_MAX
    stall_s: float = STALL_S
    idle_s: float | None = None
    age_s: float | None = None
    age_grace_s: float | None = None
    ping_s: float | None = KEEPALIVE_S
    ping_answer_s: float | None = KEEPALIVE_ANSWER_S

    @property
    def head_bytes_max(self) -> int:
        """Of a head that can still be read, packed or unpacked."""
        return READ_HEADS * self.fields_bytes_max


class Life(NamedTuple):
    """How a connection is. has_begun: the client has said its settings. ends: all is said, and the
    client should close. requests: ever begun. streams: now. sent: bytes, of bodies. buffered: bytes
    that the client has to take first. heard: counts what came from it.
    """

    has_begun: bool
    ends: bool
    requests: int
    streams: int
    sent: int
    buffered: int
    heard: int


class Due(enum.Enum):
    """What is to be done."""

    NOTHING = 0
    PING = 1
    DRAIN = 2
    CUT = 3


class Upkeep:
    """Of one connection; to be asked about twice a second."""

    def __init__(self, bounds: Bounds, now_s: float) -> None:
        self._bounds = bounds
        self._began_s = self._moved_s = self._heard_s = self._busy_s = now_s
        self._life = Life(False, False, 0, 0, 0, 0, 0)
        self._pinged = False

    def due(self, life: Life, now_s: float) -> Due:
        """life: as it is now."""
        bounds, last, self._life = self._bounds, self._life, life
        moves = life.sent != last.sent or life.buffered < last.buffered
        if moves or (life.has_begun and not life.buffered and not life.ends):
            self._moved_s = now_s
        if life.heard != last.heard:
            self._heard_s, self._pinged = now_s, False
        if life.streams or life.requests != last.requests:
            self._busy_s = now_s
        age_s = now_s - self._began_s
        ends_now = life.ends and not life.buffered
        if now_s - self._moved_s > (CLOSE_S if ends_now else bounds.stall_s):
            return Due.CUT
        if life.ends:
            return Due.NOTHING
        if bounds.age_s is not None and age_s > bounds.age_s:
            is_over = bounds.age_grace_s is not None and age_s > bounds.age_s + bounds.age_grace_s
            return Due.CUT if is_over else Due.DRAIN
        if bounds.idle_s is not None and now_s - self._busy_s > bounds.idle_s:
            return Due.DRAIN
        return self._ping(now_s - self._heard_s)

    def _ping(self, silence_s: float) -> Due:
        bounds = self._bounds
        if bounds.ping_s is None or silence_s <= bounds.ping_s:
            return Due.NOTHING
        if not self._pinged:
            self._pinged = True
            return Due.PING
        if bounds.ping_answer_s is None or silence_s <= bounds.ping_s + bounds.ping_answer_s:
            return Due.NOTHING
        return Due.CUT
