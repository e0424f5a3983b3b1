"""TensorFlow Serving's gRPC over sockets, with real TensorFlows and the official stubs."""

import os
import signal
import socket
import subprocess
import sys
import time

import grpc
import pytest

from eas_processor.codec import serving
from tests.e2e.test_tensorflow import EXAMPLE, ROOT, TOKEN, run, service
from tests.serving_process import START_TIMEOUT_S, STOP_TIMEOUT_S, Serving
from tests.tfserving_clients.environment import CLIENTS, clients

__all__ = ["clients"]

pytestmark = pytest.mark.tensorflow

PROCESSORS = ("tensorflow_cpu_1.15", "tensorflow_cpu_2.7", "tensorflow_cpu_2.21")
MODULES = ("check_predict", "check_examples", "check_models")
CHECKS = [
    f"{module}.{line.split('(')[0].removeprefix('def ')}"
    for module in MODULES
    for line in (CLIENTS / f"{module}.py").read_text().splitlines()
    if line.startswith("def check_")
]
CONFIG = """model_config_list {{
  config {{
    name: "half_plus_two" base_path: "{folder}/half_plus_two" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }}
  }}
  config {{ name: "dtypes" base_path: "{folder}/dtypes" model_platform: "tensorflow" }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ModelServer:
    """One `model-server` process of the models in `folder`; ready when entered."""

    def __init__(self, folder, log, processor, *flags):
        (log.parent / "models.config").write_text(CONFIG.format(folder=folder))
        self.port = free_port()
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eas_processor", "model-server", f"--port={self.port}",
                 "--host=127.0.0.1", "--rest_api_port=0", f"--processor={processor}",
                 "--enable_grpc_healthcheck_service", "--file_system_poll_wait_seconds=0",
                 "--allow_version_labels_for_unavailable_models",
                 f"--model_config_file={log.parent / 'models.config'}", *flags],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def __enter__(self):
        try:
            with grpc.insecure_channel(self.address) as channel:
                self.wait_serving(channel)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def wait_serving(self, channel):
        """Until the health service says so; it must not say so before."""
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        end_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end_s:
            assert self.process.poll() is None, self.log.read_text(errors="replace")
            try:
                if check(b"", timeout=5, wait_for_ready=True) == b"\x08\x01":
                    return
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, error
            time.sleep(0.1)
        raise AssertionError(self.log.read_text(errors="replace"))

    def wait_available(self, name, versions):
        """Until so many versions of a model are; the first is enough for its health."""
        request = serving.message("GetModelStatusRequest")()
        request.model_spec.name = name
        end_s = time.monotonic() + START_TIMEOUT_S
        with grpc.insecure_channel(self.address) as channel:
            ask = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
            while time.monotonic() < end_s:
                told = ask(request.SerializeToString(), timeout=5)
                rows = serving.message("GetModelStatusResponse").FromString(told)
                states = [row.state for row in rows.model_version_status]
                if states == [30] * versions:
                    return
                time.sleep(0.1)
        raise AssertionError(self.log.read_text(errors="replace"))

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture(scope="module", params=PROCESSORS)
def results(request, tmp_path_factory, clients):
    """What all checks say of a server of this TensorFlow."""
    folder = tmp_path_factory.mktemp("models")
    run(request.param, "grpc_models.py", ROOT, folder)
    saved = (folder / "dtypes" / "1" / "saved_model.pb").read_bytes()
    assert (b"DT_FLOAT4_E2M1FN" in saved) == request.param.endswith("2.21")
    log = tmp_path_factory.mktemp("server") / "server.log"
    with ModelServer(folder, log, request.param) as server:
        server.wait_available("half_plus_two", 2)
        return clients.checks(server.address, folder, *MODULES)


@pytest.mark.parametrize("check", CHECKS)
def test_the_official_stubs_find_what_they_know(results, check):
    assert results[check] is None, results[check]


def test_the_manuals_snippet_prints_the_scores_from_a_service_json(tmp_path, clients):
    config = service("tensorflow_cpu_1.15", name="mnist", model_path=str(EXAMPLE / "model"))
    with Serving(tmp_path, config, args=("--grpc-port", "0")) as serving_process:
        port = grpc_port(serving_process)
        told = clients.run("seed_snippet.py", f"127.0.0.1:{port}", "mnist", 1, TOKEN, light=False)
        assert told.count("float_val: ") == 10 and 'key: "scores"' in told
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ask = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            request = serving.message("PredictRequest")()
            request.model_spec.name = "mnist"
            with pytest.raises(grpc.RpcError) as caught:
                ask(request.SerializeToString(), timeout=20)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert serving_process.ask("GET", "/metrics")[1].count(b'dialect="grpc"') > 2


def grpc_port(serving_process):
    import json

    for line in serving_process.log.splitlines():
        if '"gRPC listening"' in line:
            return json.loads(line)["port"]
    raise AssertionError(serving_process.log)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """PEM texts of an authority, and of a key and certificate for localhost that it signed."""
    folder = tmp_path_factory.mktemp("tls")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
           "-nodes", "-days", "2"]  # fmt: skip
    for command in (
        [*new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA"],
        [*new, "-keyout", "own.key", "-out", "own.pem", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
         "-CA", "ca.pem", "-CAkey", "ca.key"],
    ):  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    return {name: (folder / name).read_text() for name in ("ca.pem", "own.key", "own.pem")}


class TlsServer(ModelServer):
    """Entered through mutual TLS, on its UNIX socket."""

    def __init__(self, folder, log, processor, path, authority, *flags):
        self.path = path
        self.credentials = grpc.ssl_channel_credentials(
            *(authority[name].encode() for name in ("ca.pem", "own.key", "own.pem"))
        )
        super().__init__(folder, log, processor, f"--grpc_socket_path={path}", *flags)

    def channel(self):
        name = (("grpc.ssl_target_name_override", "localhost"),)
        return grpc.secure_channel(f"unix:{self.path}", self.credentials, options=name)

    def __enter__(self):
        with self.channel() as channel:
            self.wait_serving(channel)
        return self


def test_mutual_tls_on_a_unix_socket_with_answers_in_tensor_content(tmp_path, authority):
    run("tensorflow_cpu_2.21", "grpc_models.py", ROOT, tmp_path)
    pem = {name: text.replace("\n", "\\n") for name, text in authority.items()}
    (tmp_path / "ssl.config").write_text(
        f'server_key: "{pem["own.key"]}" server_cert: "{pem["own.pem"]}" '
        f'custom_ca: "{pem["ca.pem"]}" client_verify: true'
    )
    path = tmp_path / "s"
    flags = (
        f"--ssl_config_file={tmp_path / 'ssl.config'}",
        "--enable_serialization_as_tensor_content",
        "--enable_signature_method_name_check",
    )
    log = tmp_path / "server.log"
    with TlsServer(tmp_path, log, "tensorflow_cpu_2.21", path, authority, *flags) as server:
        with server.channel() as channel:
            ask = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            request = serving.message("PredictRequest")()
            request.model_spec.name = "half_plus_two"
            request.inputs["x"].dtype = 1
            request.inputs["x"].tensor_shape.dim.add(size=1)
            request.inputs["x"].float_val.append(4)
            answer = ask(request.SerializeToString(), timeout=20)
            outputs = serving.message("PredictResponse").FromString(answer).outputs
            assert outputs["y"].tensor_content == b"\x00\x00\x80\x40"
            ask = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
            request = serving.message("ClassificationRequest")()
            request.model_spec.name = "half_plus_two"
            request.model_spec.signature_name = "regress_x_to_y"
            request.input.example_list.examples.add()
            with pytest.raises(grpc.RpcError, match="Was: tensorflow/serving/regress"):
                ask(request.SerializeToString(), timeout=20)
        with grpc.insecure_channel(server.address) as channel:
            ask = channel.unary_unary("/grpc.health.v1.Health/Check")
            with pytest.raises(grpc.RpcError) as caught:
                ask(b"", timeout=20)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert not os.path.exists(path)
