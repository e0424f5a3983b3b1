"""One request and its answer, as the rest of the program sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from eas_processor.http.protocol import HttpProtocol

BINARY = b"application/octet-stream"
JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

HEAD_END = b"\r\n\r\n"
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


class Request:
    """A request, complete or still arriving.

    method: b"POST". target: path and query as sent. headers: (name, value) as sent, in order.
    started_s: when its first byte came, on time.monotonic(). deadline_s: when it must be over.
    route: what the application found for the target. on_gone: called if the client leaves first.
    """

    __slots__ = (
        "_protocol",
        "body",
        "deadline_s",
        "head_end",
        "headers",
        "keep_alive",
        "method",
        "on_gone",
        "rendered",
        "route",
        "started_s",
        "target",
    )

    def __init__(self, protocol: HttpProtocol, started_s: float) -> None:
        self._protocol = protocol
        self.started_s = started_s
        self.deadline_s = 0.0
        self.method = b""
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.keep_alive = True
        self.head_end = HEAD_END
        self.rendered: tuple[bytes, bytes] | None = None
        self.route: Any = None
        self.on_gone: Callable[[], None] | None = None

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        for key, value in self.headers:
            if len(key) == len(name) and key.lower() == name:
                return value
        return None

    def respond(
        self,
        status: int,
        body: bytes,
        content_type: bytes = TEXT,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        close: bool = False,
    ) -> None:
        """Answer, once. The client may have left: then nothing happens."""
        self.on_gone = None
        self._protocol.respond(self, render(status, len(body), content_type, headers), body, close)


class Application(Protocol):
    """What the protocol hands requests to."""

    def begin(self, request: Request) -> None:
        """The head has come: set `route` and `deadline_s`."""

    def handle(self, request: Request) -> None:
        """The whole request has come: see that `request.respond` is called, now or later."""


class Refusal(Exception):
    """The request cannot be taken further: a status, some words, and the connection ends."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


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


_heads: dict[tuple[int, bytes], bytes] = {}


def render(
    status: int, length: int, content_type: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> bytes:
    """The head of an answer up to, and without, its last two line ends."""
    head = _heads.get((status, content_type))
    if head is None:
        reason = REASONS.get(status, b"Unknown")
        head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: " % (
            status,
            reason,
            content_type,
        )
        _heads[status, content_type] = head  # bounded: statuses × three content types
    head = b"%b%d" % (head, length)
    for name, value in headers:
        head = b"%b\r\n%b: %b" % (head, name, value)
    return head
