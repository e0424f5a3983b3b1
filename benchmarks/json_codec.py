"""REST bodies to tensors and back, ours against orjson and numpy, in one run.

    python -m benchmarks.json_codec

Needs orjson, which the project does not depend on: `.venv/bin/uv pip install orjson`. Each figure
is the best of several rounds in which the contenders take turns, so that a busy moment meets both.
Prints milliseconds and ratios.
"""

import base64
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from eas_processor import process
from eas_processor.codec import dtypes, rest, serving, signatures, tensors

ROUNDS = 15
EXIT_FAILED = 3
NO_ORJSON = "error: orjson is not installed; get it with `.venv/bin/uv pip install orjson`"


def _signatures(dtype: int = dtypes.DT_FLOAT) -> signatures.Signatures:
    message = serving.message("SignatureDefMap")()
    definition = message.signature_def["serving_default"]
    definition.inputs["x"].dtype = dtype
    definition.outputs["y"].dtype = 1
    return signatures.read(message.SerializeToString())


def _best(contenders: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """name → milliseconds of one call."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / repeat * 1e3)
    return best


def _report(title: str, ours: float, theirs: float) -> None:
    print(f"{title:<42} ours {ours:8.3f} ms   orjson {theirs:8.3f} ms   {theirs / ours:5.2f} times")


def _reading(title: str, values: np.ndarray, repeat: int, orjson: Any) -> None:
    known = _signatures()
    body = json.dumps({"instances": values.tolist()}).encode()
    found = tensors.inputs(rest.predict_request(body, known).request)["x"].values
    assert np.array_equal(found, values), "a wrong tensor"
    best = _best(
        {
            "ours": lambda: rest.predict_request(body, known),
            "theirs": lambda: np.array(orjson.loads(body)["instances"], np.float32),
        },
        repeat,
    )
    _report(f"{title}, {len(body) / 1000:.0f} kB, to a request", best["ours"], best["theirs"])


def _reading_strings(
    title: str, body: bytes, known: signatures.Signatures, theirs: Callable[[bytes], Any]
) -> None:
    best = _best(
        {"ours": lambda: rest.predict_request(body, known), "theirs": lambda: theirs(body)}, 5
    )
    _report(f"{title}, {len(body) / 1000:.0f} kB, to a request", best["ours"], best["theirs"])


def _printing(title: str, values: np.ndarray, repeat: int, orjson: Any) -> None:
    response = tensors.response({"y": values}, typed=False)
    back = np.array(json.loads(rest.predict_answer(response, True))["predictions"], values.dtype)
    assert np.array_equal(back, values), "a wrong answer"
    best = _best(
        {
            "ours": lambda: rest.predict_answer(response, True),
            "theirs": lambda: orjson.dumps(
                {"predictions": tensors.outputs(response)["y"].values},
                option=orjson.OPT_SERIALIZE_NUMPY,
            ),
        },
        repeat,
    )
    _report(f"{title}, {values.size} of {values.dtype}, to JSON", best["ours"], best["theirs"])


def main() -> None:
    """Measures and prints."""
    try:
        import orjson
    except ImportError:
        print(NO_ORJSON, file=sys.stderr)
        sys.exit(EXIT_FAILED)
    process.prepare()  # both keep memory as the host does
    random = np.random.default_rng(0)
    image = random.random((1, 224, 224, 3), dtype=np.float32)
    digit = (random.random((1, 784)) > 0.8).astype(np.float32) * random.random((1, 784), "f4")
    _reading("image", image, 1, orjson)
    _reading("softmax input", digit, 50, orjson)
    strings = _signatures(dtypes.DT_STRING)
    jpeg = {"b64": base64.b64encode(random.bytes(100_000)).decode()}
    _reading_strings(
        "bytes in base64",
        json.dumps({"instances": [jpeg]}).encode(),
        strings,
        lambda body: [base64.b64decode(one["b64"]) for one in orjson.loads(body)["instances"]],
    )
    words = [b"word %d" % number for number in range(10_000)]
    _reading_strings(
        "words",
        json.dumps({"instances": [word.decode() for word in words]}).encode(),
        strings,
        lambda body: np.array(list(map(str.encode, orjson.loads(body)["instances"])), object),
    )
    _printing("image", image, 1, orjson)
    _printing("image", image.astype(np.float64), 1, orjson)
    _printing("tokens", random.integers(0, 50000, (1, 150528)), 1, orjson)
    _printing("softmax output", random.random((1, 10), dtype=np.float32), 200, orjson)


if __name__ == "__main__":
    main()
