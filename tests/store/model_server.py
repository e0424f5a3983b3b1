"""A real HTTP server on loopback that can be told to misbehave, one path at a time."""

import http.server
import threading
from collections.abc import Callable
from email.message import Message

Reply = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Looks the path up in the server's table."""

    protocol_version = "HTTP/1.1"
    server: "ModelServer"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.requests.append((path, self.headers))
        reply = self.server.replies.get(path)
        if reply is None:
            self.answer(404, b"not here")
        else:
            reply(self)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """One whole answer."""
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class ModelServer(http.server.ThreadingHTTPServer):
    """Serves what `replies` says, remembers what was asked."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.replies: dict[str, Reply] = {}
        self.requests: list[tuple[str, Message]] = []
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.server_close()
        self._thread.join(10)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests."""

    def publish(self, path: str, body: bytes, etag: str = "", changed: str = "") -> None:
        """A file as a good server has it: conditional requests and ranges."""
        validators = {"ETag": etag, "Last_Modified": changed}
        headers = {name: text for name, text in validators.items() if text}

        def reply(handler: Handler) -> None:
            asked = handler.headers
            same = (etag and asked.get("If-None-Match") == etag) or (
                changed and asked.get("If-Modified-Since") == changed
            )
            if same:
                handler.answer(304, b"", **headers)
                return
            first = asked.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
            start = int(first) if asked.get("If-Range") in (etag, changed) else 0
            if start:
                part = f"bytes {start}-{len(body) - 1}/{len(body)}"
                handler.answer(206, body[start:], Content_Range=part, **headers)
            else:
                handler.answer(200, body, Accept_Ranges="bytes", **headers)

        self.replies[path] = reply

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        with self.lock:
            return sum(one == path for one, _ in self.requests)
