"""A loopback HTTP server that records what clients send and answers what the test tells it to.

An answer with the status SILENT never comes: the connection stays open until the block ends.
"""

import contextlib
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SILENT = 0


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Recording:
    """What a server has seen, and what it answers: the last answer is repeated."""

    answers: list[tuple[int, bytes]]
    seen: list[Seen] = field(default_factory=list)
    endpoint: str = ""

    def next_answer(self) -> tuple[int, bytes]:
        """The answer to the request that was recorded last."""
        return self.answers[min(len(self.seen), len(self.answers)) - 1]


@contextlib.contextmanager
def recording(*answers: tuple[int, bytes]) -> Iterator[Recording]:
    """Serve `answers` (status, body) in order until the block ends."""
    told = Recording(list(answers))
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30  # seconds a connection may be silent

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.seen.append(Seen("POST", self.path, dict(self.headers.items()), body))
            status, answer = told.next_answer()
            if status == SILENT:
                over.wait(self.timeout)
                self.close_connection = True
                return
            self.send_response(status)
            if status in (301, 307):
                self.send_header("Location", self.path + "/")
            if status != 204:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def predict_response(name: str, dtype: int, shape: list[int], values: tuple[int, bytes]) -> bytes:
    """A PredictResponse with one output, by hand; `values` is a field number and its bytes."""
    dims = b"".join(bytes([dim]) for dim in shape)  # dims under 128 are one byte each
    array = b"\x08" + bytes([dtype]) + _piece(2, _piece(1, dims)) + _piece(*values)
    return _piece(1, _piece(1, name.encode()) + _piece(2, array))


def floats(*values: float) -> tuple[int, bytes]:
    """`float_val` for predict_response."""
    return 3, struct.pack(f"<{len(values)}f", *values)


def _piece(number: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload
