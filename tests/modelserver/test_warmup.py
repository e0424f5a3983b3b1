"""Warm-up records of a model become requests for its worker."""

from pathlib import Path
from typing import Any

import pytest

from eas_processor.codec import serving, tfrecord
from eas_processor.errors import Code, ServingError
from eas_processor.modelserver import warmup
from eas_processor.serving.warmup import REQUESTS_MAX
from eas_processor.worker.frames import Kind


def predict_log(signature: str = "") -> Any:
    log = serving.message("PredictionLog")()
    log.predict_log.request.model_spec.name = "recorded elsewhere"
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs["x"].dtype = 1
    log.predict_log.request.inputs["x"].float_val.append(1.5)
    return log


def example_log(kind: str) -> Any:
    log = serving.message("PredictionLog")()
    request = getattr(log, kind).request
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
    return log


def version(folder: Path, *records: bytes) -> Path:
    path = folder / warmup.FILE
    path.parent.mkdir()
    path.write_bytes(b"".join(tfrecord.encode(record) for record in records))
    return folder


def signatures() -> bytes:
    found = serving.message("SignatureDefMap")()
    for name, outputs in (("serving_default", ["scores", "classes"]), ("regress", ["outputs"])):
        signature = found.signature_def[name]
        signature.method_name = (
            serving.METHOD_CLASSIFY if name == "serving_default" else serving.METHOD_REGRESS
        )
        signature.inputs["inputs"].dtype = 7
        for output in outputs:
            signature.outputs[output].dtype = 7 if output == "classes" else 1
    return bytes(found.SerializeToString())


def test_no_file_is_no_request(tmp_path: Path) -> None:
    assert warmup.read(tmp_path, 1, False) == []


def test_a_predict_record_is_sent_as_it_was_recorded(tmp_path: Path) -> None:
    record = predict_log("serving_default")
    folder = version(tmp_path, record.SerializeToString(), predict_log().SerializeToString())
    first, second = warmup.read(folder, 3, False)
    assert (first.kind, first.replays, first.translate) == (Kind.PREDICT, 3, None)
    sent = serving.parse("PredictRequest", first.body)
    assert sent == record.predict_log.request
    assert first.label == "tf_serving_warmup_requests:1"
    assert second.label == "tf_serving_warmup_requests:2"


def test_a_classify_record_is_translated_by_the_signatures_of_the_model(tmp_path: Path) -> None:
    log = example_log("classify_log")
    (request,) = warmup.read(version(tmp_path, log.SerializeToString()), 1, True)
    assert request.translate is not None
    sent = serving.parse("PredictRequest", request.translate(signatures()))
    assert sent.inputs["inputs"].dtype == 7
    (example,) = log.classify_log.request.input.example_list.examples
    assert list(sent.inputs["inputs"].string_val) == [example.SerializeToString()]


def test_each_task_of_a_multi_inference_record_is_a_request(tmp_path: Path) -> None:
    log = example_log("multi_inference_log")
    for name, method in (
        ("serving_default", serving.METHOD_CLASSIFY),
        ("regress", serving.METHOD_REGRESS),
    ):
        task = log.multi_inference_log.request.tasks.add(method_name=method)
        task.model_spec.name = "m"
        task.model_spec.signature_name = name
    requests = warmup.read(version(tmp_path, log.SerializeToString()), 1, False)
    translated = [request.translate(signatures()) for request in requests if request.translate]
    names = [serving.parse("PredictRequest", body).model_spec.signature_name for body in translated]
    assert names == ["serving_default", "regress"]


@pytest.mark.parametrize("kind", ["session_run_log", "predict_streamed_log", None])
def test_a_record_of_another_kind_fails_the_load(tmp_path: Path, kind: str | None) -> None:
    log = serving.message("PredictionLog")()
    if kind:
        getattr(log, kind).SetInParent()
    words = refusal(version(tmp_path, log.SerializeToString() or b"\n\x00"), Code.UNIMPLEMENTED)
    assert f"requests:1: Unsupported log_type for warmup: {kind or 'none'}" in words


def refusal(folder: Path, code: Code) -> str:
    with pytest.raises(ServingError) as caught:
        warmup.read(folder, 1, False)
    assert caught.value.code == code
    assert caught.value.message.startswith(str(folder / warmup.FILE))
    return caught.value.message


def test_a_record_that_is_no_message_fails_the_load(tmp_path: Path) -> None:
    folder = version(tmp_path, predict_log().SerializeToString(), b"\xff\xff")
    words = refusal(folder, Code.INVALID_ARGUMENT)
    assert "Failed to parse warmup record: tf_serving_warmup_requests:2: " in words


def test_a_file_that_is_no_tfrecord_fails_the_load(tmp_path: Path) -> None:
    folder = version(tmp_path)
    (folder / warmup.FILE).write_bytes(b"instances: [1.0]\n" * 3)
    words = refusal(folder, Code.DATA_LOSS)
    assert "Please verify your warmup data is in TFRecord format" in words


def test_a_file_with_too_many_records_fails_the_load(tmp_path: Path) -> None:
    record = predict_log().SerializeToString()
    folder = version(tmp_path, *[record] * (REQUESTS_MAX + 1))
    assert "exceeds the maximum (1000)" in refusal(folder, Code.INVALID_ARGUMENT)
