"""Requests that repeat a head are taken as the parser would take them, whatever is sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eas_processor.config import Limits
from eas_processor.http import intake
from eas_processor.http.messages import Head
from eas_processor.http.repeat import learn
from tests.http.fakes import App, answers, connect, post

HEADS = [
    b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
    b"POST /p HTTP/1.0\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n",
    b"POST /p HTTP/1.1\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
    b"POST /p HTTP/1.1\r\nContent-Length: %d\r\nX-Request-Id: mine\r\n\r\n",
    b"POST /p HTTP/1.1\nContent-Length: %d\n\n",
    b"POST /p HTTP/1.1\r\nContent-Length: %d\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    b"\r\nPOST /p HTTP/1.1\r\nContent-Length: %d\r\n\r\n",
    b"\r\n\r\nPUT /p HTTP/1.1\r\nContent-Length: %d\r\n\r\n",
    b"HEAD /p HTTP/1.1\r\nContent-Length: %d\r\n\r\n",
]
BODIES = [b"", b"x", b"y", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"]
CHUNKED = b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"

a_request = st.one_of(
    st.tuples(st.sampled_from(HEADS), st.sampled_from(BODIES)).map(
        lambda pair: pair[0] % len(pair[1]) + pair[1]
    ),
    st.sampled_from([CHUNKED, b"GET / HTTP/1.1\r\n\r\n", b"\r\n", b"nonsense\r\n\r\n"]),
)
# The same ones again and again, in pieces as a socket gives them: whole, in two, two at once.
a_stream = st.lists(a_request, min_size=1, max_size=3).flatmap(
    lambda few: st.lists(
        st.tuples(st.sampled_from(few), st.integers(0, 90), st.booleans()), min_size=1, max_size=9
    )
)


def pieces(stream):
    held = b""
    for request, cut, joins_next in stream:
        whole = held + request
        held = b""
        if joins_next:
            held = whole
        elif 0 < cut < len(whole):
            yield from (whole[:cut], whole[cut:])
        else:
            yield whole
    if held:
        yield held


def taken(stream, answers_at_once):
    protocol, transport, app = connect(App(instantly=answers_at_once), Limits())
    for piece in pieces(stream):
        protocol.data_received(piece)
    for request in app.requests:
        request.respond(200, b"<" + request.body + b">")
    seen = [(r.method, r.target, r.headers, bytes(r.body), r.id != b"") for r in app.requests]
    return seen, transport.written, transport.eof, protocol._held_bytes


@given(a_stream, st.booleans())
@settings(max_examples=1500, deadline=None)
def test_all_is_as_if_every_request_had_been_parsed(stream, answers_at_once):
    found = taken(stream, answers_at_once)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "learn", lambda data, head: None)
        assert taken(stream, answers_at_once) == found


def test_a_repeated_head_is_not_parsed_again():
    protocol, transport, app = connect()
    protocol.data_received(post(b"one"))
    protocol._parser = None  # nobody may ask it
    protocol.data_received(post(b"two"))
    assert [body for _, body in answers(transport)] == [b"<one>", b"<two>"]
    assert app.requests[0].head is app.requests[1].head


@pytest.mark.parametrize("between", [post(b"longer"), post(b"one", path=b"/q"), CHUNKED])
def test_another_head_in_between_is_parsed(between):
    protocol, transport, app = connect()
    for data in (post(b"one"), between, post(b"two")):
        protocol.data_received(data)
    assert len(answers(transport)) == 3
    assert app.requests[2].target == b"/p" and app.requests[2].body == b"two"


@pytest.mark.parametrize("bad", [0, 1])
def test_an_application_that_fails_is_a_500_and_ends_the_connection(bad):
    class Failing(App):
        def handle(self, request):
            super().handle(request)
            if len(self.requests) == bad + 2:
                raise KeyError("oops")

    app = Failing(instantly=False)
    protocol, transport, _ = connect(app)
    for _ in range(bad + 2):
        protocol.data_received(post(b"x"))
    for request in app.requests[:-1]:
        request.respond(200, b"")
    assert [status for status, _ in answers(transport)] == [200] * (bad + 1) + [500]
    assert transport.eof


def test_a_repetition_may_not_hold_more_than_the_host_allows():
    protocol, transport, _ = connect(App(instantly=False), Limits(held_bytes_max=150))
    for _ in range(3):
        protocol.data_received(post(b"x" * 60))
    app_requests = protocol._app.requests
    assert len(app_requests) == 2
    for request in app_requests:
        request.respond(200, b"")
    assert [status for status, _ in answers(transport)] == [200, 200, 503]


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\nContent-Length: 4\n\n\r\n\r\n\r\n\r\n",  # lines without CR, CRLFs behind
        b"POST / HTTP/1.1\r\nA: b\r\n c\r\nContent-Length: 4\r\n\r\nbody",  # a folded line
        b"\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
        b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
    ],
)
def test_what_might_be_read_in_two_ways_is_not_learnt(data):
    head = Head()
    head.headers = [(b"Content-Length", b"4")] * (2 if b"A:" in data else 1)
    head.body_bytes = 4
    assert learn(data, head) is None
