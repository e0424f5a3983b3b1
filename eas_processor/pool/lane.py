"""The way to one worker, as a process that has calls for it sees it.

It decides how many calls to have there at once. Where several processes of a host share a worker,
each may always have its share, and more where the others leave room.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from eas_processor.pool.awake import Awake
from eas_processor.pool.board import Row
from eas_processor.pool.call import Call, expire
from eas_processor.pool.channel import Channel
from eas_processor.pool.gathering import Gathering

WINDOW_US = 2000  # keep a worker of short calls supplied with about so much work
GATHERED_RUN_US = 100  # calls whose part of a run is longer gain nothing by crossing together


class Lane:
    """Calls go in by `send`. least, most: how many may be at the worker, whatever they take.

    on_answers() is called after each batch of answers. first_id: of the calls.
    """

    def __init__(
        self, on_answers: Callable[[], None], awake: Awake, least: int, most: int, first_id: int = 1
    ) -> None:
        self._on_answers = on_answers
        self._window = self._window_least = least
        self._window_most = most
        self._row: Row | None = None  # how many calls each process has there, if there are several
        self._share = 0
        self._channel = Channel(self._answers_came, self._wall_lost, awake, first_id)
        self._gathering = Gathering(self._channel.send)
        self.joins = False  # whether the worker runs calls together

    @property
    def pid(self) -> int:
        """Of the worker's process; 0 before it is started."""
        raise NotImplementedError

    @property
    def in_flight(self) -> int:
        """Calls at the worker, whichever process they came to."""
        ours = self._ours
        return ours if self._row is None else ours + self._row.others()

    @property
    def _ours(self) -> int:
        return len(self._channel.in_flight) + len(self._gathering.held)

    @property
    def room(self) -> int:
        """How many more calls the worker should be given now."""
        if not self._channel.is_open:
            return 0
        room = self._window - self._ours
        return room if self._row is None else self._shared_room(room)

    @property
    def fullness(self) -> float:
        """The part of its window that is taken."""
        return self.in_flight / self._window if self._window else 2.0

    def _shared_room(self, room: int) -> int:
        assert self._row is not None
        if not self._window:
            return room  # the wall is lost
        # Without a share of its own a process might wait for ever for what others leave.
        return max(room - self._row.others(), self._share - self._ours)

    def send(self, call: Call) -> None:
        """Give the worker a call."""
        if self.joins and self._channel.run_us_mean < GATHERED_RUN_US:
            call.sent_s = time.monotonic()  # as good as sent: it waits for nobody to make room
            self._gathering.add(call, len(self._channel.in_flight))
        else:
            self._channel.send(call)
        if self._row is not None:
            self._row.show(self._ours)

    def calls(self) -> list[Call]:
        """The calls of this process at the worker, or just about to go there."""
        return [*self._channel.in_flight.values(), *self._gathering.held]

    def expire(self, now_s: float) -> None:
        """Answer the calls there whose deadline has passed."""
        for call in self.calls():
            expire(call, now_s)

    def share(self, row: Row) -> None:
        """From now on other processes have calls at the worker, too."""
        self._row = row
        self._share = max(1, self._window_least // row.processes)
        row.show(self._ours)

    def fail_calls(self, reason: str) -> None:
        """Answer every call at the worker with why it will not be answered."""
        self._channel.fail_calls(reason, self._gathering.take_all())
        if self._row is not None:
            self._row.show(0)

    def _answers_came(self) -> None:
        """Measure the window anew.

        It is as many calls as the worker runs at once, or, where they are so short that crossing
        the wall one by one would cost more than running them, as many as it does in WINDOW_US.
        """
        if self._row is not None:
            self._row.show(self._ours)
        self._window = self._window_least
        mean = self._channel.run_us_mean
        if mean < WINDOW_US / self._window:
            self._window = min(self._window_most, int(WINDOW_US / max(mean, 1.0)))
        self._on_answers()

    def _wall_lost(self, reason: str) -> None:
        """What has no room is given no calls."""
        self._window = 0
