"""One request and its answer, as the rest of the program sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from eas_processor.http import compression

if TYPE_CHECKING:
    from eas_processor.http.protocol import HttpProtocol

BINARY = b"application/octet-stream"
JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

TEXTUAL = (b"text/", b"application/json", b"application/openmetrics-text")  # packs well, always

Headers = tuple[tuple[bytes, bytes], ...]

VARY = ((b"Vary", b"Accept-Encoding"),)
PACKED = ((b"Content-Encoding", b"gzip"), (b"Vary", b"Accept-Encoding"))

HEAD_END = b"\r\n\r\n"
HEAD_END_CLOSE = b"\r\nConnection: close\r\n\r\n"
HEAD_END_KEEP = b"\r\nConnection: keep-alive\r\n\r\n"
OFFER_HEADERS = (b"upgrade", b"http2-settings")

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    450: b"Queue Full",
    499: b"Client Closed Request",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}


class Sink(Protocol):
    """Where a large body goes as it arrives, for those who want it elsewhere than in `bytes`."""

    def __len__(self) -> int:
        """How many bytes it will hold."""

    def write(self, data: bytes) -> None:
        """The next bytes."""

    def room(self) -> memoryview:
        """Where the bytes belong that are still to come; not to be kept."""

    def wrote(self, count: int) -> None:
        """So many bytes have been put there."""


class Waiter(Protocol):
    """Who answers a request, and is told when its client no longer waits."""

    def abandon(self) -> None:
        """The client left: nobody will read an answer."""

    def give_way(self) -> None:
        """The client shut its sending side; it may still read an answer."""


class Head:
    """What came before a request's body, read once: requests that repeat it share it.

    method: b"POST". target: path and query as sent. headers: (name, value) as sent, in order.
    id: what the client calls the request. encoding: its Content-Encoding. accepts_gzip: whether its
    client takes packed answers. body_bytes: its Content-Length, 0 if there is none.
    wants_continue: whether its body is sent only after a 100 Continue. end: how the head of an
    answer ends that lets the connection live. memo: what a dialect has read out of it, for itself.
    """

    __slots__ = (
        "accepts_gzip",
        "body_bytes",
        "encoding",
        "end",
        "headers",
        "id",
        "keep_alive",
        "memo",
        "method",
        "target",
        "wants_continue",
    )

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.id = b""
        self.encoding = b""
        self.accepts_gzip = False
        self.body_bytes = 0
        self.wants_continue = False
        self.keep_alive = True
        self.end = HEAD_END
        self.memo: Any = None


class Request:
    """A request, complete or still arriving.

    started_s: when its first byte came, on time.monotonic(). deadline_s: when it must be over.
    id: the client's, or one made for the log; b"" if nobody wants one. body: bytes, or the Sink of
    its route. route: what the application found for the target. waiter: who is to answer it, and
    is told if the client leaves first. about: None if nobody watches; else what the dialect tells
    the watchers: service, version, dialect, queue_s, run_us.
    """

    # What most requests leave as it is. No slots: so these cost a request nothing.
    deadline_s = 0.0
    id = b""
    body: Any = b""
    keep_alive = True
    head_end = HEAD_END
    rendered: tuple[bytes, bytes] | None = None
    route: Any = None
    waiter: Waiter | None = None
    about: tuple[str, str, str, float, int] | tuple[()] | None = None

    def __init__(self, protocol: HttpProtocol, head: Head, started_s: float) -> None:
        self._protocol = protocol
        self.head = head
        self.started_s = started_s

    @property
    def method(self) -> bytes:
        """See Head."""
        return self.head.method

    @property
    def target(self) -> bytes:
        """See Head."""
        return self.head.target

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """See Head."""
        return self.head.headers

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        for key, value in self.head.headers:
            if len(key) == len(name) and key.lower() == name:
                return value
        return None

    @property
    def gone(self) -> bool:
        """Whether nobody is there to be answered."""
        return self._protocol.closed

    @property
    def local_address(self) -> tuple[str, int]:
        """The address and port that the client's connection reached."""
        return self._protocol.address("sockname")

    def replace_body(self, body: bytes) -> None:
        """Put the unpacked body in the place of the one that came.

        The client must not have gone. Raises Refusal if all bodies together are too much.
        """
        more_bytes = len(body) - len(self.body)
        self.body = body
        self._protocol.hold_more(more_bytes)

    def respond(
        self,
        status: int,
        body: bytes,
        content_type: bytes = TEXT,
        headers: Headers = (),
        close: bool = False,
    ) -> None:
        """Answer, once. The client may have left: then nothing happens."""
        self.waiter = None
        protocol = self._protocol
        if len(body) >= protocol.gzip_bytes_min and (
            self.head.accepts_gzip or content_type is not BINARY
        ):
            textual = content_type.startswith(TEXTUAL)
            if self._is_worth_packing(body, textual):
                compression.pack_soon(
                    body,
                    lambda packed: protocol.respond(
                        self,
                        render(status, len(packed), content_type, headers + PACKED),
                        packed,
                        close,
                    ),
                )
                return
            if textual:
                headers += VARY
        protocol.respond(self, render(status, len(body), content_type, headers), body, close)

    def _is_worth_packing(self, body: bytes, textual: bool) -> bool:
        if not self.head.accepts_gzip or self.head.method == b"HEAD":
            return False
        return textual or (self.route is not None and self.route.judge.pays(body))


class Application(Protocol):
    """What the protocol hands requests to."""

    def begin(self, request: Request) -> None:
        """The head has come: set `route` and `deadline_s`.

        A request that is answered here is over: its body is not kept and `handle` not called.
        """

    def handle(self, request: Request) -> None:
        """The whole request has come: see that `request.respond` is called, now or later."""


class Refusal(Exception):
    """The request cannot be taken further: a status, some words, and the connection ends."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def id_line(request_id: bytes) -> bytes:
    """The header line that gives a request its id back; nothing where there is none."""
    return b"\r\nX-Request-Id: " + request_id if request_id else b""


def without_offer(request: Request, version: bytes) -> bytes:
    """A request's head, written anew without its offer to upgrade."""
    lines = [b"%b %b HTTP/%b" % (request.method, request.target, version)]
    for name, value in request.headers:
        if name.lower() == b"connection":
            options = (option.strip() for option in value.split(b","))
            value = b", ".join(o for o in options if o.lower() not in OFFER_HEADERS)
        if name.lower() not in OFFER_HEADERS and (value or name.lower() != b"connection"):
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + HEAD_END


HEADS_KEPT_MAX = 4096
_heads: dict[tuple[int, bytes, int], bytes] = {}


def render(status: int, length: int, content_type: bytes, headers: Headers) -> bytes:
    """The head of an answer up to, and without, its last two line ends."""
    head = _heads.get((status, content_type, length))
    if head is None:
        head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d" % (
            status,
            REASONS.get(status, b"Unknown"),
            content_type,
            length,
        )
        if len(_heads) >= HEADS_KEPT_MAX:
            _heads.clear()
        _heads[status, content_type, length] = head
    for name, value in headers:
        head = b"%b\r\n%b: %b" % (head, name, value)
    return head
