"""What is told of a request once it is over, and the id by which it is found again."""

import re

import pytest

from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from tests.http.fakes import App, answers, connect, post

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def watched(app=None, limits=None):
    told = []
    protocol, transport, app = connect(app, limits or Limits(), Connections((told.append,)))
    return protocol, transport, app, told


def ids(transport):
    return re.findall(rb"\r\nX-Request-Id: ([^\r]*)\r\n", transport.written)


def test_a_request_is_told_of_when_it_is_answered():
    protocol, _, app, told = watched(App(instantly=False))
    protocol.data_received(post(b"four", path=b"/p?secret=1"))
    assert told == []
    app.requests[0].about = ("svc", "3", "eas", 0.5, 70)
    app.requests[0].respond(200, b"fine")
    (exchange,) = told
    assert exchange.method == "POST" and exchange.path == "/p?secret=1"
    assert (exchange.status, exchange.bytes_in, exchange.bytes_out) == (200, 4, 4)
    assert exchange.client == "10.0.0.9"
    assert exchange.started_s <= exchange.ended_s
    assert exchange[10:] == ("svc", "3", "eas", 0.5, 70)


def test_each_of_a_pipeline_is_told_of_in_its_turn_the_refused_one_too():
    protocol, _, app, told = watched(App(instantly=False))
    protocol.data_received(post(path=b"/1") + post(path=b"/2") + b"NONSENSE\r\n\r\n")
    app.requests[1].respond(200, b"")
    app.requests[0].respond(200, b"")
    assert [(one.path, one.status) for one in told] == [("/1", 200), ("/2", 200), ("", 400)]


def test_a_client_that_left_is_told_of_as_499():
    protocol, transport, _, told = watched(App(instantly=False))
    protocol.data_received(post())
    transport.close()
    protocol.connection_lost(None)
    assert [one.status for one in told] == [499]


def test_a_client_that_left_in_the_middle_is_told_of_as_499():
    protocol, _, _, told = watched()
    protocol.data_received(post(b"long body")[:-3])
    protocol.eof_received()
    assert [(one.path, one.status) for one in told] == [("/p", 499)]


@pytest.mark.parametrize("given", [b"a", b"4f9c-11:x/y+z=@._", b"i" * 128])
def test_the_clients_id_comes_back_and_is_told(given):
    protocol, transport, _, told = watched()
    protocol.data_received(post(head=b"X-Request-ID: " + given + b"\r\n"))
    assert ids(transport) == [given] and told[0].request_id == given.decode()


@pytest.mark.parametrize("given", [b"i" * 129, b"a b", b'"', b"\xe9", b"<b>"])
def test_an_id_that_is_odd_is_replaced(given):
    protocol, transport, _ = connect(limits=Limits())
    protocol.data_received(post(head=b"X-Request-ID: " + given + b"\r\n"))
    (made,) = ids(transport)
    assert re.fullmatch(rb"[0-9a-f]{16}", made)


def test_a_trace_is_the_id_where_the_client_names_no_other():
    protocol, transport, _, told = watched()
    protocol.data_received(post(head=b"traceparent: " + TRACE + b"\r\n"))
    protocol.data_received(post(head=b"traceparent: " + TRACE + b"\r\nx-request-id: me\r\n"))
    assert ids(transport) == [TRACE[3:35], b"me"]
    assert [one.traceparent.encode() for one in told] == [TRACE, TRACE]


def test_without_a_watcher_no_id_is_made():
    protocol, transport, _ = connect()
    protocol.data_received(post() + post(head=b"traceparent: nonsense\r\n"))
    assert ids(transport) == []


def test_with_a_watcher_each_request_gets_an_id_of_its_own():
    protocol, transport, _, told = watched()
    protocol.data_received(post() + post())
    assert len(set(ids(transport))) == 2
    assert [one.request_id.encode() for one in told] == ids(transport)


@pytest.mark.parametrize("last", [b"Connection: close\r\n", b""])
def test_an_id_comes_back_beside_what_is_said_of_the_connection(last):
    protocol, transport, _ = connect()
    protocol.data_received(
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nX-Request-Id: a\r\n\r\n"
        b"GET / HTTP/1.1\r\nX-Request-Id: b\r\n" + last + b"\r\n"
    )
    assert ids(transport) == [b"a", b"b"]
    assert [status for status, _ in answers(transport)] == [200, 200]
    assert transport.written.count(b"Connection: keep-alive") == 1
    assert transport.written.count(b"Connection: close") == bool(last)
