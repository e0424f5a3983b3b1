"""Large requests with Examples are translated beside the event loop, and only if still wanted."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from eas_processor.codec import examples
from eas_processor.rpc import translation
from eas_processor.serving.lifecycle import State
from tests.rpc import fakes
from tests.rpc.fakes import Scene, multi_request, parsed, predict, run, service, until
from tests.rpc.test_examples import Examples, example_request

METHODS = ["Classify", "Regress", "MultiInference"]
READS = {
    "Classify": "classify_request",
    "Regress": "regress_request",
    "MultiInference": "multi_request",
}


@pytest.fixture(autouse=True)
def _all_is_large(monkeypatch):
    monkeypatch.setattr(translation, "INLINE_BYTES_MAX", 0, raising=False)


def asking(method):
    if method == "MultiInference":
        return multi_request(("m", "r", "regress"), ("m", "c", "classify"))
    kind, signature = {
        "Classify": ("ClassificationRequest", "c"),
        "Regress": ("RegressionRequest", "r"),
    }[method]
    return example_request(kind, signature)


class Slow:
    """A function of `examples` that goes on when it is told to. runs: the threads it ran in."""

    def __init__(self, monkeypatch, name):
        self.runs = []
        self._go_on = threading.Event()
        self._function = getattr(examples, name)
        monkeypatch.setattr(examples, name, self)

    def __call__(self, *args):
        self.runs.append(threading.current_thread())
        self._go_on.wait(5)
        return self._function(*args)

    def go_on(self):
        self._go_on.set()


@contextmanager
def no_thread_free():
    """All threads work for others, until then."""
    free = threading.Event()
    busy = threading.Barrier(translation.THREADS + 1)

    def work():
        busy.wait(10)
        free.wait(10)

    for _ in range(translation.THREADS):
        translation._threads.submit(work)
    busy.wait(10)
    try:
        yield
    finally:
        free.set()


@pytest.mark.parametrize("method", METHODS)
def test_others_are_answered_while_a_large_request_is_read(method, monkeypatch):
    slow = Slow(monkeypatch, READS[method])
    version = Examples(x=fakes.outputs(y=[1.0]))

    async def scene():
        async with Scene(service("m", version)) as served:
            large = asyncio.ensure_future(_done(served.call(method, asking(method))))
            await until(lambda: slow.runs)
            await served.call("Predict", predict(signature="x"))
            was_first = not large.done() and len(version.calls) == 1
            slow.go_on()
            return was_first, await large

    was_first, answer = run(scene())
    assert was_first and answer
    assert slow.runs[0] is not threading.main_thread()


async def _done(call):
    return await call


@pytest.mark.parametrize("method", METHODS)
def test_large_answers_are_written_beside_the_event_loop(method, monkeypatch):
    name = {"MultiInference": "multi_answer"}.get(method, f"{method.lower()}_answer")
    slow = Slow(monkeypatch, name)
    slow.go_on()

    async def scene():
        async with Scene(service("m", Examples())) as served:
            return await served.call(method, asking(method))

    assert run(scene())
    assert slow.runs[0] is not threading.main_thread()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_small_is_translated_at_once(method, monkeypatch):
    monkeypatch.setattr(translation, "INLINE_BYTES_MAX", 1 << 20)
    slow = Slow(monkeypatch, READS[method])
    slow.go_on()

    async def scene():
        async with Scene(service("m", Examples())) as served:
            with no_thread_free():
                return await served.call(method, asking(method))

    assert run(scene())
    assert slow.runs == [threading.main_thread()]


@pytest.mark.parametrize("method", METHODS)
def test_a_call_that_was_cancelled_before_its_turn_is_not_read(method, monkeypatch):
    slow = Slow(monkeypatch, READS[method])
    slow.go_on()
    version = Examples()
    made_up = {"MultiInference": ("", "", method, "", "CANCELLED")}  # its tasks are not known yet
    key = made_up.get(method, ("m", "4", method, asking_signature(method), "CANCELLED"))

    async def scene():
        async with Scene(service("m", version)) as served:
            with no_thread_free():
                call = served.call(method, asking(method))
                await until(lambda: waiting() == 1)
                call.cancel()
                await until(lambda: served.counted().get(key) == 1)
            await served.call("Predict", predict(signature="c"))
            await until(lambda: waiting() == 0)
            await asyncio.wrap_future(translation._threads.submit(time.sleep, 0.05))

    run(scene())
    assert not slow.runs and len(version.calls) == 1


def asking_signature(method):
    return {"Classify": "c", "Regress": "r"}.get(method, "")


def waiting():
    return translation._threads._work_queue.qsize()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("whose", ["client", "server"])
def test_a_call_whose_time_is_over_before_its_turn_is_not_read(method, whose, monkeypatch):
    reads = Slow(monkeypatch, "multi_tasks" if method == "MultiInference" else READS[method])
    reads.go_on()
    timeout = 0.2 if whose == "client" else None

    async def scene():
        async with Scene(service("m", Examples()), timeout_s=0.2) as served:
            with no_thread_free():
                asked = served.refused(method, asking(method), timeout=timeout)
                asked = asyncio.ensure_future(asked)
                await until(lambda: waiting() == 1 or asked.done())
                await asyncio.sleep(0.3)  # from now on it is late, whenever it came
            return await asked

    code, words = run(scene())
    assert code == "DEADLINE_EXCEEDED" and not reads.runs
    assert whose == "client" or words == "the request took too long"


@pytest.mark.parametrize("method", METHODS)
def test_more_than_there_is_room_for_is_refused_and_the_others_are_answered(method, monkeypatch):
    size = asking(method).ByteSize()
    monkeypatch.setattr(translation, "HELD_BYTES_MAX", 3 * size)

    async def scene():
        async with Scene(service("m", Examples())) as served:
            with no_thread_free():
                kept = [asyncio.ensure_future(served.call(method, asking(method))) for _ in "123"]
                await until(lambda: waiting() == 3)
                refused = await served.refused(method, asking(method))
            await asyncio.gather(*kept)
            await served.call(method, asking(method))
            return refused

    assert run(scene()) == ("UNAVAILABLE", translation.BUSY)


def test_one_alone_may_be_larger_than_the_room(monkeypatch):
    monkeypatch.setattr(translation, "HELD_BYTES_MAX", 1)

    async def scene():
        async with Scene(service("m", Examples())) as served:
            await served.call("Classify", asking("Classify"))

    run(scene())


@pytest.mark.parametrize("method", METHODS)
def test_a_deadline_stays_where_it_is_however_long_the_reading_takes(method, monkeypatch):
    slow = Slow(monkeypatch, READS[method])
    version = Examples()

    async def scene():
        async with Scene(service("m", version)) as served:
            sent_s = time.monotonic()
            call = served.call(method, asking(method), timeout=10)
            await until(lambda: slow.runs)
            await asyncio.sleep(0.5)
            slow.go_on()
            await call
            return sent_s

    sent_s = run(scene())
    assert abs(version.calls[0].deadline_s - sent_s - 10) < 0.2


@pytest.mark.parametrize("method", METHODS)
def test_a_version_that_is_gone_when_the_request_was_read_is_replaced_by_its_successor(
    method, monkeypatch
):
    slow = Slow(monkeypatch, READS[method])
    old, new = Examples(), Examples()
    new.number = 5

    async def scene():
        model = service("m", old)
        async with Scene(model) as served:
            call = served.call(method, asking(method))
            await until(lambda: slow.runs)
            model.versions[5] = new
            model._choose()
            old.lifecycle.move(State.DRAINING)
            slow.go_on()
            answer = await call
            return answer, served.counted()

    answer, counted = run(scene())
    if method == "MultiInference":
        told = parsed("MultiInferenceResponse", answer).results[0].model_spec
    else:
        told = parsed("ClassificationResponse", answer).model_spec
    assert told.version.value == 5
    assert not old.calls and new.calls
    assert [key[1] for key in counted] == ["5"]


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_is_gone_when_the_request_was_read_is_told_to_be(method, monkeypatch):
    slow = Slow(monkeypatch, READS[method])

    async def scene():
        async with Scene(service("m", Examples())) as served:
            call = asyncio.ensure_future(served.refused(method, asking(method)))
            await until(lambda: slow.runs)
            version = served.services.pop("m").versions[4]
            version.lifecycle.move(State.DRAINING)
            slow.go_on()
            return await call, version.calls

    refused, calls = run(scene())
    assert refused == ("NOT_FOUND", "Servable not found for request: Latest(m)")
    assert not calls
