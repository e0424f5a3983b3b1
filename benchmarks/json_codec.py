"""REST bodies to tensors and back, ours against orjson and numpy, in one run.

    python -m benchmarks.json_codec

Needs orjson, which the project does not depend on. Each figure is the best of several rounds in
which the contenders take turns, so that a busy moment meets both. Prints milliseconds and ratios.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from eas_processor import process
from eas_processor.codec import rest, serving, signatures, tensors

ROUNDS = 15


def _signatures() -> signatures.Signatures:
    message = serving.message("SignatureDefMap")()
    definition = message.signature_def["serving_default"]
    definition.inputs["x"].dtype = 1
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
    import orjson

    process.prepare()  # both keep memory as the host does
    random = np.random.default_rng(0)
    image = random.random((1, 224, 224, 3), dtype=np.float32)
    digit = (random.random((1, 784)) > 0.8).astype(np.float32) * random.random((1, 784), "f4")
    _reading("image", image, 1, orjson)
    _reading("softmax input", digit, 50, orjson)
    _printing("image", image, 1, orjson)
    _printing("image", image.astype(np.float64), 1, orjson)
    _printing("tokens", random.integers(0, 50000, (1, 150528)), 1, orjson)
    _printing("softmax output", random.random((1, 10), dtype=np.float32), 200, orjson)


if __name__ == "__main__":
    main()
