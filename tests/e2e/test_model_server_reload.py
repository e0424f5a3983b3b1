"""Models added and removed while a server runs: over gRPC, over REST, by its file and a signal."""

import json
import shutil
import signal

import pytest

from tests.e2e.model_server_process import (
    OLD,
    ModelServer,
    config,
    entry,
    put,
    written,
)
from tests.tfserving_clients.environment import CLIENTS, clients

__all__ = ["clients", "written"]

pytestmark = pytest.mark.tensorflow

ADMIN = {"Authorization": "Bearer boss"}
CHECKS = [
    line.split("(")[0].removeprefix("def ")
    for line in (CLIENTS / "check_reload.py").read_text().splitlines()
    if line.startswith("def check_")
]


@pytest.fixture(scope="module")
def folder(written, tmp_path_factory):
    """FOLDER/model holds two versions of half_plus_two."""
    folder = tmp_path_factory.mktemp("reload")
    for version in (1, 2):
        put(written / "old", folder / "model", version)
    return folder


@pytest.fixture(scope="module")
def results(folder, clients):
    """What the official client finds, by check."""
    (folder / "first.config").write_text(config(entry("first", folder / "model")))
    flags = [f"--model_config_file={folder / 'first.config'}", f"--processor={OLD}"]
    with ModelServer(folder, *flags) as server:
        server.wait_available("first", 2)
        return clients.checks(server.address, folder, "check_reload")


@pytest.mark.parametrize("check", CHECKS)
def test_a_reload_by_the_official_client(results, check):
    assert results[f"check_reload.{check}"] is None, results[f"check_reload.{check}"]


def test_a_label_may_wait_for_its_version_where_the_flag_says_so(folder, tmp_path):
    def request(label):
        one = entry("m", folder / "model", f'version_labels {{ key: "{label}" value: 1 }}')
        return f"config {{ {config(one)} }}"

    (tmp_path / "none.config").write_text("")
    flags = ["--allow_version_labels_for_unavailable_models", f"--processor={OLD}"]
    file = tmp_path / "none.config"
    with ModelServer(tmp_path, f"--model_config_file={file}", *flags) as server:
        server.until(lambda: server.rest("/readyz").status == 200)
        server.grpc("HandleReloadConfigRequest", request("next"), timeout_s=60)
        reply = server.predict("m/labels/next", 1.0)
        words = "Servable not found for request: Specific(m, 1)"
        assert (reply.status, reply.error) == (404, words)
        assert server.predict("m", 1.0).headers["X-Model-Version"] == "2"


# over REST


@pytest.fixture(scope="module")
def admin(folder):
    """A server without models, whose config file is its own to write; entered by its flags."""
    file = folder / "own.config"
    flags = (f"--model_config_file={file}", "--persist_model_config", f"--processor={OLD}",
             "--max_num_load_retries=0")  # fmt: skip
    return lambda: ModelServer(folder, *flags, env={"EAS_PROCESSOR_ADMIN_TOKEN": "boss"})


def add(server, headers=ADMIN, **fields):
    return server.rest("/v1/models", fields, headers=headers, timeout_s=120)


def test_models_added_over_rest_are_there_after_a_restart(admin, folder):
    policy = {"all": {}}
    with admin() as server:
        server.until(lambda: server.rest("/readyz").status == 200)
        base_path = str(folder / "model")
        added = add(server, name="m", base_path=base_path, model_version_policy=policy)
        assert added.status == 200 and added.json["ready"], added.body
        assert add(server, name="gone", base_path=base_path).status == 200
        assert server.predict("gone", 2.0).json == {"predictions": [3.0]}
        assert server.rest("/v1/models/gone", method="DELETE", headers=ADMIN).status == 200
        assert server.predict("gone", 2.0).status == 404
        server.wait_available("m", 1, 2)
        reply = add(server, name="m", base_path=base_path)
        assert (reply.status, reply.error) == (409, "there is a model m already")
        reply = server.rest("/v1/models/nobody", method="DELETE", headers=ADMIN)
        assert reply.status == 404
    assert "gone" not in (folder / "own.config").read_text()
    with admin() as server:
        server.wait_available("m", 1, 2)
        (listed,) = server.rest("/v1/models").json["models"]
        assert listed["config"]["model_version_policy"] == policy and listed["ready"]


def test_who_has_not_the_admin_token_changes_nothing(admin, folder):
    with admin() as server:
        server.until(lambda: server.rest("/v1/models").status == 200)
        base_path = str(folder / "model")
        for headers in ({}, {"Authorization": "Bearer other"}):
            assert add(server, headers, name="x", base_path=base_path).status == 401
            assert server.rest("/v1/models/m", method="DELETE", headers=headers).status == 401
            assert server.rest("/v1/models:reload", b"", headers=headers).status == 401
        text = f"config {{ {config(entry('x', base_path))} }}"
        assert server.refused("HandleReloadConfigRequest", text)[0] == "UNAUTHENTICATED"
        assert [m["name"] for m in server.rest("/v1/models").json["models"]] == ["m"]


def test_what_cannot_be_added_is_refused_in_words_and_what_does_not_come_stays(admin, folder):
    with admin() as server:
        server.until(lambda: server.rest("/v1/models").status == 200)
        reply = add(server, name="x", base_path="here")
        assert reply.status == 400 and "absolute path or URI" in reply.error
        reply = add(server, name="x", base_path=str(folder / "model"), policy=1)
        assert reply.status == 400 and "policy" in reply.error
        reply = add(server, name="late", base_path=str(folder / "late"))
        assert reply.status == 500 and "Could not find base path" in reply.error, reply.body
        listed = {m["name"]: m["ready"] for m in server.rest("/v1/models").json["models"]}
        assert listed["late"] is False
        shutil.copytree(folder / "model" / "1", folder / "late" / "1")
        server.wait_available("late", 1)
        assert server.rest("/v1/models/late", method="DELETE", headers=ADMIN).status == 200
        assert server.states("late")[1][0] in ("UNLOADING", "END")


def test_what_cannot_be_written_is_refused_as_a_whole_and_is_no_fault_of_the_client(
    folder, tmp_path
):
    flags = [f"--model_config_file={tmp_path / 'nowhere' / 'own.config'}",
             "--persist_model_config", "--admin_token=boss", f"--processor={OLD}"]  # fmt: skip
    with ModelServer(tmp_path, *flags) as server:
        server.until(lambda: server.rest("/readyz").status == 200)
        reply = add(server, name="m", base_path=str(folder / "model"))
        assert reply.status == 500 and "own.config: can not be written" in reply.error, reply.body
        assert server.rest("/v1/models").json == {"models": []}


# by its file


def test_sighup_and_rest_read_the_file_anew(folder, tmp_path):
    file = tmp_path / "models.config"
    file.write_text(config(entry("a", folder / "model")))
    flags = [f"--model_config_file={file}", "--admin_token=boss", f"--processor={OLD}"]
    with ModelServer(tmp_path, *flags) as server:
        server.wait_available("a", 2)
        file.write_text(config(entry("a", folder / "model"), entry("b", folder / "model")))
        server.process.send_signal(signal.SIGHUP)
        server.wait_available("b", 2)
        file.write_text(config(entry("b", folder / "model")))
        reply = server.rest("/v1/models:reload", b"", headers=ADMIN, timeout_s=60)
        assert reply.status == 200 and reply.json == {"reloaded": [str(file)]}
        assert server.predict("a", 1.0).status == 404
        file.write_text("config {")
        reply = server.rest("/v1/models:reload", b"", headers=ADMIN, timeout_s=60)
        assert reply.status == 400 and "ModelServerConfig" in reply.error
        server.process.send_signal(signal.SIGHUP)
        server.until(lambda: "not reloaded" in server.log)
        assert json.loads(server.predict("b", 2.0).body) == {"predictions": [3.0]}
