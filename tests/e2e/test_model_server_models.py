"""What clients of TensorFlow Serving ask: shapes, texts, tables, warm-up, TFLite, ops."""

import base64
import json
import shutil

import numpy as np
import pytest

from eas_processor.codec import predict, serving
from tests.e2e.model_server_process import (
    NEW,
    Load,
    ModelServer,
    config,
    entry,
    predict_text,
    put,
    written,
)
from tests.e2e.test_tensorflow import ROOT, run
from tests.tfserving_clients.environment import clients

__all__ = ["clients", "written"]

pytestmark = pytest.mark.tensorflow

WARMUP = "assets.extra/tf_serving_warmup_requests"
BADLY_WARMED = {
    "failing": ("INVALID_ARGUMENT", "x"),  # the input that the second record leaves out
    "unsupported": ("UNIMPLEMENTED", "Unsupported log_type for warmup: session_run_log"),
    "garbage": ("DATA_LOSS", "Please verify your warmup data is in TFRecord format"),
}


@pytest.fixture(scope="module")
def server(written, clients, tmp_path_factory):
    """Many models in one server; `half_plus_two` brings warm-up records of all kinds."""
    folder = tmp_path_factory.mktemp("models")
    run(NEW, "served_models.py", ROOT, folder / "written", "own_op")
    clients.run("write_warmup.py", folder, light=False)
    for name in ("half_plus_two", "half_plus_three", "texts", "table", "summed"):
        put(written / name, folder / name, 123)
    put(folder / "written" / "own_op", folder / "own_op", 123)
    warm(folder / "half_plus_two" / "123", folder / "all")
    for name in BADLY_WARMED:
        put(written / "half_plus_two", folder / f"warmed_{name}", 1)
        warm(folder / f"warmed_{name}" / "1", folder / name)
    (folder / "no_model" / "1").mkdir(parents=True)
    (folder / "no_model" / "1" / "notes.txt").write_text("still to come")
    names = [path.name for path in folder.iterdir() if path.is_dir() and path.name != "written"]
    (folder / "models.config").write_text(config(*(entry(n, folder / n) for n in names)))
    flags = ["--prefer_tflite_model", f"--op_libraries={folder / 'own_op' / '123' / 'op.so'}",
             "--max_num_load_retries=0",
             f"--model_config_file={folder / 'models.config'}"]  # fmt: skip
    with ModelServer(folder, *flags) as server:
        for name in names:
            server.until(lambda n=name: {row[0] for row in server.states(n).values()}
                         & {"AVAILABLE", "END"})  # fmt: skip
        yield server


def warm(version, records):
    (version / "assets.extra").mkdir()
    shutil.copy(records, version / WARMUP)


def texts(server, document, signature="serving_default"):
    return server.rest("/v1/models/texts:predict", {"signature_name": signature, **document})


# half_plus_two and half_plus_three, as the peer's documentation asks them


def test_the_well_known_answers(server):
    assert server.predict("half_plus_two", 1.0, 2.0, 5.0).json == {"predictions": [2.5, 3.0, 4.5]}
    assert server.predict("half_plus_three", 1.0, 2.0, 5.0).json == {"predictions": [3.5, 4.0, 5.5]}
    assert server.grpc_predict("half_plus_two", 1, 2, 5) == (123, [2.5, 3.0, 4.5])
    path = "/v1/models/half_plus_two"
    document = {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}, {"x": 2.0}]}
    assert server.rest(f"{path}:regress", document).json == {"results": [2.5, 3.0]}
    document["signature_name"] = "classify_x_to_y_with_label"
    assert server.rest(f"{path}:classify", document).json == {
        "results": [[["label", 2.5]], [["label", 3.0]]]
    }


@pytest.mark.parametrize("model", ["half_plus_two", "half_plus_three"])
def test_any_shape_is_taken_whatever_the_signature_states(server, model):
    more = {"half_plus_two": 2, "half_plus_three": 3}[model]
    for inputs in (4.0, [4.0], [4.0, 2.0, 8.0], [[4.0]], [[4.0], [2.0]]):
        reply = server.rest(f"/v1/models/{model}:predict", {"inputs": inputs})
        assert reply.json == {"outputs": (np.array(inputs) / 2 + more).tolist()}, inputs
    for shape in ("", "dim { size: 1 }", "dim { size: 1 } dim { size: 1 }"):
        answer = server.grpc("Predict", f'model_spec {{ name: "{model}" }} inputs {{ key: "x" '
                             f"value {{ dtype: DT_FLOAT float_val: 4 tensor_shape {{ {shape} }} "
                             "} }")  # fmt: skip
        y = answer.outputs["y"]
        assert list(y.float_val) == [2 + more]
        assert len(y.tensor_shape.dim) == shape.count("dim")


def test_metadata_is_that_of_the_version(server):
    told = server.rest("/v1/models/half_plus_two/versions/123/metadata").json
    assert told["model_spec"] == {
        "name": "half_plus_two", "signature_name": "", "version": "123",
    }  # fmt: skip
    found = told["metadata"]["signature_def"]["signature_def"]
    assert found["regress_x_to_y"]["method_name"] == "tensorflow/serving/regress"
    assert found["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    text = 'model_spec { name: "half_plus_two" } metadata_field: "signature_def"'
    answer = server.grpc("GetModelMetadata", text)
    assert answer.model_spec.version.value == 123
    assert b"regress_x2_to_y3" in answer.metadata["signature_def"].value


# texts, bytes, numbers that are none, tables


def test_strings_and_bytes_come_back_as_they_were(server):
    sent = ["grün", "", {"b64": base64.b64encode("日本".encode()).decode()}]
    told = texts(server, {"instances": [{"text": t, "number": 0.0} for t in sent]}).json
    assert [row["text"] for row in told["predictions"]] == ["grün", "", "日本"]
    raw = bytes(range(256))
    b64 = {"b64": base64.b64encode(raw).decode()}
    told = texts(server, {"instances": [b64]}, "text").json["predictions"]
    assert told == [b64]
    reply = texts(server, {"instances": [1.0]}, "text")
    assert reply.status == 400 and "is not of expected type: string" in reply.error


def test_numbers_that_are_none_go_both_ways(server):
    body = b'{"inputs": {"text": ["", "", "", ""], "number": [NaN, Infinity, -Infinity, 0.1]}}'
    numbers = server.rest("/v1/models/texts:predict", body).json["outputs"]["number"]
    assert np.isnan(numbers[0]) and numbers[1:] == [np.inf, -np.inf, 0.1]


def test_a_lookup_table_is_initialised_and_finds(server):
    assert server.predict("table", "drei", "eins", "vier").json == {"predictions": [2, 0, -1]}


# tensors that are not JSON


def test_outputs_are_picked_and_tensors_need_not_be_json(server):
    rows = {"instances": [{"text": "a", "number": 0.5}], "output_filter": ["number"]}
    assert texts(server, rows).json == {"predictions": [0.5]}
    reply = texts(server, {**rows, "output_filter": ["nothing"]})
    assert reply.status == 400 and "output tensor alias not found in signature" in reply.error
    path, raw = "/v1/models/half_plus_two:predict", np.array([1, 5], "<f4")
    headers = dict.fromkeys(("Content-Type", "Accept"), "application/octet-stream")
    reply = server.rest(f"{path}?shape=2,1", raw.tobytes(), headers=headers)
    assert np.frombuffer(reply.body, "<f4").tolist() == [2.5, 4.5]
    told = [
        reply.headers[f"X-{name}"] for name in ("Tensor-Dtype", "Tensor-Shape", "Model-Version")
    ]
    assert told == ["float", "2,1", "123"]
    whole = {"b64": base64.b64encode(raw.tobytes()).decode(), "shape": [2]}
    assert server.rest(path, {"inputs": whole}).json == {"outputs": [2.5, 4.5]}
    headers = dict.fromkeys(("Content-Type", "Accept"), "application/x-protobuf")
    request = serving.text("PredictRequest", predict_text("half_plus_two", 1, 5))
    reply = server.rest(path, request.SerializeToString(), headers=headers)
    answer = serving.message("PredictResponse").FromString(reply.body)
    assert answer.model_spec.version.value == 123
    assert np.frombuffer(answer.outputs["y"].tensor_content, "<f4").tolist() == [2.5, 4.5]


# warm-up


def test_records_of_all_kinds_are_replayed_before_a_version_is_available(server):
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    events = [(line["event"], line.get("service", line.get("request"))) for line in lines]
    loaded, ready = (
        events.index((event, "half_plus_two")) for event in ("worker loaded", "service ready")
    )
    warmed = [label for event, label in events[loaded:ready] if event == "warmed up"]
    records = {f"tf_serving_warmup_requests:{number}" for number in (1, 2, 3, 4)}
    assert set(warmed) == records and warmed.count("tf_serving_warmup_requests:4") == 2


@pytest.mark.parametrize("name", BADLY_WARMED)
def test_a_bad_record_fails_the_load(server, name):
    state, code, words = server.states(f"warmed_{name}")[1]
    wanted_code, wanted_words = BADLY_WARMED[name]
    assert (state, code) == ("END", wanted_code) and wanted_words in words, words
    assert server.predict(f"warmed_{name}", 1.0).status == 404


# what is no model


def test_a_folder_without_a_model_is_told_in_the_words_of_the_other_server(server):
    state, code, words = server.states("no_model")[1]
    assert (state, code) == ("END", "NOT_FOUND")
    text = "Could not find SavedModel .pb or .pbtxt at supplied export directory path: /"
    assert words.startswith(text) and "notes.txt" in words


# beyond SavedModels


def test_a_tflite_model_is_served_where_it_is_preferred_and_there(server):
    told = server.rest("/v1/models/summed/metadata").json["metadata"]["signature_def"]
    (signature,) = told["signature_def"].values()
    assert "images" not in signature["inputs"]  # of the SavedModel beside it
    for rows in ([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0], [0.5, 0.0, 0.0]]):
        told = server.predict("summed", *rows).json["predictions"]
        assert told == [[sum(row) + 1] for row in rows]


def test_an_op_library_brings_the_op_that_a_model_needs(server):
    reply = server.rest("/v1/models/own_op:predict", {"inputs": [1.0, -42.0]})
    assert reply.json == {"outputs": [43.0, 0.0]}


# the other dialect


def test_the_eas_sdk_asks_the_same_model_while_rest_and_grpc_do(server, sdk):
    image = np.array([[1.0], [5.0]], np.float32)
    request = predict.request("serving_default", {"x": ("DT_FLOAT", image)}, [])
    path = "/api/predict/half_plus_two"
    expected = server.rest(path, request).body
    asks = (
        lambda: server.predict("half_plus_two", [1.0], [5.0]).body,
        lambda: tuple(server.grpc_predict("half_plus_two", 1, 5)[1]),
        lambda: server.rest(path, request).body,
    )
    told = json.dumps({"feeds": {"x": {"dtype": "DT_FLOAT", "shape": [2, 1], "values": [1, 5]}}})
    with Load(asks[0]) as rest, Load(asks[1]) as grpc, Load(asks[2]) as eas:
        endpoint = f"http://127.0.0.1:{server.port}"
        done = sdk.run("feed.py", endpoint, "", "half_plus_two", told)
        server.until(lambda: min(load.counts.total() for load in (rest, grpc, eas)) > 20)
    assert json.loads(done.stdout)["outputs"]["y"]["values"] == [2.5, 4.5]
    assert [len(load.counts) for load in (rest, grpc, eas)] == [1, 1, 1]
    assert set(grpc.counts) == {(2.5, 4.5)} and set(eas.counts) == {expected}
    assert predict.response(expected)["y"][1].ravel().tolist() == [2.5, 4.5]
