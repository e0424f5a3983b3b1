"""Request logs: which requests come to which file, and as what."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eas_processor.codec import examples, serving, signatures, tensors, tfrecord
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import ConfigError
from eas_processor.modelserver import warmup
from eas_processor.modelserver.request_log import RequestLogs
from tests.codec.models import signature_map
from tests.modelserver.logged_requests import WAIT_S, logged, paths, read, records


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[RequestLogs]:
    made = RequestLogs(str(tmp_path / "logs"))
    yield made
    made.close()


def predict_request(value: float = 1.5) -> bytes:
    request = serving.message("PredictRequest")()
    request.model_spec.name = "m"
    request.model_spec.version_label = "stable"
    request.inputs["x"].dtype = 1
    request.inputs["x"].float_val.append(value)
    return bytes(request.SerializeToString())


def on_examples(*values: float) -> tuple[bytes, Any]:
    """What REST makes of a classify or regress body, and the Examples that are in it."""
    made = []
    for value in values:
        example = serving.message("Example")()
        example.features.feature["x"].float_list.value.append(value)
        made.append(example.SerializeToString())
    known = signatures.read(
        signature_map({"inputs": 7}, {"scores": 1}, method=serving.METHOD_CLASSIFY)
    )
    return examples.ask(made, known, "", serving.METHOD_CLASSIFY, True).request, made


def outputs(name: str, *values: float) -> bytes:
    import numpy as np

    array = np.array(values, np.float32).reshape(-1, 1)
    return tensors.response({name: Tensor(1, array)})


# what a record is


@pytest.mark.parametrize(
    ("method", "field"),
    [
        ("Predict", "predict_log"),
        ("Classify", "classify_log"),
        ("Regress", "regress_log"),
        ("MultiInference", "multi_inference_log"),
    ],
)
def test_grpc_messages_are_kept_byte_for_byte(
    logs: RequestLogs, tmp_path: Path, method: str, field: str
) -> None:
    before = int(time.time())
    logs.follow(logged(rate=1.0))
    unknown = b"\xfa\x07\x03odd"  # a field that is not of this world stays
    request = b"" if method == "MultiInference" else b"\x0a\x03\x0a\x01m"
    logs.grpc("m", 7, method, request + unknown, unknown)
    logs.close()
    (log,) = records(tmp_path)
    assert log.WhichOneof("log_type") == field
    kept = getattr(log, field)
    assert kept.request.SerializeToString() == request + unknown
    assert kept.response.SerializeToString() == unknown
    metadata = log.log_metadata
    assert (metadata.model_spec.name, metadata.model_spec.version.value) == ("m", 7)
    assert metadata.sampling_config.sampling_rate == 1.0
    assert before <= metadata.timestamp_secs <= time.time()


def test_what_rest_made_of_json_becomes_what_a_grpc_client_would_have_sent(
    logs: RequestLogs, tmp_path: Path
) -> None:
    logs.follow(logged())
    predict = tensors.request({"x": Tensor(1, tensors.np.float32([[2.0]]))}, "serving_default")
    logs.rest("m", 3, "predict", predict, outputs("y", 3.0))
    asked, sent = on_examples(2.0, 5.0)
    logs.rest("m", 3, "classify", asked, outputs("scores", 0.25, 0.75))
    logs.rest("m", 3, "regress", asked, outputs("outputs", 3.0, 4.5))
    logs.close()
    predicted, classified, regressed = records(tmp_path)

    request = predicted.predict_log.request
    assert request.model_spec.name == "m"
    assert request.model_spec.signature_name == "serving_default"
    assert list(request.inputs) == ["x"]
    response = predicted.predict_log.response
    assert list(response.outputs) == ["y"]
    assert response.model_spec.version.value == 3

    for log, field in ((classified, "classify_log"), (regressed, "regress_log")):
        request = getattr(log, field).request
        assert request.model_spec.name == "m"
        given = request.input.example_list.examples
        assert [example.SerializeToString() for example in given] == sent
    rows = classified.classify_log.response.result.classifications
    assert [row.classes[0].score for row in rows] == [0.25, 0.75]
    rows = regressed.regress_log.response.result.regressions
    assert [row.value for row in rows] == [3.0, 4.5]


def test_a_log_is_a_warm_up_file(logs: RequestLogs, tmp_path: Path) -> None:
    logs.follow(logged())
    asked, _ = on_examples(2.0)
    for value in range(1500):
        logs.grpc("m", 1, "Predict", predict_request(value), b"")
    logs.rest("m", 1, "classify", asked, outputs("scores", 0.5))
    logs.close()
    (path,) = paths(tmp_path)
    cut = tmp_path / "1" / warmup.FILE
    cut.parent.mkdir(parents=True)
    every = list(read(path))
    cut.write_bytes(b"".join(map(tfrecord.encode, [*every[:999], every[-1]])))
    found = warmup.read(tmp_path / "1", 1, True)
    assert len(found) == 1000
    assert found[41].body == predict_request(41)
    known = signature_map({"inputs": 7}, {"scores": 1}, method=serving.METHOD_CLASSIFY)
    assert found[-1].translate is not None and found[-1].translate(known) == asked


def test_what_cannot_be_made_a_record_is_counted_and_the_next_one_is_kept(
    logs: RequestLogs, tmp_path: Path
) -> None:
    logs.follow(logged())
    logs.rest("m", 1, "regress", b"\xff\xff", b"")
    logs.grpc("m", 1, "Predict", predict_request(), b"")
    logs.close()
    assert len(records(tmp_path)) == 1
    assert logs.counts() == {("m", "INTERNAL"): 1, ("m", "OK"): 1}


# which


def test_the_rate_decides_and_none_is_none(logs: RequestLogs, tmp_path: Path) -> None:
    random.seed(1)
    logs.follow(logged("m", 0.25) | logged("none", 0.0))
    for _ in range(4000):
        logs.grpc("m", 1, "Predict", b"", b"")
        logs.grpc("none", 1, "Predict", b"", b"")
        logs.grpc("unknown", 1, "Predict", b"", b"")
    logs.close()
    found = records(tmp_path)
    assert 850 < len(found) < 1150
    assert {log.log_metadata.model_spec.name for log in found} == {"m"}
    assert logs.counts() == {("m", "OK"): len(found)}


def test_a_changed_configuration_is_followed(logs: RequestLogs, tmp_path: Path) -> None:
    def ask(number: int) -> None:
        logs.grpc("m", number, "Predict", b"", b"")

    ask(1)
    logs.follow(logged(prefix="first"))
    ask(2)
    logs.follow(logged(prefix="first"))  # the same: the file goes on
    ask(3)
    logs.follow(logged(prefix="second"))
    ask(4)
    logs.follow({})
    ask(5)
    logs.follow({})
    ask(6)
    logs.follow(logged(prefix="second"))
    ask(7)
    logs.close()
    found: dict[str, list[list[int]]] = {}
    for path in wait_for(tmp_path, 3):
        made = [serving.parse("PredictionLog", one) for one in read(path)]
        numbers = [log.log_metadata.model_spec.version.value for log in made]
        found.setdefault(path.name.partition("-")[0], []).append(numbers)
    assert found["first"] == [[2, 3]]
    assert sorted(found["second"]) == [[4], [7]]  # each log has a thread: either may be first


def wait_for(folder: Path, count: int) -> list[Path]:
    """So many files that are not empty: logs that ended earlier are not waited for by close."""
    end_s = time.monotonic() + WAIT_S
    while len(found := [path for path in paths(folder) if path.stat().st_size]) < count:
        assert time.monotonic() < end_s, found
        time.sleep(0.01)
    return found


# where


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", "m"),
        ("some", "some"),
        ("deep/er", "deep/er"),
        ("deep/", "deep/m"),
        ("/var/logs/m", "var/logs/m"),
        ("{folder}/own", "own"),
        ("a/../b", "b"),
    ],
)
def test_the_prefix_names_files_inside_the_folder(
    logs: RequestLogs, tmp_path: Path, prefix: str, expected: str
) -> None:
    folder = tmp_path / "logs"
    logs.follow(logged(prefix=prefix.format(folder=folder)))
    logs.grpc("m", 1, "Predict", b"", b"")
    logs.close()
    (path,) = paths(tmp_path)
    name = str(path.relative_to(folder))
    assert name.startswith(f"{expected}-2") and name.endswith(f"Z-{os.getpid()}.tfrecord")


@pytest.mark.parametrize("prefix", ["../out", "/../out", "deep/../../out", "/", ".."])
def test_no_prefix_leads_out_of_the_folder(logs: RequestLogs, tmp_path: Path, prefix: str) -> None:
    logs.follow(logged(prefix=prefix))
    logs.grpc("m", 1, "Predict", b"", b"")
    logs.close()
    assert [path.parent for path in paths(tmp_path)] in ([], [tmp_path / "logs"])
    assert not paths(tmp_path.parent / "out") and not list(tmp_path.glob("out*"))


def test_a_model_name_leads_out_neither(logs: RequestLogs, tmp_path: Path) -> None:
    logs.follow(logged("../up"))
    logs.grpc("../up", 1, "Predict", b"", b"")
    logs.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    logs = RequestLogs("")
    logs.follow(logged(prefix=str(tmp_path / "there")))
    logs.grpc("m", 1, "Predict", b"", b"")
    logs.close()
    assert list(tmp_path.rglob("*")) == [] and logs.counts() == {}


def test_a_folder_that_nothing_can_be_written_to_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "logs", Path("/proc/logs")):
        with pytest.raises(ConfigError, match=f"--request_log_dir: {folder} cannot be made"):
            RequestLogs(str(folder))
