"""HTTP/1.1 on one connection: bytes to requests, answers to bytes, in order and within bounds.

httptools parses; what it does not do is here and in `intake`: pipelining, limits, time,
back-pressure, closing so that the client still reads the last answer. The methods stand in the
order of a connection's life.
"""

from __future__ import annotations

import asyncio
import sys
import time

import httptools
import structlog

from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from eas_processor.http.direct import DirectIntake
from eas_processor.http.messages import (
    HEAD_END_CLOSE,
    TEXT,
    Application,
    Head,
    Refusal,
    Request,
    id_line,
    render,
)
from eas_processor.http.sockets import plain
from eas_processor.observe.exchange import Exchange

RECV_BYTES = 256 * 1024  # the most that one data_received brings
DRAIN_IDLE_S = 0.5  # when draining, how long a connection is quiet before it is closed
LINGER_S = 1.0  # how long a refused sender may go on, unread, before the connection is cut
JOIN_BYTES_MAX = 64 * 1024  # an answer up to this is copied into one piece with its head
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLIENT_GONE = 499  # what a log says of a request whose client did not wait
BROKEN = b"an error of the server; its log tells more\n"  # what is said where something broke

log = structlog.get_logger("http")


class HttpProtocol(DirectIntake):
    """One connection."""

    def __init__(self, app: Application, limits: Limits, connections: Connections) -> None:
        super().__init__(app, limits, connections)
        self.gzip_bytes_min = limits.answer_gzip_bytes_min or sys.maxsize
        self.closed = False
        self._draining = False
        self._ended = False  # the last answer is out; we linger
        self._quiet_since_s = 0.0
        self._unwritten_bytes = 0  # of answers, at the last tick
        self._taken_at_s = 0.0  # when the client was last seen to take some of them
        self._write_blocked = False

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
            return
        if self._sink is not None and self._arriving is not None:
            self._read_directly()

    def eof_received(self) -> bool:
        """The client will send no more. It may still read the answers to what it sent."""
        self._read_parsed()
        self._closing = True
        if self._arriving is not None and self._waiting:
            self._leave(self._waiting.pop())  # it left in the middle of this one
            self._arriving = self._sink = None
        for request in tuple(self._waiting):
            if request.waiter is not None:
                request.waiter.give_way()
        return bool(self._waiting)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = self._closing = True
        self._sink = None
        self._connections.open.discard(self)
        self._connections.held_bytes -= self._held_bytes
        for request in self._waiting:
            self._leave(request)
        self._waiting.clear()
        self._arriving = None
        self._parser = None  # type: ignore[assignment]  # it refers back to us

    def _leave(self, request: Request) -> None:
        """Nobody will read the answer to this request."""
        if request.waiter is not None:
            request.waiter.abandon()
        if self._watched:
            self._tell(request, CLIENT_GONE, 0)

    def address(self, side: str) -> tuple[str, int]:
        """Address and port of one side of the connection: "peername" or "sockname"."""
        found = self._transport.get_extra_info(side)
        return (plain(str(found[0])), int(found[1])) if isinstance(found, tuple) else ("", 0)

    # requests

    def _continue(self) -> None:
        self._wants_continue = False
        self._transport.write(CONTINUE)

    def _arrived(self, request: Request) -> None:
        if not request.keep_alive or self._draining:
            self._closing = True
        if request.rendered is not None:
            self._write_answers()
            return
        if len(self._waiting) >= self._limits.pipelined_requests_max and self._reading:
            self._reading = False
            self._transport.pause_reading()
        try:
            self._app.handle(request)
        except Exception:
            log.exception("request failed", target=request.target.decode("latin-1"))
            request.respond(500, BROKEN, close=True)

    # answers

    def respond(self, request: Request, head: bytes, body: bytes, close: bool) -> None:
        """Take the answer to a request; write it when all before it are written."""
        if self.closed or request.rendered is not None:
            return
        if request is self._arriving and self._wants_continue:
            close = True  # whether the body comes now is the client's choice, so what is next?
            self._arriving = None
        last = self._draining and self._waiting and self._waiting[-1] is request
        if close or last or not request.keep_alive:
            request.keep_alive = False
            self._closing = self._closing or request is not self._arriving
            head += id_line(request.id) + HEAD_END_CLOSE
        else:
            head += request.head_end
        request.rendered = (head, b"" if request.head.method == b"HEAD" else body)
        self._write_answers()

    def _write_answers(self) -> None:
        """Write the answers whose turn has come."""
        waiting = self._waiting
        while waiting:
            request = waiting[0]
            if request.rendered is None or request is self._arriving:
                break
            waiting.popleft()
            self._release(len(request.body))
            head, body = request.rendered
            if len(body) <= JOIN_BYTES_MAX:
                self._transport.write(head + body)
            else:
                self._transport.write(head)
                self._transport.write(body)
            if self._watched:
                self._tell(request, int(head[9:12]), len(body))
            if not request.keep_alive:
                self._end()
                return
        if waiting:
            if self._wants_continue and self._head_done and waiting[0] is self._arriving:
                self._continue()
        else:
            self._quiet_since_s = time.monotonic()
            if self._closing:
                self._end()
                return
        if not self._reading:
            self._read_on()

    def _read_on(self) -> None:
        """Read again, if the client takes its answers and half of the pipeline is free."""
        few = len(self._waiting) <= self._limits.pipelined_requests_max // 2
        if few and not self._write_blocked and not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request that is arriving, after those before it, and end the connection."""
        self._read_parsed()
        self._closing = True
        request = self._arriving
        if request is None:
            request = Request(self, Head(), time.monotonic())
            request.about = () if self._watched else None
            self._waiting.append(request)
        self._arriving = self._sink = None
        self._body = []
        request.keep_alive = False
        if request.rendered is not None:  # by its head alone; then its body went wrong
            self._write_answers()
            return
        if request.route is not None:
            request.route.refuse(request, refusal.status, refusal.words)
            return
        body = (refusal.words + "\n").encode()
        self.respond(request, render(refusal.status, len(body), TEXT, ()), body, True)

    def _end(self) -> None:
        """Close, but let the client read what was written although it may still be sending."""
        self._read_parsed()
        for request in self._waiting:  # nothing after a closing answer is answered
            self._leave(request)
        self._waiting.clear()
        self._arriving = self._sink = None
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

    def _tell(self, request: Request, status: int, bytes_out: int) -> None:
        """Let the watchers know how a request ended."""
        exchange = Exchange(
            request.method.decode(),
            request.target.decode("latin-1"),
            status,
            len(request.body),
            bytes_out,
            request.started_s,
            time.monotonic(),
            self.address("peername")[0],
            request.id.decode(),
            (request.header(b"traceparent") or b"").decode("latin-1"),
            *(request.about or ()),
        )
        for watch in self._connections.watchers:
            watch(exchange)

    # time, flow, the end

    def pause_writing(self) -> None:
        self._write_blocked = True
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._write_blocked = False
        if not self.closed:
            self._read_on()

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
        elif self._arriving is not None:
            if now_s > self._arriving.deadline_s:
                self._refuse(Refusal(408, "the request took too long to arrive"))
        elif not self._waiting and not unwritten:
            quiet_since_s = max(self._quiet_since_s, self._taken_at_s)
            idle_s = DRAIN_IDLE_S if self._draining else limits.keep_alive_idle_s
            if now_s > quiet_since_s + idle_s:
                self._transport.close()

    def abort(self) -> None:
        """Cut the connection, whatever it is doing."""
        self._transport.abort()

    def drain(self) -> None:
        """Finish what has begun, then close.

        Who was answered just now may be about to ask again: that is answered, too, with the word
        that the connection ends. Closing at once would reset what is on its way.
        """
        self._draining = True
        if self._waiting:
            self._closing = self._closing or self._arriving is None
        elif not self._ended:
            self.tick(time.monotonic())


def _refusal(error: Exception) -> Refusal:
    """What to answer to what the parser or one of its callbacks raised."""
    if isinstance(error, httptools.HttpParserCallbackError):
        cause = error.__context__
        return cause if isinstance(cause, Refusal) else Refusal(400, "bad request")
    return error if isinstance(error, Refusal) else Refusal(400, f"not HTTP/1.1: {error}")
