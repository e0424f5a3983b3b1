"""Requests that came to a front and are answered by process 1, as if they had come to it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from eas_processor.fronts.messages import Question, Reply, Rest
from eas_processor.http.messages import TEXT, Application, Head, Headers, Request
from eas_processor.http.protocol import BROKEN

log = structlog.get_logger("fronts")


class _Elsewhere:
    """In the place of the connection, which is the front's."""

    closed = False

    def __init__(self, local_address: tuple[str, int]) -> None:
        self._local_address = local_address

    def hold_more(self, body_bytes: int) -> None:
        """The front bounds what its connections hold."""

    def address(self, side: str) -> tuple[str, int]:
        """The side that the client reached."""
        return self._local_address


class Asked(Request):
    """A request whose answer goes back to a front."""

    def __init__(self, question: Question, answer: Callable[[Reply], None]) -> None:
        self._elsewhere = _Elsewhere(question.local_address)
        head = Head()
        head.method = question.method
        head.target = question.target
        head.headers = question.headers
        head.encoding = b"identity" if question.unpacked else b""
        super().__init__(self._elsewhere, head, question.started_s)  # type: ignore[arg-type]
        self._answer = answer
        self._number = question.number
        self.id = question.id
        self.about = () if question.watched else None

    def respond(
        self,
        status: int,
        body: bytes,
        content_type: bytes = TEXT,
        headers: Headers = (),
        close: bool = False,
    ) -> None:
        """Answer, once; the front packs and writes."""
        if self.rendered is None:
            self.rendered = (b"", b"")
            self.waiter = None
            about = self.about or None
            self._answer(
                Reply(self._number, status, body, content_type, list(headers), close, about)
            )

    def leave(self) -> None:
        """Its client has left."""
        self._elsewhere.closed = True
        self.rendered = (b"", b"")
        if self.waiter is not None:
            self.waiter.abandon()


class Questions:
    """The questions of one front that are not answered yet. send(reply): to that front."""

    def __init__(self, app: Application, send: Callable[[Reply], None]) -> None:
        self._app = app
        self._send = send
        self._open: dict[int, Asked] = {}

    def ask(self, question: Question) -> None:
        """Let the host's own dialects answer, perhaps by the head alone."""
        asked = self._open[question.number] = Asked(question, self._answered)
        _attempt(self._app.begin, asked)

    def rest(self, rest: Rest) -> None:
        """The body of a question has come."""
        asked = self._open.get(rest.number)
        if asked is not None:
            asked.body = rest.body
            _attempt(self._app.handle, asked)

    def forget(self, number: int) -> None:
        """The client of one has left."""
        asked = self._open.pop(number, None)
        if asked is not None:
            asked.leave()

    def forget_all(self) -> None:
        """The front has ended."""
        for number in tuple(self._open):
            self.forget(number)

    def _answered(self, reply: Reply) -> None:
        self._open.pop(reply.number, None)
        self._send(reply)


def _attempt(work: Callable[[Request], None], asked: Asked) -> None:
    """What goes wrong with one request must not end the front, and with it all of its others."""
    try:
        work(asked)
    except Exception:
        log.exception("request failed", target=asked.target.decode("latin-1"))
        asked.respond(500, BROKEN)
