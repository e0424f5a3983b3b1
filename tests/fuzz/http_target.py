"""One HTTP connection, fed with anything, cut anywhere, by clients of every temper.

The first byte of an input says how client and application behave, the second how the stream is
cut; the rest is the stream. Whatever it is: each request that was read whole is answered, in order,
in answers that another parser understands; at most one refusal ends them; and when nothing more
comes, time ends the connection. Nothing of it stays in memory's books.
"""

import io
import time
from collections.abc import Callable
from http.client import HTTPResponse

from eas_processor.api import auth
from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from eas_processor.http.messages import Request
from eas_processor.http.protocol import HttpProtocol
from eas_processor.http.router import Resolver, Route, Router
from eas_processor.http.router import Target as Url
from tests.fuzz.target import Target
from tests.http.fakes import Transport

TIGHT = Limits(header_bytes_max=300, url_bytes_max=80, body_bytes_max=2000, header_lines_max=8,
               pipelined_requests_max=3, held_bytes_max=4000)  # fmt: skip
WIDE = Limits()
REFUSALS = {400, 405, 408, 413, 414, 431, 503}
LATER, IS_TIGHT, HALF_CLOSES, LEAVES, TAKES_SLOWLY, DRAINS = (1 << bit for bit in range(6))
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
TOKEN = b"secret"
TICKS_MAX = 20
CUT_BYTES = 7  # pieces are so many times the second byte of the input


class Echo:
    """Answers each request with itself, at once or when told to, the last one first.

    A target with `denied` in it is answered 401 as soon as its head has come. `due` holds what the
    client must be told to each request that was answered or will be.
    """

    def __init__(self, instantly: bool) -> None:
        self._instantly = instantly
        self._unanswered: list[Request] = []
        self.due: dict[Request, tuple[int, bytes]] = {}

    def resolve(self, url: Url) -> Route:
        return Route(self._handle, 5.0, _deny(self.due) if "denied" in url.path else None)

    def _handle(self, request: Request) -> None:
        assert auth.allows(TOKEN, request) in (True, False)
        assert request not in self.due, "handled twice, or after it was denied"
        self.due[request] = 200, echoed(request)
        self._unanswered.append(request)
        if self._instantly:
            self.answer_all()

    def answer_all(self) -> None:
        while self._unanswered:
            request = self._unanswered.pop()
            request.respond(200, echoed(request))


def _deny(due: dict[Request, tuple[int, bytes]]) -> Callable[[Request], None]:
    def deny(request: Request) -> None:
        due[request] = 401, b"denied\n"
        request.respond(401, b"denied\n")

    return deny


def echoed(request: Request) -> bytes:
    return b"%b %b %b" % (request.method, request.target, request.body)


class Begun(Router):
    """A router that remembers whose heads have come, and leaves packed bodies packed."""

    def __init__(self, resolve: Resolver, limits: Limits) -> None:
        super().__init__([resolve], _not_found, limits)
        self.begun: list[Request] = []

    def begin(self, request: Request) -> None:
        self.begun.append(request)
        super().begin(request)

    def handle(self, request: Request) -> None:
        request.route.handle(request)


class Conversation:
    """A client, the protocol under test, and the echo behind it."""

    def __init__(self, temper: int) -> None:
        self.temper = temper
        self.limits = TIGHT if temper & IS_TIGHT else WIDE
        self.echo = Echo(instantly=not temper & LATER)
        self.connections = Connections()
        self.transport = Transport()
        self.router = Begun(self.echo.resolve, self.limits)
        self.protocol = HttpProtocol(self.router, self.limits, self.connections)
        self.protocol.connection_made(self.transport)

    def send(self, stream: bytes, cut: int) -> None:
        size = cut or len(stream) or 1
        for turn, start in enumerate(range(0, len(stream), size)):
            if self.transport.closed:
                return
            if self.temper & TAKES_SLOWLY and turn % 3 == 1:
                self.protocol.pause_writing()
                self.protocol.resume_writing()
            if not self.transport.reading:
                self.echo.answer_all()
            if not self.transport.closed:
                assert self.transport.reading, "nothing is unanswered and nothing is read"
                self.protocol.data_received(stream[start : start + size])
            if self.temper & DRAINS and turn == 2:
                self.protocol.drain()

    def end(self) -> None:
        """The client is done; what was begun ends, by answers, then by time."""
        half_closes = self.temper & HALF_CLOSES and not self.transport.closed
        if half_closes and not self.protocol.eof_received():
            self.transport.close()
        if self.temper & LEAVES:
            self.transport.close()
            self.protocol.connection_lost(None)
            self.echo.answer_all()
            return
        self.echo.answer_all()
        now_s = time.monotonic()
        for _ in range(TICKS_MAX):
            if self.transport.closed:
                break
            now_s += self.limits.keep_alive_idle_s + 1
            self.protocol.tick(now_s)
        assert self.transport.closed, "the connection hangs"
        self.protocol.connection_lost(None)


class Stream(io.BytesIO):
    """What was written, for http.client: it is the "socket" and its file in one."""

    def makefile(self, mode: str) -> "Stream":
        return self

    def close(self) -> None:
        """One file for all answers: no answer's end closes it."""


def answers(written: bytes, methods: list[bytes]) -> list[tuple[int, bytes]]:
    """(status, body) of each answer, read by http.client; nothing may be left over."""
    stream, found = Stream(written), []
    while stream.tell() < len(written):
        method = methods[len(found)].decode("latin-1") if len(found) < len(methods) else "GET"
        answer = HTTPResponse(stream, method=method)  # type: ignore[arg-type]
        answer.begin()
        found.append((answer.status, answer.read()))
        assert answer.headers["Content-Length"] is not None
        if answer.headers["Connection"] == "close":
            assert stream.tell() == len(written), "something follows the answer that closes"
    return found


def check(data: bytes) -> None:
    """One connection's life."""
    if len(data) < 2:
        return
    talk = Conversation(data[0])
    talk.send(data[2:], data[1] * CUT_BYTES)
    talk.end()
    due = [(r, *talk.echo.due[r]) for r in talk.router.begun if r in talk.echo.due]
    written = talk.transport.written.removesuffix(INTERIM)  # when nothing came of it
    got = answers(written, [request.method for request in talk.router.begun])
    for (request, status, body), answer in zip(due, got, strict=False):
        assert answer == (status, b"" if request.method == b"HEAD" else body)
    for status, _ in got[len(due) :]:
        assert status in REFUSALS
    assert len(got) <= len(due) + 1
    cut_short = due and due[-1][1] == 401  # the client need not be told what it did not finish
    wanted = 0 if talk.temper & LEAVES else len(due) - bool(cut_short)
    assert len(got) >= wanted, "a request without an answer"
    assert not talk.connections.open and not talk.connections.held_bytes


def _not_found(request: Request) -> None:
    request.respond(404, b"nothing here\n")


POST = b"POST /api/predict/echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: identity\r\n"
SDK = b"Content-Length: 9\r\nUser-Agent: python-urllib3/2.8.0\r\n\r\n\x0a\x07predict"
SIGNED = (
    b"Content-MD5: 496555f670ef7875d43e510ba50599f5\r\nDate: Sat, 21 Nov 2026 05:48:42 GMT\r\n"
    b"Content-Type: application/octet-stream\r\nAuthorization: EAS /QSa1m2xGJs/6Le4+uzZ1Bp=\r\n"
)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
DENIED = POST.replace(b"echo", b"denied")
STREAMS = (
    POST + SDK,
    POST + SIGNED + SDK,
    (POST + SDK) * 4,
    POST + CHUNKED + POST + SDK,
    POST.replace(b"echo", b"denied")
    + SDK
    + POST.replace(b"echo", b"denied")
    + CHUNKED
    + POST
    + SDK,
    (POST + b"Content-Length: 900\r\n\r\n" + b"b" * 900) * 3,
    POST + b"Expect: 100-continue\r\n" + SDK,
    POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n" + SDK,
    POST + b"Connection: close\r\n" + SDK,
    b"GET /api/predict/echo?signature=a%20b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2,
    b"HEAD http://h/x HTTP/1.1\r\n\r\nOPTIONS * HTTP/1.1\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    POST + b"A: b\r\n" * 40 + b"B: " + b"b" * 500 + b"\r\n" + SDK,
)
TEMPERS = (
    *(0, LATER, IS_TIGHT, IS_TIGHT | LATER),
    *(HALF_CLOSES, LEAVES | LATER, TAKES_SLOWLY, DRAINS | LATER),
)
WORDS = (
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\t", b": ", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9", b"%00", b"%"),
    *(b"Content-Length: 0\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Upgrade: h2c\r\n", b"ffffffffff"),
    *(b"Expect: 100-continue\r\n", b"HEAD", b"denied", b"GET / HTTP/1.1\r\n\r\n"),
    *(b"A: " + b"a" * 300, b"\r\n" * 9),
)  # fmt: skip
TARGET = Target(
    "http",
    check,
    [
        bytes([temper, cut]) + stream
        for stream in STREAMS
        for temper in TEMPERS
        for cut in (0, 1, 60)
    ],
    WORDS,
)
