"""gRPC Classify, Regress and MultiInference to and from Predict: bytes in, bytes out.

    classify_request(request, signatures, check_method), regress_request(…)     Asked
    classify_answer(response, rows), regress_answer(response, rows)             `result` alone
    multi_tasks(request)                                                        its tasks
    multi_request(request, signatures, check_method)                            MultiAsked
    multi_answer(responses, asked, name, version)                               the whole response
    serialised(input)           the Examples of an Input, as bytes
    model_spec(request)         the ModelSpec of any request of the PredictionService

Examples are never opened: their bytes are cut out of the request and fed as a vector of strings. A
context is put before each of them, so that an example's own features win when protobuf merges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eas_processor.codec import classes, dtypes, serving, signatures, tensors
from eas_processor.codec.json_text import refused
from eas_processor.codec.serving import METHOD_CLASSIFY, METHOD_REGRESS
from eas_processor.codec.signatures import Asked, Signature, Signatures
from eas_processor.codec.tensors import Tensor
from eas_processor.errors import Code, ServingError

NOT_FOUND = "No signature was found with the name: {}"
INPUTS = "inputs"
CONTEXT_BYTES_MAX = 64 << 20  # repeated for each Example of a request


@dataclass(frozen=True)
class MultiAsked:
    """A MultiInferenceRequest. asked: the runs of its tasks, methods: theirs, in the same order."""

    model_spec: Any
    asked: tuple[Asked, ...]
    methods: tuple[str, ...]


def _view(name: str) -> Any:
    """A request's class whose Examples are bytes."""
    return serving.view(f"tensorflow.serving.{name}", "ExampleList", ("examples", "context"))


def model_spec(request: bytes) -> Any:
    """Field 1 of a Predict, Classify, Regress, status or metadata request."""
    return serving.parse("GetModelStatusRequest", request).model_spec


def serialised(input_body: bytes) -> list[bytes]:
    """The Examples of a serialised Input. Raises ServingError INVALID_ARGUMENT for none."""
    return _serialised(serving.parse(_view("Input"), input_body))


def _serialised(given: Any) -> list[bytes]:
    if given.WhichOneof("kind") == "example_list_with_context":
        held = given.example_list_with_context
        examples = with_context(held.context, list(held.examples))
    else:
        examples = list(given.example_list.examples)
    if not examples:
        raise refused("Input is empty.")
    return examples


def with_context(context: bytes, examples: list[bytes]) -> list[bytes]:
    """Serialised Examples that each have the features of `context`, too.

    Raises ServingError INVALID_ARGUMENT where a small request would become a very large one.
    """
    if context and len(context) * len(examples) > CONTEXT_BYTES_MAX:
        raise refused(
            f"the context has {len(context)} bytes, which for {len(examples)} examples is more "
            f"than {CONTEXT_BYTES_MAX} bytes in all; send fewer examples at a time"
        )
    return [context + example for example in examples]


# ---- Classify, Regress


def classify_request(request: bytes, known: Signatures, check_method: bool = False) -> Asked:
    """The run that a ClassificationRequest asks for. Raises ServingError."""
    return _one(request, known, METHOD_CLASSIFY, check_method)


def regress_request(request: bytes, known: Signatures, check_method: bool = False) -> Asked:
    """The run that a RegressionRequest asks for. Raises ServingError."""
    return _one(request, known, METHOD_REGRESS, check_method)


def _one(request: bytes, known: Signatures, method: str, check_method: bool) -> Asked:
    message = serving.parse(_view("ClassificationRequest"), request)
    name = message.model_spec.signature_name
    return ask(_serialised(message.input), known, name, method, check_method)


def ask(
    examples: list[bytes], known: Signatures, name: str, method: str, check_method: bool
) -> Asked:
    """The run of a signature on serialised Examples, once the signature is fit for the method."""
    signature = signatures.find(known, name, NOT_FOUND)
    wanted = check_signature(signature, method, check_method)
    flat = np.empty(len(examples), object)
    flat[:] = examples
    given = {INPUTS: Tensor(dtypes.DT_STRING, flat)}
    return Asked(tensors.request(given, signature.key, wanted), signature.key, rows=len(examples))


def check_signature(signature: Signature, method: str, check_method: bool) -> list[str]:
    """The outputs to ask for. Raises ServingError if the signature cannot classify or regress."""
    kind = "classification" if method == METHOD_CLASSIFY else "regression"
    if check_method and signature.method_name != method:
        raise refused(
            f"Expected {kind} signature method_name to be {method}. Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise refused("Expected one input Tensor.")
    outputs = signature.outputs
    if method == METHOD_REGRESS and len(outputs) != 1:
        raise refused("Expected one output Tensor.")
    if method == METHOD_CLASSIFY and len(outputs) not in (1, 2):
        raise refused(f"Expected one or two output Tensors, found {len(outputs)}")
    if INPUTS not in signature.inputs:
        raise refused(f"No {kind} inputs found in SignatureDef: {signature.key}")
    if method == METHOD_REGRESS:
        if classes.REGRESSIONS not in outputs:
            raise refused(f"No regression outputs found in SignatureDef: {signature.key}")
        return [classes.REGRESSIONS]
    wanted = [name for name in (classes.CLASSES, classes.SCORES) if name in outputs]
    if not wanted:
        raise refused(f"{classes.NO_OUTPUTS} Signature was: {signature.key}")
    return wanted


def classify_answer(response: bytes, rows: int) -> bytes:
    """A ClassificationResponse that holds `result` alone."""
    message = serving.message("ClassificationResponse")(result=_classification(response, rows))
    body: bytes = message.SerializeToString()
    return body


def regress_answer(response: bytes, rows: int) -> bytes:
    """A RegressionResponse that holds `result` alone."""
    message = serving.message("RegressionResponse")(result=_regression(response, rows))
    body: bytes = message.SerializeToString()
    return body


def _classification(response: bytes, rows: int) -> Any:
    labels, scores = classes.classified(response, rows)
    result = serving.message("ClassificationResult")()
    for row, (names, values) in enumerate(zip(labels, scores.tolist(), strict=True)):
        entry = result.classifications.add()
        for name, value in zip(names, values, strict=True):
            try:
                entry.classes.add(label=name.decode(), score=value)
            except UnicodeDecodeError:
                raise refused(f"classes: a label of row {row} is not UTF-8") from None
    return result


def _regression(response: bytes, rows: int) -> Any:
    result = serving.message("RegressionResult")()
    for value in classes.regressed(response, rows).tolist():
        result.regressions.add(value=value)
    return result


# ---- MultiInference

_RESULTS: dict[str, tuple[str, Callable[[bytes, int], Any]]] = {
    METHOD_CLASSIFY: ("classification_result", _classification),
    METHOD_REGRESS: ("regression_result", _regression),
}


def multi_tasks(request: bytes) -> Any:
    """The tasks of a MultiInferenceRequest: by their ModelSpecs a version is found."""
    return serving.parse(_view("MultiInferenceRequest"), request).tasks


def multi_request(request: bytes, known: Signatures, check_method: bool = False) -> MultiAsked:
    """The runs that a MultiInferenceRequest asks for. Raises ServingError."""
    message = serving.parse(_view("MultiInferenceRequest"), request)
    examples = _serialised(message.input)
    if not message.tasks:
        raise refused("Inference request must have at least one task.")
    first = message.tasks[0].model_spec
    asked: list[Asked] = []
    for task in message.tasks:
        if not task.model_spec.name:
            raise refused("Found ModelSpec with an empty model name.")
        if task.model_spec.name != first.name:
            raise refused(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        if task.method_name not in _RESULTS:
            raise ServingError(
                Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}"
            )
        name = task.model_spec.signature_name or serving.DEFAULT_SIGNATURE
        if any(name == other.signature for other in asked):
            raise refused(f"Duplicate evaluation of signature: {name}")
        signatures.find(known, name, "Requested signature not found in model graph: {}")
        asked.append(ask(examples, known, name, task.method_name, check_method))
    methods = tuple(task.method_name for task in message.tasks)
    return MultiAsked(first, tuple(asked), methods)


def multi_answer(responses: Sequence[bytes], multi: MultiAsked, name: str, version: int) -> bytes:
    """The MultiInferenceResponse for one PredictResponse for each task, in the tasks' order."""
    message = serving.message("MultiInferenceResponse")()
    for response, asked, method in zip(responses, multi.asked, multi.methods, strict=True):
        result = message.results.add()
        result.model_spec.name = name
        result.model_spec.signature_name = asked.signature
        result.model_spec.version.value = version
        field, make = _RESULTS[method]
        getattr(result, field).CopyFrom(make(response, asked.rows or 0))
    body: bytes = message.SerializeToString()
    return body
