"""A model server of several host processes: whichever takes a connection, it answers the same."""

import os
import re
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest

from eas_processor.codec import serving
from tests.e2e.model_server_process import (
    OLD,
    Load,
    ModelServer,
    config,
    entry,
    predict_text,
    put,
    written,
)
from tests.modelserver.server_process import free_ports
from tests.several_processes import command_line, inodes, listening_on, sockets

__all__ = ["written"]

pytestmark = pytest.mark.tensorflow

PROCESSES = 3
TRIES = 120
TOKEN = "open"
CARRIED = {"headers": {"Authorization": TOKEN}}
ALLOWED = (("authorization", TOKEN),)
LABELS = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }'
LOGGED = (
    'logging_config { log_collector_config { filename_prefix: "m" } '
    "sampling_config { sampling_rate: 1.0 } }"
)
PREDICT = ("PredictionService", "Predict")
CLIENT_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


class Several(ModelServer):
    """A model server of three processes. pids: process 1's first."""

    def __init__(self, folder, *flags):
        super().__init__(folder, f"--host_processes={PROCESSES}", *flags)

    @property
    def pids(self):
        me = self.process.pid
        children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
        fronts = (int(pid) for pid in children)
        return [me, *(pid for pid in fronts if b"eas_processor/fronts" in command_line(pid))]

    def wait_complete(self):
        def complete():
            ports = (self.port, self.grpc_port)
            return all(len(listening_on(port)) == PROCESSES for port in ports)

        self.until(complete)

    def channels(self):
        """One gRPC channel to each process, by its pid."""
        found = {}
        for _ in range(TRIES):
            channel = grpc.insecure_channel(self.address, CLIENT_OPTIONS)
            grpc.channel_ready_future(channel).result(20)
            pid = self._holder(channel, found)
            if pid is None:
                channel.close()
            else:
                found[pid] = channel
            if len(found) == PROCESSES:
                return found
        raise AssertionError(f"no connection to some process: {found.keys()} of {self.pids}")

    def _holder(self, channel, known):
        """Who has one connection more than are known."""
        ours = {inode for local, remote, inode in sockets() if local == self.grpc_port and remote}
        held = {pid: len(ours & inodes(pid)) for pid in self.pids}
        return next((pid for pid in self.pids if held[pid] > 0 and pid not in known), None)


@pytest.fixture(scope="module")
def folder(written, tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    for version in (1, 2):
        put(written / "old", folder / "model", version)
    (folder / "models.config").write_text(config(entry("m", folder / "model", LABELS + LOGGED)))
    (folder / "monitoring").write_text("prometheus_config { enable: true }")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    flags = [
        f"--model_config_file={folder / 'models.config'}", f"--processor={OLD}",
        f"--token={TOKEN}", f"--request_log_dir={folder / 'logs'}",
        f"--grpc_socket_path={folder / 'grpc.sock'}", "--enable_grpc_healthcheck_service",
        "--rest_api_enable_cors_support", f"--monitoring_config_file={folder / 'monitoring'}",
    ]  # fmt: skip
    with Several(folder, *flags) as server:
        server.until(lambda: server.rest("/v1/models/m", **CARRIED).body.count(b"AVAILABLE") == 2)
        server.wait_complete()
        yield server


@pytest.fixture(scope="module")
def channels(server):
    found = server.channels()
    yield found
    for channel in found.values():
        channel.close()


def asked(channel, service, method, text, kind="", metadata=ALLOWED):
    """What a method answers, and from which kind of message."""
    name = kind or f"{method}Request"
    path = f"/tensorflow.serving.{service}/{method}"
    message = serving.text(name, text).SerializeToString()
    told = channel.unary_unary(path)(message, timeout=30, metadata=metadata)
    return serving.message(name.replace("Request", "Response")).FromString(told)


def predicted(channel, which="", **more):
    text = predict_text("m", 3.0, which=which)
    answer = asked(channel, *PREDICT, text, **more)
    (value,) = answer.outputs["y"].float_val
    return answer.model_spec.version.value, value


def refusal(ask, *args, **more):
    with pytest.raises(grpc.RpcError) as raised:
        ask(*args, **more)
    return raised.value.code().name, raised.value.details()


def test_every_process_predicts_by_version_and_label(channels):
    assert len(channels) == PROCESSES
    for channel in channels.values():
        assert predicted(channel) == (2, 3.5)
        assert predicted(channel, 'version_label: "stable"') == (1, 3.5)
        assert predicted(channel, "version { value: 1 }") == (1, 3.5)


def test_every_process_says_the_same_of_what_is_wrong(channels):
    told = {
        (
            refusal(predicted, channel, "version { value: 9 }"),
            refusal(predicted, channel, 'version_label: "none"'),
            refusal(predicted, channel, metadata=()),
            refusal(asked, channel, "ModelService", "GetModelStatus", ""),
            refusal(asked, channel, *PREDICT, 'model_spec { name: "none" }'),
        )
        for channel in channels.values()
    }
    ((version, label, token, spec, model),) = told
    assert version == ("NOT_FOUND", "Servable not found for request: Specific(m, 9)")
    assert label == ("INVALID_ARGUMENT", "Unrecognized servable version label: none")
    assert token[0] == "UNAUTHENTICATED"
    assert spec == ("INVALID_ARGUMENT", "Missing ModelSpec")
    assert model == ("NOT_FOUND", "Servable not found for request: Latest(none)")


def test_what_runs_no_model_is_answered_by_process_1(channels):
    status = 'model_spec { name: "m" }'
    for channel in channels.values():
        states = asked(channel, "ModelService", "GetModelStatus", status).model_version_status
        assert [(row.version, row.state) for row in states] == [(2, 30), (1, 30)]
        profile = channel.unary_unary("/tensorflow.ProfilerService/Monitor")
        assert refusal(profile, b"", timeout=20) == ("UNIMPLEMENTED", "unimplemented.")
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert health(b"", timeout=20) == b"\x08\x01"


def test_rest_of_every_process_minds_token_and_cors(server):
    seen = Counter()
    for _ in range(30):
        reply = server.predict("m/labels/stable", 1.0, **CARRIED)
        assert (reply.status, reply.json["predictions"]) == (200, [2.5])
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert server.predict("m", 1.0).status == 401
        seen[reply.headers["X-Model-Version"]] += 1
    assert seen == {"1": 30}


def test_a_model_that_one_process_was_told_of_is_there_in_all(server, folder, channels):
    """A client may ask any process as soon as a reload is answered."""
    old = entry("m", folder / "model", LABELS + LOGGED)
    new = entry("n", folder / "model")
    for channel in channels.values():
        for models in ((old, new), (old,)):
            text = f"config {{ {config(*models)} }}"
            asked(channel, "ModelService", "HandleReloadConfigRequest", text,
                  "ReloadConfigRequest")  # fmt: skip
            for other in channels.values():
                text = predict_text("n", 1.0)
                if len(models) == 1:
                    assert refusal(asked, other, *PREDICT, text)[0] == "NOT_FOUND"
                else:
                    answer = asked(other, *PREDICT, text)
                    assert answer.model_spec.version.value == 2


def test_versions_come_and_go_under_load_in_every_process(server, folder, channels):
    loads = [Load(lambda channel=channel: predicted(channel)) for channel in channels.values()]
    reader = Load(lambda: server.predict("m", 3.0, **CARRIED).status)
    for load in (*loads, reader):
        load.__enter__()
    try:
        put(folder / "model" / "1", folder / "model", 3)
        server.until(lambda: all((3, 3.5) in load.counts for load in loads))
        shutil.rmtree(folder / "model" / "3")
        server.until(lambda: all(predicted(c) == (2, 3.5) for c in channels.values()))
        time.sleep(0.5)
    finally:
        for load in (*loads, reader):
            load.__exit__(None, None, None)
    for load in loads:
        assert load.counts.keys() == {(2, 3.5), (3, 3.5)}
    assert reader.counts.keys() == {200}


def test_requests_of_all_processes_are_counted_and_logged(server, folder, channels):
    def logged():
        page = server.rest("/monitoring/prometheus/metrics").body.decode()
        found = re.findall(r":request_log_count\{.*\} (\d+)", page)
        assert found, page
        return sum(map(int, found))

    def settled():
        before = logged()
        time.sleep(0.5)  # they are counted once they are written
        return before if logged() == before else None

    before = server.until(settled)
    for channel in channels.values():
        predicted(channel)
    assert server.until(settled) == before + PROCESSES
    wrote = {path.stem.rpartition("-")[2] for path in (folder / "logs").glob("m-*")}
    assert wrote == {str(pid) for pid in server.pids}


def test_the_unix_socket_is_process_1s(server, folder):
    with grpc.insecure_channel(f"unix:{folder / 'grpc.sock'}") as channel:
        assert predicted(channel) == (2, 3.5)


def test_a_process_that_dies_is_replaced_and_all_end_together(server, channels):
    victim = server.pids[1]
    channels.pop(victim).close()
    os.kill(victim, signal.SIGKILL)
    server.until(lambda: victim not in server.pids and len(server.pids) == PROCESSES)
    server.wait_complete()
    for _ in range(20):
        assert server.predict("m", 1.0, **CARRIED).status == 200
    fronts = server.pids[1:]
    assert server.end() == 0
    assert not any(command_line(pid) for pid in fronts)


def test_a_port_that_is_taken_is_told(folder, tmp_path):
    ports = free_ports(2)
    flags = ["--host=127.0.0.1", f"--port={ports[1]}", f"--rest_api_port={ports[0]}"]
    flags += [f"--model_config_file={folder / 'models.config'}", "--host_processes=2"]
    with ModelServer(tmp_path, *flags, f"--processor={OLD}", ports=ports) as first:
        first.until(lambda: first.rest("/healthz").status == 200)
        for name in ("port", "rest_api_port"):
            others = dict(zip(("port", "rest_api_port"), free_ports(2), strict=True))
            others[name] = ports[1] if name == "port" else ports[0]
            args = [f"--{flag}={value}" for flag, value in others.items()]
            args += [f"--model_config_file={folder / 'models.config'}", "--host=127.0.0.1"]
            second = ModelServer(
                tmp_path,
                *args,
                "--host_processes=2",
                ports=(others["rest_api_port"], others["port"]),
            )
            with pytest.raises(AssertionError, match="ended early"):
                second.until(lambda: False)
            assert f"{others[name]}" in second.log and "in use" in second.log


def test_a_path_that_is_no_text_ends_nothing(tmp_path):
    base = tmp_path / os.fsdecode(b"e\xff")
    base.mkdir()
    flags = (f"--model_base_path={base}", "--model_name=m", "--max_num_load_retries=0")
    with Several(tmp_path, *flags) as server:
        server.wait_complete()
        assert server.predict("m", 1.0).status == 404
        assert len(server.pids) == PROCESSES
    logs = tmp_path / os.fsdecode(b"l\xff")
    second = Several(tmp_path, f"--request_log_dir={logs}", *flags)
    with pytest.raises(AssertionError, match="ended early"):
        second.until(lambda: False)
    assert "several host processes need paths in UTF-8" in second.log
