"""Warm-up records that a model brings along: assets.extra/tf_serving_warmup_requests.

A TFRecord of PredictionLog. Each record's request is translated as a client's would be and replayed
before the version is available; whatever is wrong with the file fails the load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from eas_processor.codec import examples, serving, signatures, tfrecord
from eas_processor.errors import Code, ConfigError, ServingError
from eas_processor.serving.warmup import REQUESTS_MAX, WarmupRequest
from eas_processor.worker.frames import Kind

FILE = "assets.extra/tf_serving_warmup_requests"
_VERIFY = "Please verify your warmup data is in TFRecord format"


def read(folder: Path, iterations: int, check_method: bool) -> list[WarmupRequest]:
    """The requests of a version's folder, none if it has no such file.

    Raises ServingError: DATA_LOSS for a file that is no TFRecord, UNIMPLEMENTED for a record that
    is not replayed, INVALID_ARGUMENT for one that can not be read.
    iterations: how often each is replayed. check_method: classify and regress want a signature of
    that method.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    requests: list[WarmupRequest] = []
    try:
        with open(path, "rb") as file:
            for number, record in enumerate(tfrecord.read(file), 1):
                if number > REQUESTS_MAX:
                    raise ConfigError(
                        f"Number of warmup records exceeds the maximum ({REQUESTS_MAX})"
                    )
                label = f"{path.name}:{number}"
                requests.extend(_requests(record, label, iterations, check_method))
    except OSError as error:
        raise ConfigError(f"{path}: {error}. {_VERIFY}") from None
    except ServingError as error:
        words = f". {_VERIFY}" if error.code == Code.DATA_LOSS else ""
        raise ServingError(error.code, f"{path}: {error.message}{words}") from None
    return requests


def _requests(
    record: bytes, label: str, iterations: int, check_method: bool
) -> Iterator[WarmupRequest]:
    try:
        log = serving.parse("PredictionLog", record)
    except ServingError as error:
        raise ConfigError(f"Failed to parse warmup record: {label}: {error.message}") from None
    kind = log.WhichOneof("log_type")
    make = partial(WarmupRequest, label, kind=Kind.PREDICT, replays=iterations)
    if kind == "predict_log":
        yield make(body=log.predict_log.request.SerializeToString())
    elif kind in _TRANSLATORS:
        request = getattr(log, kind).request
        for translate in _TRANSLATORS[kind](request, check_method):
            yield make(translate=translate)
    else:
        raise ServingError(
            Code.UNIMPLEMENTED,
            f"{label}: Unsupported log_type for warmup: {kind or 'none'}; records of Predict, "
            "Classify, Regress and MultiInference are replayed",
        )


Translate = Callable[[bytes], bytes]


def _classify(request: Any, check_method: bool) -> list[Translate]:
    body = request.SerializeToString()
    return [
        lambda found: examples.classify_request(body, signatures.read(found), check_method).request
    ]


def _regress(request: Any, check_method: bool) -> list[Translate]:
    body = request.SerializeToString()
    return [
        lambda found: examples.regress_request(body, signatures.read(found), check_method).request
    ]


def _multi(request: Any, check_method: bool) -> list[Translate]:
    body = request.SerializeToString()

    def translate(found: bytes, task: int) -> bytes:
        asked = examples.multi_request(body, signatures.read(found), check_method).asked
        return asked[task].request

    return [partial(translate, task=task) for task in range(len(request.tasks))]


_TRANSLATORS: dict[str, Callable[[Any, bool], list[Translate]]] = {
    "classify_log": _classify,
    "regress_log": _regress,
    "multi_inference_log": _multi,
}
