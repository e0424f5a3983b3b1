"""TensorFlow Serving's dialects on a host of several processes: each answers them itself."""

import json
import os
import signal
import threading
import time

import grpc
import numpy as np
import pytest

from eas_processor.codec import serving, tensors
from tests.e2e.test_tensorflow import ROOT
from tests.modelserver.server_process import free_ports
from tests.several_processes import PROCESSES, Host, inodes, metric, sockets

pytestmark = pytest.mark.tensorflow

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
CHANNELS_MAX = 60
MNIST = {
    "name": "mnist",
    "processor": "tensorflow_cpu_2.21",
    "model_path": str(ROOT / "examples" / "mnist" / "model"),
}
IMAGES = np.random.default_rng(5).random((2, 784), np.float32)


class Channel:
    """One gRPC connection, and the process that has accepted it."""

    def __init__(self, host, port):
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        grpc.channel_ready_future(self._channel).result(20)
        held = {pid: inodes(pid) for pid in host.pids}
        ours = {inode for local, remote, inode in sockets() if local == port and remote}
        self.held = {pid: len(ours & found) for pid, found in held.items()}

    def call(self, method, message):
        return self._channel.unary_unary(method)(message, timeout=20)

    def close(self):
        self._channel.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    (port,) = free_ports(1)
    args = ("--grpc-port", str(port))
    with Host(tmp_path_factory.mktemp("dialects"), MNIST, args=args) as host:
        host.grpc_port = port
        yield host


@pytest.fixture(scope="module")
def channels(host):
    """At least one to each process."""
    found = []
    while True:
        found.append(Channel(host, host.grpc_port))
        if all(found[-1].held.values()):
            break
        assert len(found) < CHANNELS_MAX, found[-1].held
    yield found
    for channel in found:
        channel.close()


def request():
    message = serving.parse(
        "PredictRequest", tensors.request({"images": IMAGES}, "predict_images", ["scores"])
    )
    message.model_spec.name = "mnist"
    return message.SerializeToString()


def counted(host, dialect, code):
    return host.metric("eas_requests_total", dialect=dialect, code=code, signature="predict_images")


def test_every_process_answers_rest_and_all_are_counted_together(host):
    body = json.dumps({"signature_name": "predict_images", "instances": IMAGES.tolist()})
    before = counted(host, "rest", 200)
    predictions = []
    for pid in host.pids:
        connection = host.connect_to(pid)
        status, answer = host.ask_over(connection, body, "/v1/models/mnist:predict")
        assert status == 200, answer
        predictions.append(json.loads(answer)["predictions"])
        status, answer = host.ask_over(connection, b"{}", "/v1/models/mnist:predict")
        words = 'Serving signature name: "serving_default" not found in signature def'
        assert (status, json.loads(answer)) == (400, {"error": words})
    assert len(predictions) == PROCESSES and np.shape(predictions[0]) == (2, 10)
    for other in predictions[1:]:
        np.testing.assert_allclose(other, predictions[0], rtol=1e-6)
    host.until(lambda: counted(host, "rest", 200) == before + PROCESSES)


def test_what_runs_no_model_is_the_same_wherever_one_asks(host):
    assert len(host.pages("/v1/models/mnist", "/v1/models/mnist/metadata", "/v1/models")) == 3


def test_every_process_answers_grpc_and_all_are_counted_together(host, channels):
    before = counted(host, "grpc", "OK")
    answers = [tensors.outputs(c.call(PREDICT, request()))["scores"].values for c in channels]
    assert answers[0].shape == (2, 10)
    for other in answers[1:]:
        np.testing.assert_allclose(other, answers[0], rtol=1e-6)
    host.until(lambda: counted(host, "grpc", "OK") == before + len(channels))
    page = host.ask("GET", "/metrics")[1]
    assert metric(page, "eas_run_seconds_count", dialect="grpc") >= len(channels)


def test_every_process_knows_the_signatures_and_the_state(channels):
    metadata = serving.message("GetModelMetadataRequest")()
    metadata.model_spec.name = "mnist"
    metadata.metadata_field.append("signature_def")
    status = serving.message("GetModelStatusRequest")()
    status.model_spec.name = "mnist"
    told = {
        (c.call(METADATA, metadata.SerializeToString()), c.call(STATUS, status.SerializeToString()))
        for c in channels
    }
    assert len(told) == 1
    _, state = told.pop()
    versions = serving.parse("GetModelStatusResponse", state).model_version_status
    assert [version.state for version in versions] == [30]


def test_a_reload_fails_no_request_of_any_dialect_in_any_process(host, channels):
    body = json.dumps({"signature_name": "predict_images", "instances": IMAGES.tolist()})
    long = json.dumps({"signature_name": "predict_images", "instances": IMAGES.tolist() * 12})
    failures, done = [], threading.Event()
    connections = [(host.connect_to(pid), text) for pid in host.pids for text in (body, long)]

    def ask_rest(connection, text):
        while not done.is_set():
            status, answer = host.ask_over(connection, text, "/v1/models/mnist:predict")
            if status != 200:
                failures.append(answer)

    def ask_grpc(channel):
        while not done.is_set():
            try:
                channel.call(PREDICT, request())
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=ask_rest, args=pair) for pair in connections]
    threads += [threading.Thread(target=ask_grpc, args=(channel,)) for channel in channels[-3:]]
    for thread in threads:
        thread.start()
    try:
        for turn in (1, 2):
            service = {**MNIST, "metadata": {"cpu": turn}}
            (host.folder / "mnist.json").write_text(json.dumps(service))
            loaded = host.log.count("service ready")
            host.process.send_signal(signal.SIGHUP)
            host.until(lambda loaded=loaded: host.log.count("service ready") > loaded, 60)
            time.sleep(1)
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    assert not failures, failures[:3]
    assert not any(thread.is_alive() for thread in threads)


def test_grpc_goes_on_where_a_process_has_died(host, channels):
    victim = host.fronts()[0]

    os.kill(victim, signal.SIGKILL)
    host.until(lambda: victim not in host.pids and len(host.pids) == PROCESSES, 60)
    host.wait_complete()
    for _ in range(PROCESSES * 2):
        channel = Channel(host, host.grpc_port)
        try:
            assert channel.call(PREDICT, request())
        finally:
            channel.close()
