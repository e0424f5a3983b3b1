"""Answers that are given when the head has come: the body is let past and never kept."""

import time

from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from tests.http.fakes import SMALL, App, answers, connect, post


class Guard(App):
    """Lets in only requests to /p; the others are answered by their head."""

    def begin(self, request):
        super().begin(request)
        if request.target != b"/p":
            request.respond(401, b"no")


def test_a_request_refused_by_its_head_is_never_handled_and_its_body_never_kept():
    connections = Connections()
    protocol, transport, app = connect(Guard(), Limits(held_bytes_max=10), connections)
    head, _, _ = post(b"y" * 1000, path=b"/x").partition(b"\r\n\r\n")
    protocol.data_received(head + b"\r\n\r\n")
    for _ in range(10):
        protocol.data_received(b"y" * 100)
        assert connections.held_bytes == 0
    assert answers(transport) == [(401, b"no")]
    protocol.data_received(post(b"next"))
    assert answers(transport) == [(401, b"no"), (200, b"<next>")]
    assert [request.target for request in app.requests] == [b"/p"]
    assert not transport.eof


def test_its_answer_waits_for_the_end_of_its_body_and_for_those_before():
    protocol, transport, app = connect(Guard(instantly=False))
    protocol.data_received(post(b"one") + post(b"two", path=b"/x")[:-1])
    app.requests[0].respond(200, b"first")
    assert answers(transport) == [(200, b"first")]
    protocol.data_received(b"o" + post(b"three", path=b"/x"))
    assert answers(transport) == [(200, b"first"), (401, b"no"), (401, b"no")]


def test_a_client_that_waits_to_be_told_to_go_on_is_refused_instead_and_closed():
    protocol, transport, app = connect(Guard())
    head = post(b"body", b"Expect: 100-continue\r\n", b"/x")[:-4]
    protocol.data_received(head)
    assert answers(transport) == [(401, b"no")]
    assert b"Connection: close" in transport.written and transport.eof
    protocol.data_received(b"body" + post())
    assert len(answers(transport)) == 1 and not app.requests


def test_a_client_that_waits_and_yet_sends_its_body_is_refused_once():
    protocol, transport, app = connect(Guard())
    protocol.data_received(post(b"body", b"Expect: 100-continue\r\n", b"/x") + post())
    assert answers(transport) == [(401, b"no")] and transport.eof and not app.requests


def test_a_waiting_client_behind_others_is_refused_after_them():
    protocol, transport, app = connect(Guard(instantly=False))
    protocol.data_received(post() + post(b"body", b"Expect: 100-continue\r\n", b"/x")[:-4])
    assert transport.written == b""
    app.requests[0].respond(200, b"first")
    assert answers(transport) == [(200, b"first"), (401, b"no")] and transport.eof


def test_the_wish_to_close_is_honoured_after_the_whole_body_has_been_let_past():
    protocol, transport, _ = connect(Guard())
    sent = post(b"body", b"Connection: close\r\n", b"/x")
    protocol.data_received(sent[:-1])
    assert transport.written == b""
    protocol.data_received(sent[-1:])
    assert answers(transport) == [(401, b"no")] and transport.eof


def test_a_refused_sender_that_is_slow_gets_its_answer_when_the_time_is_up():
    protocol, transport, _ = connect(Guard())
    protocol.data_received(post(b"body", path=b"/x")[:-1])
    protocol.tick(time.monotonic() + 6)
    assert answers(transport) == [(401, b"no")] and transport.eof


def test_a_refused_body_is_bounded_all_the_same():
    protocol, transport, _ = connect(Guard())
    protocol.data_received(b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(3):
        protocol.data_received(b"28\r\n" + b"x" * 40 + b"\r\n")
    assert answers(transport) == [(401, b"no")] and transport.eof


def test_draining_lets_a_refused_request_end():
    protocol, transport, _ = connect(Guard())
    protocol.data_received(post(b"body", path=b"/x")[:-1])
    protocol.drain()
    protocol.data_received(b"y")
    assert answers(transport) == [(401, b"no")] and transport.eof


# what the parser keeps to itself


def test_a_trailer_without_end_is_refused():
    protocol, transport, _ = connect()
    protocol.data_received(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ")
    for _ in range(SMALL.header_bytes_max // 50 + 1):
        protocol.data_received(b"t" * 50)
    assert [status for status, _ in answers(transport)] == [431] and transport.eof


def test_trailers_without_end_are_refused():
    protocol, transport, _ = connect()
    protocol.data_received(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    for _ in range(SMALL.header_bytes_max // 10 + 1):
        protocol.data_received(b"T: aaaaa\r\n")
    assert [status for status, _ in answers(transport)] == [431] and transport.eof


def test_a_chunk_extension_without_end_is_refused():
    protocol, transport, _ = connect()
    protocol.data_received(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;e=")
    for _ in range(SMALL.header_bytes_max // 50 + 1):
        protocol.data_received(b"e" * 50)
    assert [status for status, _ in answers(transport)] == [431] and transport.eof


def test_a_body_may_come_in_many_small_chunks():
    protocol, transport, _ = connect()
    protocol.data_received(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(90):
        for piece in (b"00001\r", b"\n", b"x\r", b"\n"):
            protocol.data_received(piece)
    protocol.data_received(b"0\r\n\r\n")
    assert answers(transport) == [(200, b"<" + b"x" * 90 + b">")]


def test_slow_heads_one_after_the_other_do_not_add_up():
    protocol, transport, _ = connect()
    for _ in range(5):
        for piece in (b"GET /p HTTP/1.1\r\nA: ", b"a" * 120, b"\r\n\r", b"\n"):
            protocol.data_received(piece)
    assert answers(transport) == [(200, b"<>")] * 5


def test_a_head_within_bounds_may_come_byte_by_byte():
    protocol, transport, _ = connect()
    sent = post(b"body", head=b"A: " + b"a" * 120 + b"\r\n")
    for place in range(len(sent)):
        protocol.data_received(sent[place : place + 1])
    assert answers(transport) == [(200, b"<body>")]
