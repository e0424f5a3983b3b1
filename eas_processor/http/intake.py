"""The request that is arriving on a connection: httptools' callbacks, which collect and check.

httptools parses; its callbacks come in the order of the methods below. What is out of bounds raises
Refusal, which ends the parsing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

import httptools

from eas_processor.http import compression, identity
from eas_processor.http.messages import (
    HEAD_END_KEEP,
    Application,
    Head,
    Refusal,
    Request,
    Sink,
    id_line,
    without_offer,
)
from eas_processor.http.repeat import Repeat, learn

if TYPE_CHECKING:
    from eas_processor.config import Limits
    from eas_processor.http.connections import Connections

# By their length, so that a header which nobody here reads costs no more than that.
READ_HEADERS = (
    b"content-length", b"expect", b"accept-encoding", b"content-encoding", b"x-request-id",
    b"traceparent",
)  # fmt: skip
TOO_MANY_BODIES = "too many request bodies in memory; try again later"
READ_HEADER_BYTES = frozenset(map(len, READ_HEADERS))


class Intake(asyncio.Protocol):
    """The half of a connection that reads. The other half, `HttpProtocol`, answers and ends."""

    def __init__(self, app: Application, limits: Limits, connections: Connections) -> None:
        self._app = app
        self._limits = limits
        self._connections = connections
        self._watched = bool(connections.watchers)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._reading = True
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()  # requests without a written answer, in order
        self._closing = False  # no further request will be read
        self._held_bytes = 0  # of bodies that came and are not yet answered
        self._arriving: Request | None = None
        self._head_bytes = 0
        self._head_done = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._sink: Sink | None = None
        self._wants_continue = False
        self._completed: Head | None = None  # of a request that the parser told the end of
        self._repeat: Repeat | None = None  # what the next request most likely begins with
        # What came since the parser last told of a line or of a piece of the body
        self._told_bytes = 0
        self._untold_bytes = 0

    def _feed(self, data: bytes) -> None:
        """Take what came. Raises HttpParserError or Refusal: then nothing more can be read."""
        if self._arriving is not None:
            self._parse(data)
            return
        repeat = self._repeat
        if (
            repeat is not None
            and len(data) == repeat.whole_bytes
            and data.startswith(repeat.raw)
            and self._connections.held_bytes + len(data) <= self._limits.held_bytes_max
        ):
            self._take_repeat(repeat, data)
            return
        self._completed = None
        self._parse(data)
        if self._completed is not None and self._arriving is None:
            self._repeat = learn(data, self._completed)

    def _take_repeat(self, repeat: Repeat, data: bytes) -> None:
        """What the callbacks below do, at once: the parser's state between two requests stays."""
        request = Request(self, repeat.head, time.monotonic())  # type: ignore[arg-type]
        self._arriving = request
        self._waiting.append(request)
        self._begin(request)
        if request.rendered is None:
            request.body = body = data[len(repeat.raw) :]
            self._held_bytes += len(body)
            self._connections.held_bytes += len(body)
        self._arriving = None
        self._arrived(request)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._decline_upgrade() + data[upgrade.args[0] :]
        if self._arriving is not None:
            self._check_progress(len(data))

    def _check_progress(self, fed_bytes: int) -> None:
        """Bound what the parser keeps to itself: a line without end, in the head or behind it."""
        told_bytes = self._head_bytes + self._body_bytes
        if told_bytes != self._told_bytes:
            self._told_bytes = told_bytes
            self._untold_bytes = 0
            return
        self._untold_bytes += fed_bytes
        if self._untold_bytes > self._limits.header_bytes_max:
            raise Refusal(431, f"a line over {self._limits.header_bytes_max} bytes")

    def _decline_upgrade(self) -> bytes:
        """An offer to upgrade (curl --http2, Java) is met by going on in HTTP/1.1.

        The parser has taken the offer for accepted and the body for another protocol's, so the head
        is given to a new one, without the offer.
        """
        request = self._arriving
        assert request is not None
        if request.method == b"CONNECT":
            raise Refusal(405, "this is no proxy")
        self._waiting.pop()
        self._arriving = None
        head = without_offer(request, self._parser.get_http_version().encode())
        self._parser = httptools.HttpRequestParser(self)
        return head

    # the parser's callbacks

    def on_message_begin(self) -> None:
        if self._closing:
            raise Refusal(400, "no further request is wanted")  # ends the parsing, unanswered
        request = Request(self, Head(), time.monotonic())  # type: ignore[arg-type]
        self._arriving = request
        request.deadline_s = request.started_s + self._limits.header_timeout_s
        if self._watched:
            request.about = ()  # already now: it may be refused before its head is complete
        self._head_bytes = 0
        self._head_done = False
        self._body = []
        self._body_bytes = 0
        self._sink = None
        self._wants_continue = False
        self._told_bytes = 0
        self._untold_bytes = 0
        self._waiting.append(request)

    def on_url(self, url: bytes) -> None:
        assert self._arriving is not None
        head = self._arriving.head
        head.target += url
        if len(head.target) > self._limits.url_bytes_max:
            raise Refusal(414, f"URL over {self._limits.url_bytes_max} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._arriving is not None
        head = self._arriving.head
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._limits.header_bytes_max:
            raise Refusal(431, f"request header over {self._limits.header_bytes_max} bytes")
        if self._head_done:
            return  # a trailer of a chunked body: nothing here needs one
        if len(name) in READ_HEADER_BYTES:
            _read_header(head, name.lower(), value)
        head.headers.append((name, value))
        if len(head.headers) > self._limits.header_lines_max:
            raise Refusal(431, f"over {self._limits.header_lines_max} request header lines")

    def on_headers_complete(self) -> None:
        request = self._arriving
        assert request is not None
        head = request.head
        head.method = self._parser.get_method()
        if self._parser.should_upgrade():
            return
        self._head_done = True
        head.keep_alive = self._parser.should_keep_alive()
        if self._parser.get_http_version() == "1.0":
            head.wants_continue = False
            if head.keep_alive:
                head.end = HEAD_END_KEEP
        self._wants_continue = head.wants_continue
        self._begin(request)
        if self._closing:  # answered by its head alone
            raise Refusal(400, "the body is not wanted")
        if head.body_bytes > self._limits.body_bytes_max:
            raise Refusal(413, f"request body over {self._limits.body_bytes_max} bytes")
        if head.body_bytes and request.route is not None and request.rendered is None:
            self._sink = request.route.sink_for(head.body_bytes, head.encoding)
        if self._wants_continue and self._waiting[0] is request:
            self._continue()

    def _begin(self, request: Request) -> None:
        """The head is complete."""
        head = request.head
        request.keep_alive = head.keep_alive
        request.head_end = head.end
        if head.id or self._watched:
            request.id = head.id or identity.made()
            request.head_end = id_line(request.id) + head.end
            if self._watched:
                request.about = ()
        self._app.begin(request)

    def _continue(self) -> None:
        """Tell the client, which waits for that, to send the body."""
        raise NotImplementedError

    def on_body(self, body: bytes) -> None:
        request = self._arriving
        assert request is not None
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes_max:
            raise Refusal(413, f"request body over {self._limits.body_bytes_max} bytes")
        if request.rendered is not None:
            return  # answered by its head alone: the body is let past
        self._held_bytes += len(body)
        self._connections.held_bytes += len(body)
        if self._connections.held_bytes > self._limits.held_bytes_max:
            raise Refusal(503, TOO_MANY_BODIES)
        if self._sink is not None:
            self._sink.write(body)
        else:
            self._body.append(body)

    def hold_more(self, body_bytes: int) -> None:
        """A body has been unpacked and is so much longer. Raises Refusal if all are too much."""
        self._held_bytes += body_bytes
        self._connections.held_bytes += body_bytes
        if self._connections.held_bytes > self._limits.held_bytes_max:
            raise Refusal(503, TOO_MANY_BODIES)

    def on_message_complete(self) -> None:
        request = self._arriving
        assert request is not None
        if not self._head_done:
            return  # an offer to upgrade, declined in _feed
        body = self._body
        request.body = self._sink or (body[0] if len(body) == 1 else b"".join(body))
        self._arriving = None
        self._body = []
        self._sink = None
        self._wants_continue = False
        self._completed = request.head if type(request.body) is bytes else None
        self._arrived(request)

    def _arrived(self, request: Request) -> None:
        """The request is complete; it may have been answered already."""
        raise NotImplementedError

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request that is arriving, and end the connection."""
        raise NotImplementedError


def _read_header(head: Head, name: bytes, value: bytes) -> None:
    """Take down what the host itself wants to know of a header."""
    if name == b"content-length":
        head.body_bytes = int(value)
    elif name == b"accept-encoding":
        head.accepts_gzip = compression.accepts_gzip(value)
    elif name == b"expect":
        head.wants_continue = value.lower() == b"100-continue"
    elif name == b"content-encoding":
        head.encoding = value
    elif name == b"x-request-id" or (name == b"traceparent" and not head.id):
        head.id = identity.given(name, value)
