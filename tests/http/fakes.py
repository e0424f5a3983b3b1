"""A transport without a socket and an application that answers when told to."""

from eas_processor.http.messages import Request


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
        request.on_gone = lambda: self.gone.append(request)
        if self.instantly:
            request.respond(200, b"<" + request.body + b">")
