"""Classify, Regress and MultiInference become runs on serialised Examples, and back."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eas_processor.codec import examples, serving, signatures, tensors
from eas_processor.codec.serving import METHOD_CLASSIFY, METHOD_REGRESS
from eas_processor.codec.signatures import Signatures
from eas_processor.errors import Code, ServingError
from tests.codec.models import signature_map

STRING, FLOAT = 7, 1
CLASSIFIER = signatures.read(
    signature_map({"inputs": STRING}, {"classes": STRING, "scores": FLOAT}, method=METHOD_CLASSIFY)
)
REGRESSOR = signatures.read(
    signature_map({"inputs": STRING}, {"outputs": FLOAT}, key="regress", method=METHOD_REGRESS)
)
BOTH = {**CLASSIFIER, **REGRESSOR}
SCORES = np.array([[0.25, 0.75]], np.float32)


def _example(**features: Any) -> Any:
    example = serving.message("Example")()
    for name, values in features.items():
        kind = {int: "int64_list", float: "float_list", bytes: "bytes_list"}[type(values[0])]
        getattr(example.features.feature[name], kind).value.extend(values)
    return example


def _fed(asked: signatures.Asked) -> list[Any]:
    flat = tensors.inputs(asked.request)["inputs"].values.tolist()
    return [serving.parse("Example", item) for item in flat]


def _refusal(call: Any, *arguments: Any, code: Code = Code.INVALID_ARGUMENT) -> str:
    with pytest.raises(ServingError) as caught:
        call(*arguments)
    assert caught.value.code is code
    return caught.value.message


def test_examples_are_fed_as_the_bytes_they_came_in() -> None:
    request = serving.message("ClassificationRequest")()
    request.model_spec.name = "m"
    sent = [_example(x=[1.5]), _example(x=[2])]
    request.input.example_list.examples.extend(sent)
    asked = examples.classify_request(request.SerializeToString(), CLASSIFIER)
    assert _fed(asked) == sent
    assert (asked.signature, asked.rows) == ("serving_default", 2)
    message = serving.parse("PredictRequest", asked.request)
    assert list(message.output_filter) == ["classes", "scores"]
    assert examples.model_spec(request.SerializeToString()).name == "m"


def test_the_context_is_shared_and_the_examples_own_features_win() -> None:
    request = serving.message("RegressionRequest")()
    request.model_spec.signature_name = "regress"
    held = request.input.example_list_with_context
    held.context.CopyFrom(_example(a=[1], b=[1]))
    held.examples.extend([_example(b=[2]), _example(c=[3])])
    asked = examples.regress_request(request.SerializeToString(), REGRESSOR)
    assert _fed(asked) == [_example(a=[1], b=[2]), _example(a=[1], b=[1], c=[3])]


def test_a_context_that_would_become_very_large_is_refused() -> None:
    request = serving.message("ClassificationRequest")()
    held = request.input.example_list_with_context
    held.context.CopyFrom(_example(a=[b"x" * 50_000]))
    for _ in range(1 + examples.CONTEXT_BYTES_MAX // 50_000):
        held.examples.add()
    message = _refusal(examples.classify_request, request.SerializeToString(), CLASSIFIER)
    assert "send fewer examples at a time" in message


def test_no_example_is_an_empty_input() -> None:
    for request in (b"", b"\x12\x02\x0a\x00"):
        assert _refusal(examples.classify_request, request, CLASSIFIER) == "Input is empty."


ONE_EXAMPLE = serving.message("ClassificationRequest")()
ONE_EXAMPLE.input.example_list.examples.add()
REQUEST = ONE_EXAMPLE.SerializeToString()


def _model(inputs: dict[str, int], outputs: dict[str, int]) -> Signatures:
    return signatures.read(signature_map(inputs, outputs))


@pytest.mark.parametrize(
    ("known", "message", "code"),
    [
        ({}, "No signature was found with the name: serving_default", Code.INVALID_ARGUMENT),
        (
            _model({"inputs": 7, "more": 7}, {"scores": 1}),
            "Expected one input Tensor.",
            Code.INVALID_ARGUMENT,
        ),
        (
            _model({"inputs": 7}, {"a": 1, "b": 1, "scores": 1}),
            "Expected one or two output Tensors, found 3",
            Code.INVALID_ARGUMENT,
        ),
        (
            _model({"x": 7}, {"scores": 1}),
            "No classification inputs found in SignatureDef: serving_default",
            Code.INVALID_ARGUMENT,
        ),
        (
            _model({"inputs": 7}, {"y": 1}),
            'Expected classification signature outputs to contain at least one of "classes" or '
            '"scores". Signature was: serving_default',
            Code.INVALID_ARGUMENT,
        ),
    ],
)
def test_a_signature_that_cannot_classify_is_refused(
    known: Signatures, message: str, code: Code
) -> None:
    assert _refusal(examples.classify_request, REQUEST, known, code=code) == message


def test_the_method_name_counts_only_when_it_is_checked() -> None:
    known = _model({"inputs": STRING}, {"scores": FLOAT, "classes": STRING})
    assert examples.classify_request(REQUEST, known).rows == 1
    assert _refusal(examples.classify_request, REQUEST, known, True) == (
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict"
    )
    assert examples.classify_request(REQUEST, CLASSIFIER, True).rows == 1


def test_a_response_holds_the_classes_of_each_example() -> None:
    outputs = {"classes": np.array([["no", "yes"]]), "scores": SCORES}
    body = examples.classify_answer(tensors.response(outputs), 1)
    body += serving.model_spec_field("m", 3, "serving_default")
    response = serving.parse("ClassificationResponse", body)
    (found,) = response.result.classifications
    assert [(one.label, one.score) for one in found.classes] == [("no", 0.25), ("yes", 0.75)]
    assert response.model_spec.version.value == 3


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"scores": np.zeros((2, 2), "f4")}, "Expected scores output batch size of 1. Got: 2"),
        (
            {"scores": np.zeros(1, "f4")},
            "Expected Tensor shape: [batch_size num_classes] but got [1]",
        ),
        (
            {"scores": np.zeros((1, 1), "f8")},
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            {"scores": SCORES, "classes": np.array([["a"]])},
            "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
        ),
    ],
)
def test_classes_of_a_wrong_shape_are_refused(outputs: dict[str, Any], message: str) -> None:
    assert _refusal(examples.classify_answer, tensors.response(outputs), 1) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.zeros((1, 2), "f4"),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            "[1,2]",
        ),
        (np.zeros(2, "f4"), "Input batch size did not match output batch size: 1 vs. 2"),
        (np.zeros(1, "f8"), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    ],
)
def test_regressions_of_a_wrong_shape_are_refused(values: np.ndarray, message: str) -> None:
    response = tensors.response({"outputs": values})
    assert _refusal(examples.regress_answer, response, 1) == message


# ---- MultiInference


def _multi(*tasks: tuple[str, str], name: str = "m") -> bytes:
    request = serving.message("MultiInferenceRequest")()
    request.input.example_list.examples.add()
    for signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name = name
        task.model_spec.signature_name = signature
    return bytes(request.SerializeToString())


def test_several_tasks_answer_in_their_order() -> None:
    body = _multi(("regress", METHOD_REGRESS), ("", METHOD_CLASSIFY))
    multi = examples.multi_request(body, BOTH)
    assert [asked.signature for asked in multi.asked] == ["regress", "serving_default"]
    answers = [
        tensors.response({"outputs": np.array([1.5], "f4")}),
        tensors.response({"classes": np.array([["a", "b"]]), "scores": SCORES}),
    ]
    whole = examples.multi_answer(answers, multi, "m", 4)
    first, second = serving.parse("MultiInferenceResponse", whole).results
    assert first.regression_result.regressions[0].value == 1.5
    assert second.classification_result.classifications[0].classes[1].label == "b"
    assert second.model_spec.signature_name == "serving_default"
    assert second.model_spec.version.value == 4


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (
            _multi(("", METHOD_CLASSIFY), ("serving_default", METHOD_CLASSIFY)),
            "Duplicate evaluation of signature: serving_default",
            Code.INVALID_ARGUMENT,
        ),
        (
            _multi(("", "tensorflow/serving/predict")),
            "Unsupported signature method_name: tensorflow/serving/predict",
            Code.UNIMPLEMENTED,
        ),
        (
            _multi(("s", METHOD_CLASSIFY)),
            "Requested signature not found in model graph: s",
            Code.INVALID_ARGUMENT,
        ),
        (
            _multi(("", METHOD_CLASSIFY), name=""),
            "Found ModelSpec with an empty model name.",
            Code.INVALID_ARGUMENT,
        ),
        (_multi(), "Inference request must have at least one task.", Code.INVALID_ARGUMENT),
    ],
)
def test_tasks_that_cannot_be_done_are_refused(body: bytes, message: str, code: Code) -> None:
    assert _refusal(examples.multi_request, body, BOTH, code=code) == message


def test_tasks_may_take_different_tensors_of_the_graph() -> None:
    body = _multi(("regress", METHOD_REGRESS), ("", METHOD_CLASSIFY))
    for regress_takes in ("examples:0", "others:0"):  # TensorFlow 2 gives each signature its own
        known = dict(BOTH)
        for key, tensor in (("serving_default", "examples:0"), ("regress", regress_takes)):
            spec = replace(known[key].inputs["inputs"], tensor=tensor)
            known[key] = replace(known[key], inputs={"inputs": spec})
        assert len(examples.multi_request(body, known).asked) == 2
