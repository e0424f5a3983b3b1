"""The host's end of the wall, fed with bytes."""

from eas_processor.errors import Code
from eas_processor.pool.awake import Awake
from eas_processor.pool.call import Call
from eas_processor.pool.channel import Channel
from eas_processor.worker.frames import FrameDecoder, Kind, encode
from tests.http.fakes import Transport


class Caller(Call):
    def __init__(self, body=b"b", fails=False):
        super().__init__(Kind.PROCESS, body, 1e9)
        self.answers = []
        self.fails = fails

    def reply(self, answer):
        self.answers.append(answer)
        if self.fails:
            raise RuntimeError("the client's transport is gone")


def connected():
    told = []
    awake = Awake()  # shared by several tests it would see close events, and want a loop
    channel = Channel(lambda: told.append("answers"), lambda reason: told.append(reason), awake)
    transport = Transport()
    channel.connection_made(transport)
    return channel, transport, told


def sent(transport):
    return FrameDecoder().feed(transport.written)


def test_answers_find_their_calls_in_any_order():
    channel, transport, told = connected()
    calls = [Caller(b"%d" % number) for number in range(3)]
    for call in calls:
        channel.send(call)
    frames = sent(transport)
    assert [frame.payload for frame in frames] == [b"0", b"1", b"2"]
    answers = [encode(Kind.ANSWER, b"re:" + frame.payload, frame.id) for frame in frames]
    channel.data_received(b"".join(reversed(answers)))
    assert [call.answers[0].body for call in calls] == [b"re:0", b"re:1", b"re:2"]
    assert not channel.in_flight and told == ["answers"]


def test_a_caller_whose_answer_fails_harms_neither_wall_nor_neighbours():
    channel, transport, _ = connected()
    bad, good = Caller(fails=True), Caller()
    channel.send(bad)
    channel.send(good)
    first, second = sent(transport)
    channel.data_received(encode(Kind.ANSWER, b"", first.id) + encode(Kind.ANSWER, b"", second.id))
    assert len(good.answers) == 1 and not transport.closed


def test_a_call_that_was_given_up_is_not_answered_but_leaves_the_wall():
    channel, transport, _ = connected()
    call = Caller()
    channel.send(call)
    call.answered = True
    channel.data_received(encode(Kind.ANSWER, b"late", sent(transport)[0].id))
    assert call.answers == [] and not channel.in_flight


def test_an_answer_to_nothing_or_garbage_breaks_the_wall():
    for nonsense in (encode(Kind.ANSWER, b"", 99), b"\xff" * 40):
        channel, transport, _ = connected()
        channel.send(Caller())
        channel.data_received(nonsense)
        assert transport.aborted


def test_calls_in_flight_are_failed_with_the_reason_and_later_ones_at_once():
    channel, transport, told = connected()
    call = Caller()
    channel.send(call)
    transport.closed = True
    channel.connection_lost(None)
    channel.fail_calls("the worker was ended by SIGKILL")
    assert call.answers[0].code == Code.WORKER_LOST and b"SIGKILL" in call.answers[0].body
    late = Caller()
    channel.send(late)
    assert late.answers[0].code == Code.WORKER_LOST
    assert told == [""]


def test_the_end_inside_a_frame_is_told():
    channel, _, told = connected()
    channel.data_received(encode(Kind.ANSWER, b"abc", 1)[:-1])
    channel.connection_lost(None)
    assert "inside a frame" in told[-1]
