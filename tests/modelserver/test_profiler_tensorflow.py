"""TensorBoard's way to a profile, by TensorFlow's own client, of a server under load."""

import threading
from pathlib import Path

import pytest

from tests.modelserver.server_process import NAME, Server, run, serving_models, write_model

pytestmark = pytest.mark.tensorflow

CAPTURE = Path(__file__).with_name("capture_profile.py")
MILLISECONDS = 1500


def keep_asking(server: Server, over: threading.Event, answered: list[bytes]) -> None:
    while not over.is_set():
        answered.append(server.rest(f"/v1/models/{NAME}:predict", {"instances": [[1.0]]}))


def test_tensorflows_client_captures_what_a_served_model_does(tmp_path: Path) -> None:
    write_model(tmp_path / "models" / "1")
    over, answered = threading.Event(), []  # type: ignore[var-annotated]
    with serving_models(tmp_path / "models", tmp_path / "server") as server:
        server.wait_settled("1")
        client = threading.Thread(target=keep_asking, args=(server, over, answered))
        client.start()
        try:
            address = Path(f"127.0.0.1:{server.grpc_port}")
            said = run(CAPTURE, address, tmp_path / "kept", Path(str(MILLISECONDS)))
        finally:
            over.set()
            client.join(30)
        assert server.rest(f"/v1/models/{NAME}:predict", {"instances": [[1.0]]})
    names = said.splitlines()
    # The model's runs; whether ops as short as its own are told, TensorFlow decides by their times.
    assert {"SessionRun", "ExecutorState::Process"} <= set(names)
    assert answered
