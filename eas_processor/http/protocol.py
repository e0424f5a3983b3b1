"""HTTP/1.1 on one connection: bytes to requests, answers to bytes, in order and within bounds.

httptools parses; what it does not do is here: pipelining, limits, time, back-pressure, closing so
that the client still reads the last answer. The methods stand in the order of a connection's life.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import httptools

from eas_processor.config import Limits
from eas_processor.http.messages import (
    TEXT,
    Application,
    Refusal,
    Request,
    render,
    without_offer,
)

RECV_BYTES = 256 * 1024  # the most that one data_received brings
LINGER_S = 1.0  # how long a refused sender may go on, unread, before the connection is cut
JOIN_BYTES_MAX = 64 * 1024  # an answer up to this is copied into one piece with its head
CHECKED_HEADER_BYTES = (len(b"content-length"), len(b"expect"))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD_END_CLOSE = b"\r\nConnection: close\r\n\r\n"
HEAD_END_KEEP = b"\r\nConnection: keep-alive\r\n\r\n"


class Connections:
    """What the connections of one server share: who is open, and how much they hold."""

    def __init__(self) -> None:
        self.open: set[HttpProtocol] = set()
        self.held_bytes = 0


class HttpProtocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, app: Application, limits: Limits, connections: Connections) -> None:
        self._app = app
        self._limits = limits
        self._connections = connections
        # Connection
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()  # requests without a written answer, in order
        self._closing = False  # no further request will be read
        self._closed = False
        self._draining = False
        self._ended = False  # the last answer is out; we linger
        # Time and flow
        self._quiet_since_s = 0.0
        self._unwritten_bytes = 0  # of answers, at the last tick
        self._taken_at_s = 0.0  # when the client was last seen to take some of them
        self._write_blocked = False
        self._held_bytes = 0  # of bodies that came and are not yet answered
        self._reading = True
        # The request that is arriving
        self._request: Request | None = None
        self._head_bytes = 0
        self._head_done = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._wants_continue = False

    # the connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._transport.set_write_buffer_limits(self._limits.write_buffer_bytes_max)
        self._quiet_since_s = time.monotonic()
        self._connections.open.add(self)
        if len(self._connections.open) > self._limits.connections_max:
            self._refuse(Refusal(503, "too many connections"))

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return  # lingering: the answer is out, what still comes is not wanted
        try:
            self._feed(data)
        except (httptools.HttpParserError, Refusal) as error:
            if not self._closing:  # else it lies behind the last request that is wanted
                self._refuse(_refusal(error))

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._decline_upgrade() + data[upgrade.args[0] :]
        if self._request is not None and not self._head_done:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes_max + RECV_BYTES:
                raise Refusal(431, "request header too large")

    def _decline_upgrade(self) -> bytes:
        """An offer to upgrade (curl --http2, Java) is met by going on in HTTP/1.1.

        The parser has taken the offer for accepted and the body for another protocol's, so the head
        is given to a new one, without the offer.
        """
        request = self._request
        assert request is not None
        if request.method == b"CONNECT":
            raise Refusal(405, "this is no proxy")
        self._waiting.pop()
        self._request = None
        head = without_offer(request, self._parser.get_http_version().encode())
        self._parser = httptools.HttpRequestParser(self)
        return head

    def eof_received(self) -> bool:
        """The client will send no more. It may still read the answers to what it sent."""
        self._closing = True
        if self._request is not None and self._waiting:
            self._waiting.pop()  # it left in the middle of this one
            self._request = None
        return bool(self._waiting)

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = self._closing = True
        self._connections.open.discard(self)
        self._connections.held_bytes -= self._held_bytes
        for request in self._waiting:
            if request.on_gone is not None:
                request.on_gone()
        self._waiting.clear()
        self._request = None
        self._parser = None  # type: ignore[assignment]  # it refers back to us

    # the parser's callbacks: they only collect and check

    def on_message_begin(self) -> None:
        if self._closing:
            raise Refusal(400, "no further request is wanted")  # ends the parsing, unanswered
        self._request = Request(self, time.monotonic())
        self._request.deadline_s = self._request.started_s + self._limits.header_timeout_s
        self._head_bytes = 0
        self._head_done = False
        self._body = []
        self._body_bytes = 0
        self._wants_continue = False
        self._waiting.append(self._request)

    def on_url(self, url: bytes) -> None:
        request = self._request
        assert request is not None
        request.target += url
        if len(request.target) > self._limits.url_bytes_max:
            raise Refusal(414, f"URL over {self._limits.url_bytes_max} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request
        assert request is not None
        if self._head_done:
            return  # a trailer of a chunked body: nothing here needs one
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._limits.header_bytes_max:
            raise Refusal(431, f"request header over {self._limits.header_bytes_max} bytes")
        if len(name) in CHECKED_HEADER_BYTES:
            self._check_header(name.lower(), value)
        request.headers.append((name, value))
        if len(request.headers) > self._limits.header_lines_max:
            raise Refusal(431, f"over {self._limits.header_lines_max} request header lines")

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            if int(value) > self._limits.body_bytes_max:
                raise Refusal(413, f"request body over {self._limits.body_bytes_max} bytes")
        elif name == b"expect" and value.lower() == b"100-continue":
            self._wants_continue = True

    def on_headers_complete(self) -> None:
        request = self._request
        assert request is not None
        request.method = self._parser.get_method()
        if self._parser.should_upgrade():
            return
        self._head_done = True
        request.keep_alive = self._parser.should_keep_alive()
        if self._parser.get_http_version() == "1.0":
            self._wants_continue = False
            if request.keep_alive:
                request.head_end = HEAD_END_KEEP
        self._app.begin(request)
        if self._wants_continue and self._waiting[0] is request:
            self._continue()

    def _continue(self) -> None:
        self._wants_continue = False
        self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes_max:
            raise Refusal(413, f"request body over {self._limits.body_bytes_max} bytes")
        self._held_bytes += len(body)
        self._connections.held_bytes += len(body)
        if self._connections.held_bytes > self._limits.held_bytes_max:
            raise Refusal(503, "too many request bodies in memory; try again later")
        self._body.append(body)

    def on_message_complete(self) -> None:
        request = self._request
        assert request is not None
        if not self._head_done:
            return  # an offer to upgrade, declined in _feed
        body = self._body
        request.body = body[0] if len(body) == 1 else b"".join(body)
        self._request = None
        self._body = []
        self._wants_continue = False
        if not request.keep_alive or self._draining:
            self._closing = True
        if len(self._waiting) >= self._limits.pipelined_requests_max and self._reading:
            self._reading = False
            self._transport.pause_reading()
        self._app.handle(request)

    # answers

    def respond(self, request: Request, head: bytes, body: bytes, close: bool) -> None:
        """Take the answer to a request; write it when all before it are written."""
        if self._closed or request.rendered is not None:
            return
        waiting = self._waiting
        last = self._draining and waiting and waiting[-1] is request
        if close or last or not request.keep_alive:
            self._closing = True
            request.keep_alive = False
            head += HEAD_END_CLOSE
        else:
            head += request.head_end
        if request.method == b"HEAD":
            body = b""
        request.rendered = (head, body)
        while waiting and waiting[0].rendered is not None:
            done = waiting.popleft()
            self._release(len(done.body))
            head, body = done.rendered  # type: ignore[misc]
            if len(body) <= JOIN_BYTES_MAX:
                self._transport.write(head + body)
            else:
                self._transport.write(head)
                self._transport.write(body)
            if not done.keep_alive:
                self._end()
                return
        if waiting:
            if self._wants_continue and self._head_done and waiting[0] is self._request:
                self._continue()
            return
        self._quiet_since_s = time.monotonic()
        if self._closing:
            self._end()
        elif not self._reading and not self._write_blocked:
            self._reading = True
            self._transport.resume_reading()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request that is arriving, after those before it, and end the connection."""
        self._closing = True
        request = self._request
        if request is None:
            request = Request(self, time.monotonic())
            self._waiting.append(request)
        self._request = None
        self._body = []
        body = (refusal.words + "\n").encode()
        self.respond(request, render(refusal.status, len(body), TEXT, ()), body, True)

    def _end(self) -> None:
        """Close, but let the client read what was written although it may still be sending."""
        for request in self._waiting:  # nothing after a closing answer is answered
            if request.on_gone is not None:
                request.on_gone()
        self._waiting.clear()
        self._request = None
        self._body = []
        self._release(self._held_bytes)
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
            self._ended = True
            self._taken_at_s = time.monotonic()
            if not self._reading:
                self._reading = True
                self._transport.resume_reading()
        else:
            self._transport.close()

    def _release(self, body_bytes: int) -> None:
        self._held_bytes -= body_bytes
        self._connections.held_bytes -= body_bytes

    # time, flow, the end

    def pause_writing(self) -> None:
        self._write_blocked = True
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._write_blocked = False
        few = len(self._waiting) < self._limits.pipelined_requests_max
        if not self._reading and few and not self._closed:
            self._reading = True
            self._transport.resume_reading()

    def tick(self, now_s: float) -> None:
        """End what took too long; called a few times a second."""
        limits = self._limits
        unwritten = self._transport.get_write_buffer_size()
        if unwritten != self._unwritten_bytes:
            self._unwritten_bytes = unwritten
            self._taken_at_s = now_s
        if unwritten and now_s > self._taken_at_s + limits.write_idle_timeout_s:
            self._transport.abort()
        elif self._ended:
            if not unwritten and now_s > self._taken_at_s + LINGER_S:
                self._transport.abort()
        elif self._request is not None:
            if now_s > self._request.deadline_s:
                self._refuse(Refusal(408, "the request took too long to arrive"))
        elif not self._waiting and not unwritten:
            quiet_since_s = max(self._quiet_since_s, self._taken_at_s)
            if now_s > quiet_since_s + limits.keep_alive_idle_s:
                self._transport.close()

    def abort(self) -> None:
        """Cut the connection, whatever it is doing."""
        self._transport.abort()

    def drain(self) -> None:
        """Finish what has begun, then close."""
        self._draining = True
        if self._request is None:
            self._closing = True
        if not self._waiting and not self._ended:
            self._transport.close()


def _refusal(error: Exception) -> Refusal:
    """What to answer to what the parser or one of its callbacks raised."""
    if isinstance(error, httptools.HttpParserCallbackError):
        cause = error.__context__
        return cause if isinstance(cause, Refusal) else Refusal(400, "bad request")
    return error if isinstance(error, Refusal) else Refusal(400, f"not HTTP/1.1: {error}")
