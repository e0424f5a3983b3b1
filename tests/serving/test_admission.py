"""The queue: bounded, in order, and nobody waits past its deadline."""

from eas_processor.errors import Code
from eas_processor.pool.call import Call, expire
from eas_processor.serving.admission import Queue
from eas_processor.worker.frames import Kind


class Caller(Call):
    def __init__(self, deadline_s=10.0):
        super().__init__(Kind.PROCESS, b"", deadline_s)
        self.codes = []

    def reply(self, answer):
        self.codes.append(answer.code)


def test_calls_leave_in_the_order_they_came():
    queue = Queue(3)
    calls = [Caller() for _ in range(3)]
    for call in calls:
        queue.offer(call)
    assert [queue.take(), queue.take(), queue.take(), queue.take()] == [*calls, None]


def test_one_too_many_is_told_that_the_queue_is_full():
    queue = Queue(1)
    first, second = Caller(), Caller()
    queue.offer(first)
    queue.offer(second)
    assert second.codes == [Code.QUEUE_FULL] and first.codes == []


def test_a_queue_of_none_takes_none():
    call = Caller()
    Queue(0).offer(call)
    assert call.codes == [Code.QUEUE_FULL]


def test_those_who_waited_too_long_are_told_and_the_others_stay():
    queue = Queue(3)
    early, late = Caller(5.0), Caller(15.0)
    queue.offer(early)
    queue.offer(late)
    queue.expire(now_s=5.0)
    assert early.codes == [Code.DEADLINE_EXCEEDED] and late.codes == []
    assert queue.take() is late


def test_those_who_gave_up_free_their_place_at_the_next_look():
    queue = Queue(2)
    gone, there = Caller(), Caller()
    queue.offer(gone)
    queue.offer(there)
    gone.answered = True
    queue.expire(now_s=0.0)
    assert len(queue.waiting) == 1 and queue.take() is there


def test_an_answer_may_take_other_calls_out_of_the_queue():
    """As of a connection that is closed with the answer to its first request."""
    queue = Queue(5)
    others = [Caller(20.0) for _ in range(2)]

    class First(Caller):
        def reply(self, answer):
            super().reply(answer)
            for other in others:
                queue.drop(other)

    first, last = First(5.0), Caller(5.0)
    for call in (first, *others, last):
        queue.offer(call)
    queue.expire(now_s=5.0)
    assert first.codes == last.codes == [Code.DEADLINE_EXCEEDED]
    assert queue.take() is None and not queue.in_all


def test_an_answered_call_is_not_answered_again():
    call = Caller(1.0)
    assert expire(call, 2.0) and expire(call, 3.0)
    assert call.codes == [Code.DEADLINE_EXCEEDED]


def test_failing_the_queue_answers_all_of_it():
    queue = Queue(5)
    calls = [Caller() for _ in range(4)]
    for call in calls:
        queue.offer(call)
    queue.fail(Code.UNAVAILABLE, "stopping")
    assert [call.codes for call in calls] == [[Code.UNAVAILABLE]] * 4
    assert queue.take() is None
