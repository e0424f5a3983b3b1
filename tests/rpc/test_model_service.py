"""ModelService: the versions' states, and a new configuration."""

import grpc.aio
import pytest

from eas_processor.codec import serving
from eas_processor.errors import Code, ServingError
from eas_processor.serving.lifecycle import State
from tests.rpc import fakes
from tests.rpc.fakes import MODELS, Scene, Version, parsed, run, service


def status_request(**asked):
    return serving.message("GetModelStatusRequest")(model_spec=fakes.spec(**asked))


def rows_of(request, *services):
    async def scene():
        async with Scene(*services) as served:
            return await served.call("GetModelStatus", request, MODELS)

    answer = parsed("GetModelStatusResponse", run(scene()))
    return [
        (row.version, row.State.Name(row.state), row.status.error_code, row.status.error_message)
        for row in answer.model_version_status
    ]


def test_status_lists_versions_newest_first_with_what_is_wrong():
    failed = Version(2)
    failed.lifecycle.move(State.FAILED, "no good")
    model = service("m", Version(1), failed)
    rows = rows_of(status_request(), model)
    assert [row[:2] for row in rows] == [(2, "END"), (1, "AVAILABLE")]
    assert rows[0][2] != 0 and "no good" in rows[0][3] and rows[1][2:] == (0, "")
    assert [row[0] for row in rows_of(status_request(version=1), model)] == [1]


@pytest.mark.parametrize("label", ["stable", "unheard_of"])
def test_status_by_a_label_is_of_all_versions(label):
    model = service("m", Version(1), Version(2))
    model.labels = {"stable": 1}
    assert [row[0] for row in rows_of(status_request(label=label), model)] == [2, 1]


def test_status_of_a_model_that_was_never_seen_is_not_found():
    async def scene():
        async with Scene(service("m", Version())) as served:
            none = await served.refused("GetModelStatus", status_request(name="z"), MODELS)
            return none, await served.refused("GetModelStatus", b"", MODELS)

    assert run(scene()) == (
        ("NOT_FOUND", "Could not find any versions of model z"),
        ("INVALID_ARGUMENT", "Missing ModelSpec"),
    )


def reload_request(name="n"):
    request = serving.message("ReloadConfigRequest")()
    request.config.model_config_list.config.add(name=name, base_path="/n")
    return request


def reload(request, metadata=None, **options):
    """The answer to a reload: the response's error code, or how it was refused."""

    async def scene():
        async with Scene(service("m", Version()), **options) as served:
            method = "HandleReloadConfigRequest"
            try:
                answer = await served.call(method, request, MODELS, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                return error.code().name, error.details()
            return parsed("ReloadConfigResponse", answer).status.error_code

    return run(scene())


def test_a_reload_hands_on_the_whole_configuration():
    taken = []

    async def apply(config):
        taken.append(config.model_config_list.config[0].name)

    assert reload(reload_request(), apply=apply) == 0 and taken == ["n"]


def test_a_reload_that_is_refused_says_why():
    async def apply(config):
        raise ServingError(Code.FAILED_PRECONDITION, "label l of model n")

    told = reload(reload_request(), apply=apply)
    assert told == ("FAILED_PRECONDITION", "label l of model n")


def test_models_of_service_jsons_are_not_reloaded_this_way():
    code, text = reload(reload_request())
    assert code == "UNIMPLEMENTED" and "service JSON" in text


@pytest.mark.parametrize(
    ("tokens", "given", "taken"),
    [
        ({"token": "t"}, None, False),
        ({"token": "t"}, "t", True),
        ({"token": "t", "admin_token": "a"}, "t", False),
        ({"token": "t", "admin_token": "a"}, "Bearer a", True),
        ({"admin_token": "a"}, None, False),
    ],
)
def test_a_reload_needs_the_admin_token_where_there_is_one(tokens, given, taken):
    async def apply(config):
        pass

    metadata = None if given is None else (("authorization", given),)
    told = reload(reload_request(), metadata, apply=apply, **tokens)
    assert told == 0 if taken else told[0] == "UNAUTHENTICATED"


def test_status_needs_the_models_token():
    async def scene():
        async with Scene(service("m", Version(), token="t")) as served:
            stranger = await served.refused("GetModelStatus", status_request(), MODELS)
            metadata = (("authorization", "t"),)
            await served.call("GetModelStatus", status_request(), MODELS, metadata=metadata)
            return stranger[0]

    assert run(scene()) == "UNAUTHENTICATED"
