"""grpc.health.v1, asked as any client of it does: it says what is so."""

import asyncio

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from eas_processor.serving.lifecycle import State
from tests.rpc.fakes import Scene, Version, run, service


def health(served):
    return health_pb2_grpc.HealthStub(served.channel)


def check(service_name=""):
    return health_pb2.HealthCheckRequest(service=service_name)


NAMES = ["", "PredictionService", "ModelService", "tensorflow.serving.PredictionService", "m"]


@pytest.mark.parametrize("name", NAMES)
def test_health_is_serving_only_while_the_models_are_ready(name):
    version = Version()
    version.lifecycle.move(State.DEGRADED)

    async def scene():
        async with Scene(service("m", version)) as served:
            before = await health(served).Check(check(name))
            version.lifecycle.move(State.READY)
            return before.status, (await health(served).Check(check(name))).status

    assert run(scene()) == (
        health_pb2.HealthCheckResponse.NOT_SERVING,
        health_pb2.HealthCheckResponse.SERVING,
    )


def test_health_of_the_whole_is_what_the_server_says_and_a_models_is_its_own():
    async def scene():
        async with Scene(service("m", Version()), ready=lambda: False) as served:
            return [(await health(served).Check(check(name))).status for name in ("", "m")]

    assert run(scene()) == [2, 1]


def test_health_of_what_nobody_knows_is_not_found():
    async def scene():
        async with Scene(service("m", Version())) as served:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health(served).Check(check("z"))
            watched = health(served).Watch(check("z"))
            first = await watched.read()
            watched.cancel()
            return caught.value.code(), first.status

    assert run(scene()) == (
        grpc.StatusCode.NOT_FOUND,
        health_pb2.HealthCheckResponse.SERVICE_UNKNOWN,
    )


def test_who_watches_is_told_each_change_and_let_go_when_the_server_drains():
    version = Version()

    async def scene():
        async with Scene(service("m", version)) as served:
            watched = health(served).Watch(check())
            told = [(await watched.read()).status]
            version.lifecycle.move(State.DEGRADED)
            told.append((await watched.read()).status)
            version.lifecycle.move(State.READY)
            told.append((await watched.read()).status)
            await served.server.drain(10)
            while (last := await watched.read()) is not grpc.aio.EOF:
                told.append(last.status)
            return told

    assert run(scene()) == [1, 2, 1, 2]


@pytest.mark.parametrize("name", ["", "m", "z"])
def test_many_who_watch_cost_no_more_than_one(name):
    looks = []
    many = 400

    async def scene():
        ready = lambda: bool(looks.append(1)) or True  # noqa: E731
        async with Scene(service("m", Version()), ready=ready) as served:
            watching = [health(served).Watch(check(name)) for _ in range(many)]
            await asyncio.gather(*(each.read() for each in watching))
            looks.clear()
            await asyncio.sleep(0.6)
            taken = len(looks)
            draining = asyncio.create_task(served.server.drain(10))
            last = await asyncio.gather(*(each.read() for each in watching))
            ends = await asyncio.gather(*(each.read() for each in watching))
            await draining
            return taken, {each.status for each in last}, set(ends)

    taken, last, ends = run(scene())
    assert taken <= 3
    assert last == {3 if name == "z" else 2}
    assert ends == {grpc.aio.EOF}


def test_who_watches_a_model_is_told_when_it_comes_and_goes():
    async def scene():
        async with Scene(service("m", Version())) as served:
            watched = health(served).Watch(check("n"))
            told = [(await watched.read()).status]
            served.services["n"] = service("n", Version())
            told.append((await watched.read()).status)
            del served.services["n"]
            told.append((await watched.read()).status)
            watched.cancel()
            return told

    assert run(scene()) == [3, 1, 3]


def test_health_is_left_out_where_it_is_not_wanted():
    async def scene():
        async with Scene(service("m", Version()), health=False) as served:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health(served).Check(check())
            return caught.value.code()

    assert run(scene()) is grpc.StatusCode.UNIMPLEMENTED
