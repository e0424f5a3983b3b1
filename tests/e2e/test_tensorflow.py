"""A service JSON in, real TensorFlow out: every TensorFlow, through the official SDK."""

import json
import subprocess
from pathlib import Path

import pytest

from eas_processor import runtimes
from eas_processor.observe.progress import NoProgress
from eas_processor.registry import Registry
from tests.serving_process import Serving

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "mnist"
NAME = "mnist_saved_model_example"
TOKEN = "YTg2ZjE0ZjM4ZmE3OTc0NzYxZDMyNmYzMTJjZTQ1"
VERSIONS = {
    "tensorflow_cpu_1.12": "1.12.3",
    "tensorflow_cpu_1.14": "1.14.0",
    "tensorflow_cpu_1.15": "1.15.5",
    "tensorflow_cpu_2.3": "2.3.4",
    "tensorflow_cpu_2.4": "2.4.4",
    "tensorflow_cpu_2.7": "2.7.4",
    "tensorflow_cpu_2.21": "2.21.0",
}


def service(processor, **more):
    return {
        "name": NAME,
        "processor": processor,
        "model_path": str(EXAMPLE / "model"),
        "warm_up_data_path": str(ROOT / "warmup" / f"{NAME}.bin"),
        "token": TOKEN,
        "metadata": {"instance": 1, "cpu": 1, "memory": 4000},
        **more,
    }


def runtime_python(processor):
    return str(runtimes.install(Registry().get(processor), NoProgress()).python)


def run(processor, script, *args):
    script = Path(__file__).parent / script
    done = subprocess.run([runtime_python(processor), str(script), *map(str, args)],
                          capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module", params=VERSIONS)
def served(request, tmp_path_factory):
    with Serving(tmp_path_factory.mktemp("served"), service(request.param)) as serving:
        yield request.param, serving


def endpoint(serving):
    return f"http://127.0.0.1:{serving.port}"


def test_the_worker_reports_the_tensorflow_that_was_asked_for(served):
    processor, serving = served
    loaded = [line for line in serving.log.splitlines() if "worker loaded" in line]
    assert json.loads(loaded[0])["tensorflow"] == VERSIONS[processor]


def test_the_documentations_own_snippet_runs(served, sdk):
    done = sdk.run("seed_snippet.py", endpoint(served[1]), TOKEN, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('key: "scores"') == 3 and done.stdout.count("float_val") == 30


def test_the_sdk_gets_exactly_the_numbers_of_a_direct_run(served, sdk):
    processor, serving = served
    file = EXAMPLE / "digit.npy"
    done = sdk.run("mnist.py", endpoint(serving), TOKEN, str(file), timeout=60)
    outcome = json.loads(done.stdout)
    assert outcome["code"] == 200 and outcome["classes"] == [7]
    import numpy as np

    got = np.array(outcome["outputs"]["scores"]["values"], "<f4").tobytes().hex()
    assert got == run(processor, "direct_run.py", EXAMPLE / "model" / "1", file).strip()


def test_the_empty_request_answers_the_documented_signature(served):
    status, body = served[1].ask("GET", f"/api/predict/{NAME}", headers={"Authorization": TOKEN})
    assert status == 200
    assert json.loads(body) == {
        "inputs": [{"name": "images", "shape": [-1, 784], "type": "DT_FLOAT"}],
        "outputs": [{"name": "scores", "shape": [-1, 10], "type": "DT_FLOAT"}],
        "signature_name": "predict_images",
    }


def test_mistakes_are_400_with_words_and_the_sdk_does_not_retry(served, sdk):
    done = sdk.run("errors.py", endpoint(served[1]), TOKEN, timeout=120)
    outcomes = json.loads(done.stdout)
    assert outcomes.pop("none")["code"] == 200
    assert outcomes.pop("unknown_service")["code"] == 404
    outcomes.pop("no_feed")  # zero bytes: an empty request, answered with the signature
    words = {
        "unknown_input": ["image", "images"],
        "unknown_signature": ["predict", "predict_images"],
        "unknown_output": ["score", "scores"],
        "wrong_dtype": ["images", "DT_DOUBLE", "DT_FLOAT"],
        "too_few_values": ["images", "783", "784"],
        "wrong_shape": ["28"],
        "garbage": [],  # text can happen to parse as a message of unknown fields
    }
    for case, outcome in outcomes.items():
        assert outcome["code"] == 400, (case, outcome)
        for word in words[case]:
            assert word in outcome["body"], (case, outcome)


def test_a_wrong_token_is_401(served, sdk):
    done = sdk.run("auth.py", endpoint(served[1]), TOKEN + "x", timeout=60)
    assert json.loads(done.stdout)["code"] == 401
    for raw in ([], ["--raw"]):
        done = sdk.run("auth.py", endpoint(served[1]), TOKEN, *raw, timeout=60)
        assert json.loads(done.stdout)["code"] == 200


@pytest.fixture(scope="module")
def contrib(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contrib")
    run("tensorflow_cpu_1.15", "contrib_model.py", folder)
    return folder


def test_a_contrib_op_works_on_1_15(contrib, tmp_path, sdk):
    config = {"name": "contrib", "processor": "tensorflow_cpu_1.15", "model_path": str(contrib)}
    with Serving(tmp_path, config) as serving:
        feeds = {
            "data": {"dtype": "DT_FLOAT", "shape": [1, 2, 2, 1], "values": [0, 1, 2, 3]},
            "warp": {"dtype": "DT_FLOAT", "shape": [1, 1, 2], "values": [0.5, 0.5]},
        }
        told = json.dumps({"feeds": feeds})
        done = sdk.run("feed.py", endpoint(serving), "", "contrib", told, timeout=60)
        outcome = json.loads(done.stdout)
        assert outcome["outputs"]["sampled"]["values"] == [1.5]


def test_a_contrib_op_is_refused_in_words_on_2_7(contrib, tmp_path):
    config = {"name": "contrib", "processor": "tensorflow_cpu_2.7", "model_path": str(contrib)}
    serving = Serving(tmp_path, config)
    assert serving.process.wait(120) == 3
    last = serving.log.splitlines()[-1]
    assert "Resampler" in last and "tensorflow_cpu_1.15" in last
    assert "Traceback" not in serving.log
