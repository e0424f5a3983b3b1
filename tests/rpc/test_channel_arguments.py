"""What `--grpc_channel_arguments` can say."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from eas_processor.errors import ConfigError
from eas_processor.rpc.channel_arguments import DEFAULTS, FOR_EVER, settings
from eas_processor.rpc.server import Endpoint
from tests.rpc.fakes import Scene, Version, predict, run, service


def test_bounds_are_read_in_gRPCs_units():
    found = settings(
        ["grpc.max_connection_age_ms=5000", "grpc.max_connection_age_grace_ms=250",
         "grpc.max_connection_idle_ms=2147483647", "grpc.keepalive_time_ms=-1",
         "grpc.max_concurrent_streams=7", "grpc.so_reuseport=1"]
    )  # fmt: skip
    bounds = found.bounds
    assert (bounds.age_s, bounds.age_grace_s, bounds.idle_s, bounds.ping_s) == (5, 0.25, None, None)
    assert bounds.streams_max == 7 and found.shares_port
    answers = [f"grpc.keepalive_timeout_ms={value}" for value in (0, 20, -1)]
    assert [settings([one]).bounds.ping_answer_s for one in answers] == [0, 0.02, None]
    assert settings(["grpc.max_concurrent_streams=-1"]).bounds.streams_max == FOR_EVER


def test_of_an_argument_that_comes_twice_the_last_counts():
    twice = settings([f"grpc.max_receive_message_length={size}" for size in (5, -1)])
    assert twice == DEFAULTS


def test_what_is_no_argument_is_told():
    with pytest.raises(ConfigError, match="'a' is not KEY=VALUE"):
        settings(["a"])


@pytest.mark.parametrize(
    "argument",
    ["grpc.keepalive_time_ms=soon", "grpc.max_metadata_size=-2", "grpc.http2.max_pings=0x"],
)
def test_a_value_that_is_no_number_is_logged_and_has_no_effect(argument):
    with capture_logs() as logs:
        assert settings([argument]) == DEFAULTS
    assert logs[0]["argument"] == argument.partition("=")[0]


def test_an_argument_for_the_inside_of_another_library_is_logged():
    with capture_logs() as logs:
        assert settings(["grpc.use_cronet=1=2"]) == DEFAULTS
    assert logs[0]["argument"] == "grpc.use_cronet"


def served(*arguments):
    return Scene(
        service("m", Version(1, b"")), endpoint=Endpoint(port=0, settings=settings(arguments))
    )


def test_an_answer_that_is_too_long_is_not_sent():
    async def scene():
        async with served("grpc.max_send_message_length=3") as scene:
            return await scene.refused("Predict", predict())

    assert run(scene()) == ("RESOURCE_EXHAUSTED", "Sent message larger than max (26 vs. 3)")


def test_an_old_or_idle_connection_is_let_go_and_the_client_gets_a_new_one():
    async def scene(argument):
        async with served(argument) as scene:
            await scene.call("Predict", predict())
            first = next(iter(scene.server._connections.open))
            while first in scene.server._connections.open:
                await asyncio.sleep(0.05)
            await scene.call("Predict", predict())
            return True

    assert run(scene("grpc.max_connection_age_ms=100"))
    assert run(scene("grpc.max_connection_idle_ms=100"))


def test_a_client_that_is_silent_is_asked_for_a_sign_of_life():
    async def scene():
        async with served("grpc.keepalive_time_ms=300", "grpc.keepalive_timeout_ms=300") as scene:
            await scene.call("Predict", predict())
            connection = next(iter(scene.server._connections.open))
            heard = connection._heard
            while connection._heard < heard + 2:
                await asyncio.sleep(0.05)
            assert scene.channel.get_state() is grpc.ChannelConnectivity.READY

    run(scene())
