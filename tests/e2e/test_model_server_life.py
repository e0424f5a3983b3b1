"""A model server in operation: its ports' TLS and tokens, bounds, metrics, crashes, its end."""

import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import threading

import grpc
import pytest

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
from tests.e2e.test_grpc import authority

__all__ = ["authority", "written"]

pytestmark = pytest.mark.tensorflow

PAGE = "/monitoring/prometheus/metrics"
REST_TIMEOUT_MS = 3000


@pytest.fixture(scope="module")
def server(written, tmp_path_factory):
    """half with versions 1 and 2, and slow; REST's timeout is short, its metrics are on."""
    folder = tmp_path_factory.mktemp("life")
    put(written / "slow", folder / "slow", 1)
    for version in (1, 2):
        put(written / "old", folder / "half", version)
    half = entry("half", folder / "half", "model_version_policy { all {} }", platform=OLD)
    (folder / "models.config").write_text(config(half, entry("slow", folder / "slow")))
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
    flags = [f"--model_config_file={folder / 'models.config'}",
             f"--monitoring_config_file={folder / 'monitoring.config'}",
             f"--rest_api_timeout_in_ms={REST_TIMEOUT_MS}",
             "--rest_api_enable_cors_support"]  # fmt: skip
    with ModelServer(folder, *flags) as server:
        server.wait_available("half", 1, 2)
        server.wait_available("slow", 1)
        yield server


def test_the_metrics_page_counts_by_model_and_status_as_the_peers(server):
    assert server.predict("half", 1.0).status == 200
    assert server.grpc_predict("half", 1)[0] == 2
    assert server.predict("half", "x").status == 400
    reply = server.rest(PAGE)
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/plain")
    counted = {}
    for labels, count in re.findall(r":tensorflow:serving:request_count{(.*?)} (\d+)",
                                    reply.body.decode()):  # fmt: skip
        counted[labels] = int(count)
    assert counted['model_name="half",status="OK"'] >= 2
    assert counted['model_name="half",status="INVALID_ARGUMENT"'] >= 1
    assert 'request_latency_count{model_name="half",API="Predict",entrypoint="GRPC"}' in (
        reply.body.decode()
    )
    assert server.rest(f"{PAGE}?x=1").status == 400


def test_pages_of_other_sites_may_ask(server):
    path = "/v1/models/half:predict"
    origin = {"Origin": "https://site.example"}
    asked = server.rest(path, method="OPTIONS", headers=origin)
    assert (asked.status, asked.body) == (200, b"")
    for reply in (asked, server.predict("half", 1.0, headers=origin), server.predict("no", 1.0)):
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert reply.headers["Access-Control-Allow-Methods"] == "POST, GET"
        assert reply.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert server.rest(path, method="OPTIONS").status == 400


def test_curl_asks_as_the_documentation_says(server):
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    url = f"http://127.0.0.1:{server.port}/v1/models/half"
    data = '{"instances": [1.0, 2.0, 5.0]}'
    for more, path in (
        (["-d", data], ":predict"),
        (["-d", data, "-X", "POST"], "/versions/1:predict"),
    ):
        command = ["curl", "-s", "--compressed", *more, url + path]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        assert json.loads(done.stdout) == {"predictions": [2.5, 3.0, 4.5]}


def test_paths_that_are_none_are_malformed_in_the_peers_words(server):
    for method, path in (("GET", "/v1/models/half:predict"), ("POST", "/v1/models/half"),
                         ("PUT", "/v1/models/half:predict"), ("GET", "/v1/nothing")):  # fmt: skip
        reply = server.rest(path, b"{}" if method == "POST" else None, method=method)
        assert (reply.status, reply.error) == (400, f"Malformed request: {method} {path}")
    reply = server.rest("/v1/models/half:predict", b"")
    assert (reply.status, reply.error) == (400, "JSON Parse error: The document is empty")


def test_the_timeout_of_rest_is_rests_alone(server):
    seconds = REST_TIMEOUT_MS / 1000 + 1
    answered = []
    over_grpc = threading.Thread(
        target=lambda: answered.append(server.grpc_predict("slow", seconds)[0])
    )
    over_grpc.start()
    assert server.predict("slow", seconds).status == 504
    told = server.refused("Predict", predict_text("slow", 2), timeout_s=0.2)
    assert told[0] == "DEADLINE_EXCEEDED"
    over_grpc.join(30)
    assert answered == [1]


def test_runs_that_pass_their_deadline_are_left_and_make_room_for_others(server):
    """As many as would fill all of the worker's threads, each of them for ten minutes."""
    told = []

    def ask():
        told.append(server.refused("Predict", predict_text("slow", 600), timeout_s=0.5)[0])

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert told == ["DEADLINE_EXCEEDED"] * len(threads)
    assert server.grpc_predict("slow", 0, timeout_s=20) == (1, [0])
    assert server.predict("slow", 600).status == 504
    assert server.grpc_predict("slow", 0, timeout_s=20) == (1, [0])
    assert "worker lost" not in server.log


def test_a_loop_that_runs_long_lets_short_ones_pass(server):
    for _ in range(10):
        assert server.grpc_predict("slow", 0) == (1, [0])  # it looks like a short one now
    told = []
    long = threading.Thread(target=lambda: told.append(server.grpc_predict("slow", 5)))
    long.start()
    server.until(lambda: b", 1 running" in server.rest("/readyz/slow?verbose").body)
    assert server.grpc_predict("slow", 0) == (1, [0])
    assert not told
    long.join(30)
    assert told == [(1, [5])]


def test_a_version_whose_worker_is_killed_comes_back_and_the_others_are_untouched(server):
    def workers():
        """{version of half: pid of its worker}."""
        page = server.rest("/readyz/half?verbose").body.decode()
        rows = re.findall(r"version (\d+)(?:.|\n)*?worker (\d+): ready", page)
        return {int(version): int(pid) for version, pid in rows}

    before = workers()
    assert before.keys() == {1, 2}
    other = lambda: (server.predict("half", 2.0).status, server.grpc_predict("half", 2)[0])  # noqa: E731
    with Load(other) as load:
        os.kill(before[1], signal.SIGKILL)
        server.until(lambda: workers().get(1, before[1]) != before[1])
        server.until(lambda: server.predict("half/versions/1", 2.0).status == 200)
    assert set(load.counts) == {(200, 2)}
    assert workers()[2] == before[2]
    assert server.available("half") == {1, 2}


def test_sigterm_finishes_what_is_in_flight_over_both_protocols(server):
    """The last of this server."""
    told = []
    asks = (
        lambda: told.append(server.predict("slow", 2.0).json),
        lambda: told.append(server.grpc_predict("slow", 2.0)),
    )
    threads = [threading.Thread(target=ask) for ask in asks]
    for thread in threads:
        thread.start()
    server.until(lambda: b", 2 running" in server.rest("/readyz/slow?verbose").body)
    assert server.end() == 0, server.log
    for thread in threads:
        thread.join(30)
    assert len(told) == 2 and {"predictions": [2.0]} in told and (1, [2.0]) in told
    with pytest.raises(ConnectionError):
        server.rest("/healthz")


# TLS, a UNIX socket, tokens


@pytest.fixture(scope="module")
def secured(written, authority, tmp_path_factory):
    """Mutual TLS on all ports, gRPC on a UNIX socket too, and a token."""
    folder = tmp_path_factory.mktemp("s")
    put(written / "old", folder / "half", 1)
    pem = {name: text.replace("\n", "\\n") for name, text in authority.items()}
    (folder / "ssl.config").write_text(
        f'server_key: "{pem["own.key"]}" server_cert: "{pem["own.pem"]}" '
        f'custom_ca: "{pem["ca.pem"]}" client_verify: true'
    )
    for name, text in authority.items():
        (folder / name).write_text(text)
    flags = [f"--ssl_config_file={folder / 'ssl.config'}", "--rest_api_ssl", f"--processor={OLD}",
             f"--grpc_socket_path={folder / 's'}", "--model_name=half",
             "--enable_grpc_healthcheck_service",
             f"--model_base_path={folder / 'half'}"]  # fmt: skip
    with ModelServer(folder, *flags, env={"EAS_PROCESSOR_TOKEN": "secret"}) as server:
        server.folder = folder
        server.until(lambda: "half: ready" in server.log)
        yield server


def https(server, headers, certificate=True):
    """The status of a prediction over HTTPS."""
    context = ssl.create_default_context(cafile=server.folder / "ca.pem")
    if certificate:
        context.load_cert_chain(server.folder / "own.pem", server.folder / "own.key")
    connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=20)
    try:
        connection.request("POST", "/v1/models/half:predict", b'{"instances": [1]}', headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_rest_wants_the_certificate_and_the_token(secured):
    for value in ("secret", "Bearer secret"):
        assert https(secured, {"Authorization": value}) == 200
    assert https(secured, {}) == https(secured, {"Authorization": "other"}) == 401
    with pytest.raises((ssl.SSLError, ConnectionError)):
        https(secured, {"Authorization": "secret"}, certificate=False)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        secured.rest("/healthz")


@pytest.mark.parametrize("target", ["localhost:{0.grpc_port}", "unix:{0.folder}/s"])
def test_grpc_wants_the_certificate_and_the_token(secured, authority, target):
    ca, key, certificate = (authority[n].encode() for n in ("ca.pem", "own.key", "own.pem"))
    name = (("grpc.ssl_target_name_override", "localhost"),)
    target, plain = target.format(secured), secured.channel
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    try:
        with grpc.secure_channel(target, credentials, options=name) as channel:
            secured.channel = channel
            token = (("authorization", "secret"),)
            assert secured.grpc_predict("half", 2, metadata=token) == (1, [3.0])
            for method in ("Predict", "GetModelMetadata", "GetModelStatus"):
                told = secured.refused(method, 'model_spec { name: "half" }')
                assert told[0] == "UNAUTHENTICATED", (method, told)
            text = f"config {{ {config(entry('x', '/x'))} }}"
            assert secured.refused("HandleReloadConfigRequest", text)[0] == "UNAUTHENTICATED"
            assert secured.healthy("half") == 1
        with grpc.secure_channel(target, grpc.ssl_channel_credentials(ca), options=name) as channel:
            secured.channel = channel
            told = secured.refused("Predict", predict_text("half", 2), metadata=token)
            assert told[0] == "UNAVAILABLE"
    finally:
        secured.channel = plain
