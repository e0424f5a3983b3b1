"""`eas-model-server` up to the moment it serves: words, exit codes, what it refuses."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import grpc
import pytest

from eas_processor.cli.model_server import run
from tests.ipv6 import has_ipv6

from .server_process import free_ports


@pytest.fixture(autouse=True)
def no_image_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL_NAME", "MODEL_BASE_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_help_is_printed_and_nothing_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: eas-model-server [flags]")
    assert "Examples:" in out


def test_the_version_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version", "--processor=tensorflow_cpu_1.15"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("TensorFlow ModelServer: ")
    assert second.startswith("TensorFlow Library: 1.15")


def test_an_unknown_argument_is_told_with_the_usage_and_the_server_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--bogus=1", "--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "unknown argument: --bogus=1"
    assert lines[1].startswith("usage:") and lines[-1].startswith("TensorFlow Library: ")


def test_a_malformed_value_ends_with_the_usage_and_255(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--port=x"]) == 255
    assert capsys.readouterr().out.startswith("--port=x: it must be a whole number\nusage:")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty"),
        (["--model_config_file=/nowhere/m.config"], "/nowhere/m.config: can not be read"),
        (["--model_base_path=/m", "--processor=torch"], "There is no processor 'torch'"),
        (["--model_base_path=/m", "--batching_parameters_file=/b"], "enable_batching to true"),
        (
            ["--model_base_path=/m", "--enable_batching", "--batching_parameters_file=/b"],
            "/b: can not be read",
        ),
        (["--model_base_path=/m", "--host_processes=0"], "must be from 1 to 64"),
        (["--model_base_path=/m", "--host_processes=65"], "must be from 1 to 64"),
        (["--model_base_path=/m", "--port=-1"], "--port=-1: it must be from 0 to 65535"),
        (["--model_base_path=/m", "--log_level=foo"], "one of: debug, info, warning"),
        (["--model_base_path=/m", "--log_format=foo"], "one of: auto, text, json"),
        (["/nowhere/service.json"], "there is no such file"),
        (["/nowhere/service.json", "--port=1"], "there is no such file"),
        (["--port", "1", "service.json"], "service.json: a service JSON comes first"),
    ],
)
def test_a_start_that_fails_says_so_and_ends_with_255(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(arguments) == 255
    out, err = capsys.readouterr()
    assert out.startswith("Failed to start server. Error: ")
    assert words in out and err == ""


def test_a_config_file_that_does_not_parse_ends_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "models.config"
    file.write_text("model_config_list { confg {} }")
    assert run([f"--model_config_file={file}", "--processor=echo"]) == 255
    out, err = capsys.readouterr()
    assert out.startswith("Failed to start server. Error: ")
    for told in (out, err):
        assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in told
        assert str(file) in told


def test_a_service_json_with_a_processor_is_for_the_other_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "service.json"
    file.write_text('{"name": "s", "processor": "echo"}')
    assert run([str(file)]) == 255
    assert f"eas-processor serve {file}" in capsys.readouterr().out


def test_what_launch_scripts_wait_for_is_not_said_of_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-m", "eas_processor", "model-server", "--processor=echo",
             "--host=127.0.0.1", f"--rest_api_port={free_ports(1)[0]}",
             f"--port={taken.getsockname()[1]}", f"--model_base_path={tmp_path}"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 255 and "choose another port" in done.stdout
    assert "Running gRPC" not in done.stderr and "Exporting HTTP" not in done.stderr


def test_by_default_both_families_are_listened_on(tmp_path: Path) -> None:
    rest_port, grpc_port = free_ports(2)
    log = tmp_path / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "eas_processor", "model-server", "--processor=echo",
             f"--rest_api_port={rest_port}", f"--port={grpc_port}",
             f"--model_base_path={tmp_path}"],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        end_s = time.monotonic() + 30
        while "Exporting HTTP/REST API" not in log.read_text():
            assert server.poll() is None and time.monotonic() < end_s, log.read_text()
            time.sleep(0.05)
        said = log.read_text()
        assert f"Running gRPC ModelServer at 0.0.0.0:{grpc_port} ..." in said
        assert said.index("gRPC listening") < said.index("Running gRPC ModelServer")
        for host in ("127.0.0.1", "[::1]") if has_ipv6() else ("127.0.0.1",):
            with urllib.request.urlopen(f"http://{host}:{rest_port}/healthz", timeout=10) as answer:
                assert answer.read() == b"ok\n"
            with grpc.insecure_channel(f"{host}:{grpc_port}") as channel:
                grpc.channel_ready_future(channel).result(10)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, log.read_text()
