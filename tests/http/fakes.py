"""A transport without a socket, an application that answers when told, and what to send them."""

import re

from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from eas_processor.http.messages import Request
from eas_processor.http.protocol import HttpProtocol


class Transport:
    """Remembers what was written and done to it."""

    def __init__(self):
        self.written = b""
        self.closed = self.aborted = self.eof = False
        self.reading = True
        self.unwritten = 0

    def get_write_buffer_size(self):
        return self.unwritten

    def write(self, data):
        assert not self.closed, "written after close"
        assert not self.eof, "written after end of file"
        self.written += data

    def write_eof(self):
        self.eof = True

    def can_write_eof(self):
        return True

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True

    def pause_reading(self):
        assert self.reading
        self.reading = False

    def resume_reading(self):
        assert not self.reading
        self.reading = True

    def set_write_buffer_limits(self, high):
        pass

    def get_extra_info(self, name):
        addresses = {"peername": ("10.0.0.9", 40001), "sockname": ("10.0.0.1", 8080)}
        return {**addresses, "sslcontext": "some, so nobody reads from a socket"}[name]


class Waiter:
    """Does what it is told to when the client has left, or has shut its side."""

    def __init__(self, abandon=lambda: None, give_way=lambda: None):
        self.abandon = abandon
        self.give_way = give_way


class App:
    """Keeps requests; answers each with its body at once if `instantly`."""

    def __init__(self, instantly=True, timeout_s=5.0):
        self.instantly = instantly
        self.timeout_s = timeout_s
        self.requests: list[Request] = []
        self.gone: list[Request] = []

    def begin(self, request):
        request.deadline_s = request.started_s + self.timeout_s

    def handle(self, request):
        self.requests.append(request)
        request.waiter = Waiter(lambda: self.gone.append(request))
        if self.instantly:
            request.respond(200, b"<" + request.body + b">")


SMALL = Limits(header_bytes_max=200, url_bytes_max=60, body_bytes_max=100, header_lines_max=5,
               pipelined_requests_max=4)  # fmt: skip


def connect(app=None, limits=SMALL, connections=None):
    app = app or App()
    transport = Transport()
    protocol = HttpProtocol(app, limits, connections or Connections())
    protocol.connection_made(transport)
    return protocol, transport, app


def post(body=b"x", head=b"", path=b"/p"):
    return b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b\r\n%b" % (
        path, len(body), head, body,
    )  # fmt: skip


def answers(transport):
    """(status, body) of each answer written."""
    found, data = [], transport.written
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        if status == 100:
            found.append((100, b""))
            data = rest
            continue
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
        found.append((status, rest[:length]))
        data = rest[length:]
    return found
