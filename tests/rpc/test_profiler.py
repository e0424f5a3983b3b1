"""ProfilerService: whose worker is told, for how long, and that what has begun is ended."""

import asyncio
import json
import time

import pytest

from eas_processor.codec import profiling
from eas_processor.errors import Code
from eas_processor.pool.call import Answer, expire
from eas_processor.rpc import profiler
from eas_processor.worker.frames import Kind
from tests.modelserver.fakes import Stage, ask, make_version, manager_of
from tests.rpc import fakes
from tests.rpc.fakes import Scene, Version, run, service

PROFILER = "tensorflow.ProfilerService"
WAIT_S = 20.0


class Recorder:
    """A worker that is told to begin and to end. told: what it was told."""

    def __init__(self, answers=()):
        self.told = []
        self.came = asyncio.Event()
        self._answers = list(answers)

    def send(self, call):
        assert call.kind == Kind.PROFILE
        self.told.append(json.loads(call.body) if call.body else None)
        self.came.set()
        code, body = self._answers.pop(0) if self._answers else (Code.OK, b"")
        call.finish(Answer(code, 0, body))


class Pool:
    def __init__(self, worker):
        self.ready = [worker]


def version(number, worker, tensorflow="2.21.0"):
    made = Version(number)
    made.pool = Pool(worker)
    made.runtime = {"tensorflow": tensorflow}
    return made


def asking(duration_ms=1, session="s", **levels):
    request = profiling.message("ProfileRequest")(duration_ms=duration_ms, session_id=session)
    for name, value in levels.items():
        setattr(request.opts, name, value)
    return request


def answer_of(body):
    return profiling.message("ProfileResponse").FromString(body)


def test_the_worker_begins_as_asked_ends_and_the_client_is_given_what_was_recorded():
    async def scene():
        worker = Recorder([(Code.OK, b""), (Code.OK, b"the trace")])
        async with Scene(service("m", version(1, worker)), profiler=True) as served:
            wanted = asking(version=1, host_tracer_level=3, python_tracer_level=1)
            body = await served.call("Profile", wanted, PROFILER)
        return worker.told, answer_of(body)

    told, answer = run(scene())
    levels = {"host_tracer_level": 3, "device_tracer_level": 0, "python_tracer_level": 1}
    assert told == [levels, None]
    assert [(one.name, one.data) for one in answer.tool_data] == [("xplane.pb", b"the trace")]
    assert not answer.empty_trace


def test_levels_that_were_not_set_are_tensorflows_and_no_trace_is_said_to_be_none():
    async def scene():
        worker = Recorder()
        async with Scene(service("m", version(1, worker)), profiler=True) as served:
            return worker.told, answer_of(await served.call("Profile", asking(), PROFILER))

    told, answer = run(scene())
    assert told == [profiling.DEFAULT_LEVELS, None]
    assert answer.empty_trace and not answer.tool_data


@pytest.mark.parametrize(("metadata", "told"), [(None, "new"), ((("model", "old"),), "old")])
def test_the_newest_version_of_the_first_model_on_2_x_is_asked_or_the_one_named(metadata, told):
    async def scene():
        workers = {name: Recorder() for name in ("old", "first", "new", "other")}
        services = [
            service("old", version(1, workers["old"], "1.15.5")),
            service("m", version(1, workers["first"]), version(2, workers["new"])),
            service("n", version(9, workers["other"])),
        ]
        async with Scene(*services, profiler=True) as served:
            await served.call("Profile", asking(), PROFILER, metadata=metadata)
        return [name for name, worker in workers.items() if worker.told]

    assert run(scene()) == [told]


@pytest.mark.parametrize(
    ("request_", "metadata", "code"),
    [
        (asking(0), None, "INVALID_ARGUMENT"),
        (asking(10**9), None, "INVALID_ARGUMENT"),
        (b"\xff", None, "INVALID_ARGUMENT"),
        (asking(), (("model", "z"),), "NOT_FOUND"),
        (asking(), None, "UNAVAILABLE"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_nobody_is_told(request_, metadata, code):
    async def scene():
        worker = Recorder()
        async with Scene(service("m", version(1, worker, "1.15.5")), profiler=True) as served:
            refused = await served.refused("Profile", request_, PROFILER, metadata=metadata)
        return refused[0], worker.told

    assert run(scene()) == (code, [])


def test_a_refusal_of_the_worker_is_passed_on_and_what_it_records_for_others_goes_on():
    async def scene():
        worker = Recorder([(Code.ALREADY_EXISTS, b"Another profiler is running.")])
        async with Scene(service("m", version(1, worker)), profiler=True) as served:
            return await served.refused("Profile", asking(), PROFILER), worker.told

    refused, told = run(scene())
    assert refused == ("ALREADY_EXISTS", "Another profiler is running.")
    assert told == [profiling.DEFAULT_LEVELS]  # no end


async def ended(worker):
    async with asyncio.timeout(WAIT_S):
        while worker.told[-1:] != [None]:
            worker.came.clear()
            await worker.came.wait()


@pytest.mark.parametrize("how", ["terminate", "leave"])
def test_a_recording_ends_early_when_it_is_terminated_or_its_client_leaves(how):
    async def scene():
        worker = Recorder([(Code.OK, b""), (Code.OK, b"short")])
        async with Scene(service("m", version(1, worker)), profiler=True) as served:
            call = served.call("Profile", asking(600_000, "mine"), PROFILER)
            waiting = asyncio.ensure_future(_answer(call))
            await asyncio.wait_for(worker.came.wait(), WAIT_S)
            if how == "leave":
                call.cancel()
                await ended(worker)
                return "left"
            for name in ("another", "mine"):
                terminate = profiling.message("TerminateRequest")(session_id=name)
                assert await served.call("Terminate", terminate, PROFILER) == b""
            return answer_of(await waiting).tool_data[0].data

    assert run(scene()) == {"terminate": b"short", "leave": "left"}[how]


async def _answer(call):
    try:
        return await call
    except asyncio.CancelledError:
        return None


class Late(Recorder):
    """Keeps the first call it is told."""

    def send(self, call):
        if self.told:
            return super().send(call)
        self.told.append(json.loads(call.body))
        self.first = call


@pytest.mark.parametrize(("code", "told_to_end"), [(Code.OK, True), (Code.ALREADY_EXISTS, False)])
def test_what_begins_when_nobody_waits_for_it_any_more_is_ended(code, told_to_end, monkeypatch):
    monkeypatch.setattr(profiler, "ANSWER_TIMEOUT_S", 0.1)

    async def scene():
        worker = Late()
        async with Scene(service("m", version(1, worker)), profiler=True) as served:
            refused = await served.refused("Profile", asking(), PROFILER)
            # Nor does the clock answer it, which would hide what it began.
            assert not expire(worker.first, time.monotonic() + 5)
            if not worker.first.answered:
                worker.first.finish(Answer(code, 0, b""))
            await asyncio.sleep(0.05)
        return refused, worker.told

    refused, told = run(scene())
    assert refused == ("DEADLINE_EXCEEDED", "no answer within 0.1 s")
    assert told == [profiling.DEFAULT_LEVELS, *[None] * told_to_end]


def test_recordings_of_one_session_end_together_and_each_forgets_itself_alone():
    """A session may be of several workers; of one worker it may be refused."""

    async def scene():
        workers = [
            Recorder([(Code.OK, b""), (Code.ALREADY_EXISTS, b"Another"), (Code.OK, b"first")]),
            Recorder([(Code.OK, b""), (Code.OK, b"second")]),
        ]
        services = [
            service(name, version(1, worker)) for name, worker in zip("mn", workers, strict=True)
        ]
        async with Scene(*services, profiler=True) as served:

            def profile(name):
                wanted = asking(600_000, "one")
                return served.call("Profile", wanted, PROFILER, metadata=(("model", name),))

            waiting = []
            for name, worker in zip("mn", workers, strict=True):
                waiting.append(asyncio.ensure_future(_answer(profile(name))))
                await asyncio.wait_for(worker.came.wait(), WAIT_S)
            refused = await served.refused(
                "Profile", asking(600_000, "one"), PROFILER, metadata=(("model", "m"),)
            )
            terminate = profiling.message("TerminateRequest")(session_id="one")
            await served.call("Terminate", terminate, PROFILER)
            answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        return refused[0], [answer_of(each).tool_data[0].data for each in answers]

    assert run(scene()) == ("ALREADY_EXISTS", [b"first", b"second"])


@pytest.mark.parametrize("method", ["Profile", "Terminate"])
def test_the_token_is_asked_for(method):
    async def scene():
        worker = Recorder()
        options = {"profiler": True, "token": "client", "admin_token": "boss"}
        async with Scene(service("m", version(1, worker), token="client"), **options) as served:
            with_client = (("authorization", "client"),)
            refused = await served.refused(method, b"", PROFILER, metadata=with_client)
            with_admin = (("authorization", "boss"),)
            body = asking() if method == "Profile" else b""
            await served.call(method, body, PROFILER, metadata=with_admin)
            return refused[0]

    assert run(scene()) == "UNAUTHENTICATED"


def test_it_is_there_only_if_switched_on_and_monitor_is_not_even_then():
    async def scene(**options):
        async with Scene(service("m", version(1, Recorder())), **options) as served:
            return await served.refused("Monitor", b"", PROFILER)

    assert run(scene())[0] == "UNIMPLEMENTED"
    assert run(scene(profiler=True)) == ("UNIMPLEMENTED", "unimplemented.")


def test_a_processor_without_a_profiler_says_so(tmp_path):
    """Over a real wall, to a real worker of the echo processor."""

    async def scene():
        manager = manager_of(Stage(), f"--model_base_path={tmp_path}", "--model_name=m")
        await manager.start()
        try:
            async with Scene(manager.services["m"], profiler=True) as served:
                named = (("model", "m"),)
                refused = await served.refused("Profile", asking(), PROFILER, metadata=named)
                return refused, await ask(manager, "m")
        finally:
            await manager.stop()

    make_version(tmp_path, 1)
    fakes.forget_clients()  # of the tests before: this one forks
    refused, answer = run(scene())
    assert refused == ("UNIMPLEMENTED", "this processor has no profiler")
    assert answer == b"hello"
