"""How a model server starts: what it takes, what it says, and that one bad model harms no other."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.model_server_process import (
    COMMAND,
    OLD,
    ModelServer,
    config,
    entry,
    put,
    written,
)
from tests.modelserver.server_process import free_ports

__all__ = ["written"]

pytestmark = pytest.mark.tensorflow

AVAILABLE, SERVING, NOT_SERVING = "AVAILABLE", 1, 2


def outcome(*arguments, env=None):
    """(exit code, standard output) of `eas-model-server`, that ends by itself."""
    program = Path(sys.executable).parent / "eas-model-server"
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
        env=env,
    )  # fmt: skip
    return done.returncode, done.stdout


# one bad and one missing model beside a good one


@pytest.fixture(scope="module")
def server(written, tmp_path_factory):
    """good, missing and broken; the first is there when it is given."""
    folder = tmp_path_factory.mktemp("start")
    put(written / "half_plus_two", folder / "good", 1)
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "1" / "saved_model.pb").write_bytes(b"no SavedModel")
    names = ("good", "missing", "broken")
    (folder / "models.config").write_text(config(*(entry(n, folder / n) for n in names)))
    flags = ["--max_num_load_retries=0", "--enable_grpc_healthcheck_service"]
    flags.append(f"--access_log={folder / 'access.log'}")
    file = folder / "models.config"
    with ModelServer(folder, f"--model_config_file={file}", *flags) as server:
        server.folder = folder
        server.wait_available("good", 1)
        server.until(lambda: server.states("broken").get(1, ("",))[0] == "END")
        yield server


def test_the_ports_are_open_before_a_model_is_loaded(server):
    log = server.log
    assert log.index("gRPC listening") < log.index("worker loaded")
    assert log.index("Exporting HTTP/REST API at:localhost:") < log.index("worker loaded")
    assert "Running gRPC ModelServer at 127.0.0.1:" in log


def test_what_is_good_is_served_beside_what_is_missing_or_broken(server):
    assert server.predict("good", 1.0, 2.0, 5.0).json == {"predictions": [2.5, 3.0, 4.5]}
    assert server.grpc_predict("good", 1) == (1, [2.5])
    for name in ("missing", "broken"):
        words = f"Servable not found for request: Latest({name})"
        reply = server.predict(name, 1.0)
        assert (reply.status, reply.error) == (404, words)
        assert server.refused("Predict", f'model_spec {{ name: "{name}" }}') == ("NOT_FOUND", words)


def test_each_request_of_both_dialects_has_a_line_in_the_access_log(server):
    assert server.predict("good", 1.0).status == 200
    server.grpc_predict("good", 1)
    server.rest("/v1/models/good:predict", {"instances": [1.0]}, headers={"x-request-id": "mine"})

    def lines():
        found = [
            json.loads(line) for line in (server.folder / "access.log").read_text().splitlines()
        ]
        dialects = {line["dialect"] for line in found if line.get("service") == "good"}
        mine = [line for line in found if line.get("request_id") == "mine"]
        return len(dialects) == 2 and len(mine) == 1 and mine[0]["status"] in (200, "200")

    server.until(lines)


def test_readiness_tells_the_truth_of_all_and_of_each(server):
    ready = {name: server.rest(f"/readyz/{name}") for name in ("good", "missing", "broken")}
    assert {name: reply.status for name, reply in ready.items()} == {
        "good": 200, "missing": 503, "broken": 503,
    }  # fmt: skip
    assert b"Could not find base path" in ready["missing"].body
    assert b"saved_model.pb" in ready["broken"].body
    every = server.rest("/readyz")
    assert every.status == 503 and b"missing" in every.body and b"broken" in every.body
    assert server.rest("/healthz").status == 200
    assert server.rest("/readyz/nobody").status == 404
    told = [server.healthy(name) for name in ("", "good", "missing", "broken")]
    assert told == [NOT_SERVING, SERVING, NOT_SERVING, NOT_SERVING]


def test_a_model_that_never_came_has_no_versions_and_one_that_failed_has_an_error(server):
    reply = server.rest("/v1/models/missing")
    assert (reply.status, reply.error) == (404, "Could not find any versions of model missing")
    state, code, words = server.states("broken")[1]
    assert state == "END" and code != "OK" and "saved_model.pb" in words


def test_the_missing_one_is_served_once_it_comes_and_the_broken_one_once_it_is_mended(
    server, written
):
    put(written / "half_plus_two", server.folder / "missing", 7)
    shutil.copytree(written / "half_plus_two", server.folder / "broken" / "1", dirs_exist_ok=True)
    server.wait_available("missing", 7)
    server.wait_available("broken", 1)
    assert server.rest("/readyz").status == 200 and server.healthy() == SERVING


# strict, and without models


@pytest.mark.parametrize("processes", [1, 2])
def test_a_probe_for_a_model_that_is_not_there_tells_when_the_others_are(
    written, tmp_path, processes
):
    """What launch scripts and the peer's own tests do: they wait until "Servable" is not found."""
    put(written / "half_plus_two", tmp_path / "good", 1)
    flags = [f"--host_processes={processes}", "--model_name=good"]
    with ModelServer(tmp_path, f"--model_base_path={tmp_path / 'good'}", *flags) as server:
        probes = {
            "gRPC": lambda: server.refused("Predict", 'model_spec { name: "nobody" }')[1],
            "REST": lambda: server.predict("nobody", 1.0).error,
        }
        for probe in probes.values():
            server.until(lambda probe=probe: "Servable not found" in probe())
        assert server.grpc_predict("good", 1) == (1, [2.5])
        assert server.predict("good", 1.0).status == 200


def test_a_strict_start_waits_for_a_folder_with_its_ports_shut(written, tmp_path):
    flags = [f"--model_base_path={tmp_path / 'late'}", "--model_name=late", "--strict_startup"]
    with ModelServer(tmp_path, *flags, f"--processor={OLD}") as server:
        server.until(lambda: "Could not find base path" in server.log)
        with pytest.raises(ConnectionError):
            server.rest("/healthz")
        put(written / "old", tmp_path / "late", 1)
        server.until(lambda: server.rest("/readyz").status == 200)
        assert server.log.index("worker loaded") < server.log.index("Exporting HTTP/REST API")


def test_a_strict_start_fails_with_a_model_that_does_not_load(tmp_path):
    (tmp_path / "bad" / "1").mkdir(parents=True)
    rest, port = free_ports(2)
    code, said = outcome(
        "--model_name=bad", f"--model_base_path={tmp_path / 'bad'}", "--strict_startup",
        "--max_num_load_retries=0", f"--rest_api_port={rest}", f"--port={port}",
        f"--processor={OLD}",
    )  # fmt: skip
    assert code == 255
    words = "Error: 1 servable(s) did not become available: {{name: bad} due to error: "
    assert f"Failed to start server. {words}" in said, said


def test_no_models_is_a_server_without_models(tmp_path):
    (tmp_path / "none.config").write_text("")
    with ModelServer(tmp_path, f"--model_config_file={tmp_path / 'none.config'}") as server:
        server.until(lambda: server.rest("/readyz").status == 200)
        assert server.rest("/v1/models").json == {"models": []}
        words = "Servable not found for request: Latest(default)"
        assert server.predict("default", 1.0).error == words


# words and exit codes


def test_what_launch_scripts_look_for(tmp_path):
    (tmp_path / "bad.config").write_text("model_config_list { confg {} }")
    (tmp_path / "relative.config").write_text(config(entry("m", "models/m")))
    twice = config(entry("m", "/models/m"), entry("m", "/models/n"))
    (tmp_path / "twice.config").write_text(twice)
    failed = "Failed to start server. Error: "
    for arguments, words in (
        ([f"--model_config_file={tmp_path / 'bad.config'}"],
         "Error parsing text-format tensorflow.serving.ModelServerConfig"),
        ([f"--model_config_file={tmp_path / 'relative.config'}"],
         "Expected model m to have an absolute path or URI; got base_path()=models/m"),
        ([f"--model_config_file={tmp_path / 'twice.config'}"],
         "Illegal to list model m multiple times in config list"),
        (["--model_base_path=/m", "--batching_parameters_file=/b"], "enable_batching to true"),
    ):  # fmt: skip
        code, said = outcome(*arguments)
        assert code == 255 and said.startswith(failed) and words in said, said
    code, said = outcome("--port=many")
    assert code == 255 and "--port=many" in said and "usage: " in said
    code, said = outcome("--help")
    assert code == 0 and "--model_config_file_poll_wait_seconds" in said
    code, said = outcome("--version")
    assert code == 0 and said.splitlines()[0].startswith("TensorFlow ModelServer: ")
    assert said.splitlines()[1].startswith("TensorFlow Library: 2.21")


def test_a_taken_port_ends_the_start_with_words(server):
    code, said = outcome("--model_base_path=/m", "--host=127.0.0.1", "--port=0",
                         f"--rest_api_port={server.port}", f"--processor={OLD}")  # fmt: skip
    assert code == 255 and str(server.port) in said


def test_environment_as_in_the_image_and_an_argument_that_is_no_flag(written, tmp_path):
    put(written / "old", tmp_path / "mnist", 3)
    env = {"MODEL_NAME": "mnist", "MODEL_BASE_PATH": str(tmp_path)}
    with ModelServer(tmp_path, f"--processor={OLD}", "--bogus=1", env=env) as server:
        server.wait_available("mnist", 3)
        assert "unknown argument: --bogus=1" in server.log and "usage: " in server.log
        assert server.predict("mnist", 2.0).json == {"predictions": [3.0]}


# service JSONs of the cloud service

ONE = """{ "metadata": { "name": "tensorflow_server_image", "instance": 1, },
"cloud": { "computing": { "instance_type": "ml.gu7i.c8m30.1-gu30", "instances": null } },
"storage": [ { "oss": { "path": "oss://examplebucket/models/tf_serving/", "readOnly": false },
               "properties": { "resource_type": "model" }, "mount_path": "/models" } ],
"containers": [ {
  "image": "eas-registry-vpc.cn-shanghai.cr.aliyuncs.com/pai-eas/tensorflow_serving:1.15.0",
  "script": "/usr/bin/tf_serving_entrypoint.sh %s --host=127.0.0.1", "port": 8501 } ] }"""
SEVERAL = """model_config_list {
 config { name: 'model1' base_path: '/models/model1/' model_platform: 'tensorflow'
  model_version_policy{ specific { versions: 1 versions: 2 } }
  version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' value: 2 } }
 config { name: 'model2' base_path: '/models/model2/' model_platform: 'tensorflow'
  model_version_policy{ all: {} } }
 config { name: 'model3' base_path: '/models/model3/' model_platform: 'tensorflow'
  model_version_policy{ latest { num_versions: 2 } } } }"""


@pytest.fixture
def bucket(written, tmp_path, monkeypatch):
    """Where oss://examplebucket/models/tf_serving/ is, and a server of a service JSON."""
    monkeypatch.setenv("EAS_OSS_ROOT", str(tmp_path / "oss"))
    folder = tmp_path / "oss" / "examplebucket" / "models" / "tf_serving"
    folder.mkdir(parents=True)
    rest, port = free_ports(2)

    def serve(flags):
        flags = f"{flags} --port={port} --rest_api_port={rest}"
        (tmp_path / "service.json").write_text(ONE % flags)
        command = (*COMMAND[:-1], "serve", str(tmp_path / "service.json"))
        return ModelServer(tmp_path, command=command, ports=(rest, port))

    return folder, serve


def test_the_documented_service_json_of_one_model(bucket, written):
    folder, serve = bucket
    put(written / "old", folder / "mnist", 1)
    with serve("--model_name=mnist_model --model_base_path=/models/mnist") as server:
        server.wait_available("mnist_model", 1)
        assert '"tensorflow": "1.15.5"' in server.log
        assert server.predict("mnist_model", 2.0).json == {"predictions": [3.0]}
        assert server.grpc_predict("mnist_model", 2) == (1, [3.0])


def test_the_documented_service_json_of_several_models(bucket, written):
    folder, serve = bucket
    for place in ("model1/1", "model1/2", "model2/1", "model3/1", "model3/2", "model3/3"):
        model, version = place.split("/")
        put(written / "old", folder / model, int(version))
    (folder / "model_config.pbtxt").write_text(SEVERAL)
    with serve("--model_config_file=/models/model_config.pbtxt "
               "--allow_version_labels_for_unavailable_models=true") as server:  # fmt: skip
        server.wait_available("model1", 1, 2)
        server.wait_available("model2", 1)
        server.wait_available("model3", 2, 3)
        reply = server.predict("model1/labels/canary", 2.0)
        assert (reply.json, reply.headers["X-Model-Version"]) == ({"predictions": [3.0]}, "2")
        label = 'version_label: "stable"'
        assert server.grpc_predict("model1", 2, which=label) == (1, [3.0])
        assert json.loads(server.rest("/v1/models").body)["models"][0]["processor"] == OLD
