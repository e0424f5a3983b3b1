"""Who leaves, who is slow, what is held, how a connection ends: no sockets, no waiting."""

import time

from eas_processor.config import Limits
from eas_processor.http.connections import Connections
from eas_processor.http.protocol import DRAIN_IDLE_S, LINGER_S
from tests.http.fakes import SMALL, App, Waiter, answers, connect, post


def test_a_client_that_leaves_is_told_of_and_its_answer_harms_nobody():
    protocol, transport, app = connect(App(instantly=False))
    protocol.data_received(post())
    transport.close()
    protocol.connection_lost(None)
    assert app.gone == app.requests
    app.requests[0].respond(200, b"too late")


def test_a_client_that_shuts_its_sending_side_still_gets_its_answer():
    protocol, transport, app = connect(App(instantly=False))
    protocol.data_received(post())
    assert protocol.eof_received()
    app.requests[0].respond(200, b"here")
    assert answers(transport) == [(200, b"here")] and transport.eof


def test_a_client_that_leaves_inside_a_request_is_closed():
    protocol, _, app = connect()
    protocol.data_received(post(b"long body")[:-3])
    assert not protocol.eof_received()
    assert not app.requests


def test_a_client_that_leaves_inside_a_request_gets_the_answers_to_those_before():
    protocol, transport, app = connect(App(instantly=False))
    protocol.data_received(post() + post(b"long body")[:-3])
    assert protocol.eof_received()
    app.requests[0].respond(200, b"here")
    assert answers(transport) == [(200, b"here")] and transport.eof


def test_a_slow_sender_is_answered_408():
    protocol, transport, _ = connect()
    protocol.data_received(post(b"long body")[:-3])
    protocol.tick(time.monotonic() + 4)
    assert transport.written == b""
    protocol.tick(time.monotonic() + 6)
    assert [status for status, _ in answers(transport)] == [408]
    assert transport.eof


def test_a_slow_header_is_answered_408():
    protocol, transport, _ = connect()
    protocol.data_received(b"POST /p HTTP/1.1\r\nHo")
    protocol.tick(time.monotonic() + SMALL.header_timeout_s + 1)
    assert [status for status, _ in answers(transport)] == [408]


def test_a_quiet_connection_is_closed_but_not_one_that_waits_for_its_answer():
    protocol, transport, _ = connect()
    protocol.tick(time.monotonic() + SMALL.keep_alive_idle_s - 1)
    assert not transport.closed
    protocol.tick(time.monotonic() + SMALL.keep_alive_idle_s + 1)
    assert transport.closed
    protocol, transport, _ = connect(App(instantly=False))
    protocol.data_received(post())
    protocol.tick(time.monotonic() + SMALL.keep_alive_idle_s + 1)
    assert not transport.closed


def test_a_slow_reader_is_read_no_more_and_cut_in_the_end():
    protocol, transport, _ = connect()
    protocol.pause_writing()
    assert not transport.reading
    protocol.resume_writing()
    assert transport.reading
    transport.unwritten = 9
    protocol.tick(time.monotonic())
    protocol.tick(time.monotonic() + SMALL.write_idle_timeout_s + 1)
    assert transport.aborted


def test_a_slow_reader_keeps_its_last_answer_for_as_long_as_it_takes_some():
    protocol, transport, _ = connect()
    protocol.data_received(post(head=b"Connection: close\r\n"))
    now = time.monotonic()
    for transport.unwritten in range(9, -1, -1):
        now += SMALL.write_idle_timeout_s - 1
        protocol.tick(now)
        assert not transport.aborted
    protocol.tick(now + LINGER_S + 1)
    assert transport.aborted


def test_an_idle_connection_whose_answers_nobody_takes_is_cut():
    protocol, transport, _ = connect()
    protocol.data_received(post())
    transport.unwritten = 9
    now = time.monotonic()
    protocol.tick(now)
    protocol.tick(now + SMALL.write_idle_timeout_s + 1)
    assert transport.aborted


def test_one_connection_too_many_is_answered_503():
    connections = Connections()
    limits = Limits(connections_max=1)
    connect(limits=limits, connections=connections)
    _, transport, _ = connect(limits=limits, connections=connections)
    assert [status for status, _ in answers(transport)] == [503]


def test_bodies_in_memory_are_bounded_over_all_connections_and_given_back():
    connections, limits = Connections(), Limits(held_bytes_max=100)
    app = App(instantly=False)
    protocol, _, _ = connect(app, limits, connections)
    protocol.data_received(post(b"x" * 60))
    _, transport, _ = other = connect(limits=limits, connections=connections)
    other[0].data_received(post(b"y" * 60))
    assert [status for status, _ in answers(transport)] == [503]
    app.requests[0].respond(200, b"")
    leaving, _, _ = connect(App(instantly=False), limits, connections)
    leaving.data_received(post(b"z" * 60))
    assert connections.held_bytes == 60
    leaving.connection_lost(None)
    assert connections.held_bytes == 0


def test_bodies_are_given_back_one_by_one_although_the_pipeline_never_runs_dry():
    connections = Connections()
    app = App(instantly=False)
    protocol, transport, _ = connect(app, Limits(held_bytes_max=100), connections)
    protocol.data_received(post(b"x" * 40))
    for number in range(9):
        protocol.data_received(post(b"y" * 40))
        app.requests[number].respond(200, b"")
    assert [status for status, _ in answers(transport)] == [200] * 9
    assert connections.held_bytes == 40


def test_what_follows_a_closing_answer_is_neither_answered_nor_handed_on():
    class Closing(App):
        def handle(self, request):
            self.requests.append(request)
            request.respond(450, b"full", close=True)

    for head in (b"", b"Connection: close\r\n"):
        protocol, transport, app = connect(Closing())
        protocol.data_received(post(head=head) + post() + post())
        assert answers(transport) == [(450, b"full")]
        assert len(app.requests) == 1 and transport.eof


def test_draining_answers_all_that_has_been_sent_before_it_closes():
    protocol, transport, app = connect(App(instantly=False))
    protocol.data_received(post(b"one") + post(b"two") + post(b"three")[:-2])
    protocol.drain()
    app.requests[0].respond(200, b"1")
    protocol.data_received(b"ee" + post(b"four"))
    app.requests[1].respond(200, b"2")
    app.requests[2].respond(200, b"3")
    assert answers(transport) == [(200, b"1"), (200, b"2"), (200, b"3")]
    assert transport.written.count(b"Connection: close") == 1
    assert len(app.requests) == 3 and transport.eof


def test_draining_closes_the_idle_and_lets_the_busy_finish():
    idle, idle_transport, _ = connect()
    idle._quiet_since_s -= 2 * DRAIN_IDLE_S
    idle.drain()
    assert idle_transport.closed
    busy, transport, app = connect(App(instantly=False))
    busy.data_received(post())
    busy.drain()
    assert not transport.closed
    app.requests[0].respond(200, b"last")
    assert answers(transport) == [(200, b"last")] and b"Connection: close" in transport.written
    assert transport.eof


def test_draining_answers_who_asks_again_and_says_that_it_was_the_last_time():
    protocol, transport, _ = connect()
    protocol.data_received(post(b"one"))
    protocol.drain()
    assert not transport.closed and b"Connection: close" not in transport.written
    protocol.data_received(post(b"two"))
    assert len(answers(transport)) == 2 and transport.eof
    assert transport.written.count(b"Connection: close") == 1


def test_draining_closes_who_does_not_ask_again():
    protocol, transport, _ = connect()
    protocol.data_received(post())
    protocol.drain()
    protocol.tick(time.monotonic() + 0.5 * DRAIN_IDLE_S)
    assert not transport.closed
    protocol.tick(time.monotonic() + 2 * DRAIN_IDLE_S)
    assert transport.closed


def test_reading_goes_on_when_half_of_a_full_pipeline_is_answered():
    protocol, transport, app = connect(App(instantly=False))
    protocol.data_received(post() * 4)
    assert not transport.reading
    app.requests[0].respond(200, b"")
    assert not transport.reading
    app.requests[1].respond(200, b"")
    assert transport.reading


def test_a_slow_reader_with_a_full_pipeline_is_read_again_only_when_both_have_eased():
    protocol, transport, app = connect(App(instantly=False))
    protocol.data_received(post() * 4)
    protocol.pause_writing()
    protocol.resume_writing()
    assert not transport.reading
    protocol.pause_writing()
    for request in app.requests:
        request.respond(200, b"")
    assert not transport.reading
    protocol.resume_writing()
    assert transport.reading


def test_an_application_hears_that_a_client_has_shut_its_side_and_may_still_answer():
    protocol, transport, app = connect(App(instantly=False))
    protocol.data_received(post())
    app.requests[0].waiter = Waiter(give_way=lambda: app.requests[0].respond(499, b"gone?"))
    assert not protocol.eof_received()
    assert answers(transport) == [(499, b"gone?")] and transport.eof
