"""REST's inference on one connection: paths, JSON in and out byte by byte, statuses."""

import base64

import numpy as np
import pytest

from eas_processor.api.rest_answers import STATUSES
from eas_processor.codec import serving, tensors
from eas_processor.errors import Code
from eas_processor.pool.call import Answer
from eas_processor.serving.lifecycle import State
from eas_processor.worker.frames import TENSOR_CONTENT, Content, Kind
from tests.api.rest_fakes import Host, error, service, signature_map

PREDICT = "/v1/models/m:predict"
ROWS = {"instances": [1.0, 2.0, 5.0]}


def asked(call):
    """(signature, inputs as lists, wanted outputs) of what crosses the wall."""
    message = serving.parse("PredictRequest", call.body)
    inputs = {name: t.values.tolist() for name, t in tensors.inputs(call.body).items()}
    return message.model_spec.signature_name, inputs, list(message.output_filter)


# predict


def test_rows_become_one_call_and_its_outputs_predictions():
    host = Host()
    assert host.post(PREDICT, ROWS) is None
    call = host.call()
    assert (call.kind, call.flags) == (Kind.PREDICT, TENSOR_CONTENT)
    assert asked(call) == ("serving_default", {"x": [1.0, 2.0, 5.0]}, [])
    status, body = host.finish(y=[2.5, 3.0, 4.5])
    assert (status, body) == (200, b'{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}')
    assert "Content-Type: application/json" in host.head
    assert "X-Model-Version: 1" in host.head


def test_columns_are_answered_as_outputs():
    host = Host()
    host.post(PREDICT, {"signature_name": "both", "inputs": {"x": [1.0]}})
    status, body = host.finish(y=[2.5], z=np.array([7], np.int32))
    assert status == 200
    assert body == (
        b'{\n    "outputs": {\n        "y": [\n            2.5\n        ],\n'
        b'        "z": [\n            7\n        ]\n    }\n}'
    )


def test_output_filter_reaches_the_model():
    host = Host()
    host.post(PREDICT, {"signature_name": "both", "inputs": [1.0], "output_filter": ["z"]})
    assert asked(host.call()) == ("both", {"x": [1.0]}, ["z"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/m:predict",
        "/V1/Models/m:PREDICT",
        "/v1/models/%6d:predict",
        "/v1/models/m/versions/3:predict",
        "/v1/models/m/versions/003:predict",
        "/v1/models/m/labels/new:predict",
        "/v1/models/m/Labels/n%65w:Predict",
    ],
)
def test_every_way_to_name_a_version_reaches_it(path):
    one = service(versions=(1, 3))
    one.labels = {"new": 3}
    host = Host(one)
    host.post(path, ROWS)
    assert host.finish(number=3, y=[1.0, 1.0, 1.0])[0] == 200
    assert "X-Model-Version: 3" in host.head


def test_names_are_percent_decoded_as_utf8():
    host = Host(service("数字/a b"))
    host.post("/v1/models/%E6%95%B0%E5%AD%97%2Fa%20b:predict", ROWS)
    assert host.finish("数字/a b", y=[1.0, 1.0, 1.0])[0] == 200


def test_an_older_version_is_asked_by_its_number():
    host = Host(service(versions=(1, 3)))
    host.post("/v1/models/m/versions/1:predict", ROWS)
    assert host.finish(number=1, y=[1.0, 1.0, 1.0])[0] == 200


def test_base64_in_a_body_is_bytes_in_the_tensor():
    one = service()
    message = serving.parse("SignatureDefMap", signature_map())
    message.signature_def["serving_default"].inputs["x"].dtype = 7
    for version in one.versions.values():
        version.signatures = message.SerializeToString()
    host = Host(one)
    host.post(PREDICT, {"instances": [{"b64": base64.b64encode(b"\xff\x00").decode()}]})
    assert asked(host.call())[1] == {"x": [b"\xff\x00"]}


# classify, regress


def test_classify_sends_examples_and_answers_labels_with_scores():
    host = Host()
    document = {"signature_name": "to_class", "examples": [{"x": [1.0]}, {"x": [2.0]}]}
    host.post("/v1/models/m:classify", document)
    signature, inputs, _ = asked(host.call())
    assert signature == "to_class" and len(inputs["inputs"]) == 2
    status, body = host.finish(scores=[[2.5], [3.0]])
    assert status == 200
    assert body == b'{\n    "results": [[["", 2.5]], [["", 3.0]]\n    ]\n}'


def test_regress_answers_numbers():
    host = Host()
    document = {"signature_name": "to_number", "examples": [{"x": [1.0]}, {"x": [2.0]}]}
    host.post("/v1/models/m:regress", document)
    assert host.finish(outputs=[2.5, 3.0]) == (200, b'{\n    "results": [2.5, 3.0]\n}')
    (series,) = [s for s in host.metrics.all_series() if s.example_counts]
    assert dict(series.example_counts) == {2: 1} and series.key.signature == "to_number"


def test_a_signatures_method_is_looked_at_only_if_the_operator_wants_that():
    document = {"signature_name": "to_class", "examples": [{"x": [1.0]}]}
    status, body = Host(check_methods=True).post("/v1/models/m:regress", document)
    assert status == 400 and b"Expected regression signature method_name" in body


@pytest.mark.parametrize("check_methods", [False, True])
def test_predict_wants_a_signature_of_one_of_the_methods_only_then(check_methods):
    message = serving.parse("SignatureDefMap", signature_map())
    message.signature_def["serving_default"].method_name = "my/own"
    odd = service("m", signatures=message.SerializeToString())
    host = Host(odd, check_methods=check_methods)
    answered = host.post("/v1/models/m:predict", ROWS)
    if check_methods:
        assert answered[0] == 500
        assert b"Expected prediction signature method_name to be one of" in answered[1]
    else:
        assert answered is None  # it waits for its worker


# what is refused


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/models/m:predict"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:explain"),
        ("POST", "/v1/models/m/versions/x:predict"),
        ("POST", "/v1/models/m/versions/1/labels/l:predict"),
        ("POST", "/v1/models/m/metadata:predict"),
        ("PUT", "/v1/models/m:predict"),
        ("PATCH", "/v1/models/m"),
        ("DELETE", "/v1/models/m/versions/1"),
    ],
)
def test_what_fits_no_path_is_malformed(method, path):
    host = Host()
    answered = host.send(method, path, b"{}")
    assert answered == (400, error(f"Malformed request: {method} {path}"))
    assert host.counted() == {("", "", "malformed", "", "INVALID_ARGUMENT"): 1}


@pytest.mark.parametrize(
    "path", ["/v1/models/versions/1", "/v1/models/labels/l", "/v1/Models/Versions/1/metadata"]
)
def test_a_version_or_label_of_no_model_lacks_its_name(path):
    assert Host().send("GET", path) == (400, error("Missing model name in request."))
    assert Host().post(path, {}) == (400, error(f"Malformed request: POST {path}"))


def test_a_query_is_part_of_the_path():
    path = "/v1/models/m:predict?x=1"
    assert Host().post(path, ROWS) == (400, error(f"Malformed request: POST {path}"))
    asked_for = error("Could not find any versions of model m?x=1")
    assert Host().send("GET", "/v1/models/m?x=1") == (404, asked_for)


def test_head_is_malformed_too_and_has_no_body():
    assert Host().send("HEAD", "/v1/models/m") == (400, b"")


def test_outside_of_its_prefix_nothing_is_ours():
    assert Host().send("GET", "/v1") == (404, b"nothing here\n")
    assert Host().send("GET", "/monitoring/prometheus/metrics") == (404, b"nothing here\n")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/models/no:predict", 404, "Servable not found for request: Latest(no)"),
        (
            "/v1/models/no/versions/7:predict",
            404,
            "Servable not found for request: Specific(no, 7)",
        ),
        ("/v1/models/m/versions/7:predict", 404, "Servable not found for request: Specific(m, 7)"),
        ("/v1/models/m/labels/l:predict", 400, "Unrecognized servable version label: l"),
        (
            "/v1/models/m/versions/9223372036854775808:predict",
            400,
            "Failed to convert version: 9223372036854775808 to numeric.",
        ),
    ],
)
def test_what_is_not_there_is_told_in_the_peers_words(path, status, words):
    assert Host().post(path, ROWS) == (status, error(words))


def test_a_version_of_thousands_of_digits_is_no_number():
    status, body = Host().post(f"/v1/models/m/versions/{'9' * 5000}:predict", ROWS)
    assert status == 400 and body.startswith(b'{ "error": "Failed to convert version: 999')


def test_a_model_that_is_not_loaded_yet_is_not_found():
    one = service()
    one.current.lifecycle.move(State.DRAINING)
    assert Host(one).post(PREDICT, ROWS)[0] == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (
            b'{"signature_name": "s", "instances": [1.0]}',
            'Serving signature name: "s" not found in signature def',
        ),
    ],
)
def test_a_mistake_in_the_body_is_the_clients(body, words):
    host = Host()
    assert host.send("POST", PREDICT, body) == (400, error(words))
    assert host.counted() == {("m", "", "predict", "", "INVALID_ARGUMENT"): 1}


def test_a_processor_without_signatures_says_so():
    status, body = Host(service(signatures=b"")).post(PREDICT, ROWS)
    assert status == 501 and b"m has no signatures" in body


@pytest.mark.parametrize(("code", "status"), STATUSES.items())
def test_each_error_of_a_call_has_its_status(code, status):
    host = Host()
    host.post(PREDICT, ROWS)
    if code != Code.OK:
        assert host.fail(code, 'say "so"') == (status, b'{ "error": "say \\"so\\"" }')


def test_overload_rate_and_a_lost_worker_are_statuses_that_clients_retry():
    assert [STATUSES[c] for c in (Code.QUEUE_FULL, Code.RATE_LIMITED, Code.WORKER_LOST)] == [
        503,
        429,
        503,
    ]


def test_a_code_that_no_table_has_is_an_internal_error():
    host = Host()
    host.post(PREDICT, ROWS)
    assert host.fail(77, "odd") == (500, error("odd"))


def test_outputs_that_rows_can_not_show_are_refused_after_the_run():
    host = Host()
    host.post(PREDICT, ROWS)
    status, body = host.finish(y=np.float32(3.0))
    assert status == 400 and b"has no shape information" in body
    assert host.counted() == {("m", "1", "predict", "serving_default", "INVALID_ARGUMENT"): 1}


def test_outputs_that_are_none_are_told_and_do_not_hang():
    host = Host()
    host.post(PREDICT, ROWS)
    host.call().finish(Answer(Code.OK, Content.BINARY, b"\xff\xff\xff not a protobuf"))
    assert host.answer()[0] == 500


@pytest.mark.parametrize("broken", ["predict_request", "predict_answer"])
def test_what_breaks_here_is_an_internal_error_without_details(broken, monkeypatch):
    def breaks(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(f"eas_processor.codec.rest.{broken}", breaks)
    host = Host()
    answered = host.post(PREDICT, ROWS) or host.finish(y=[1.0, 1.0, 1.0])
    assert answered == (500, error("internal error; the server's log says more"))
