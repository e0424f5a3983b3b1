"""Serve the example model, ask it once for real, say how to call it, go on serving.

    python examples/mnist/demo.py [PROCESSOR] [--port N]

Run by `scripts/demo`. Ctrl-C ends it. Exit codes are the server's, 3 where it did not answer.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from eas_processor.codec import predict
from eas_processor.config import load_service
from eas_processor.errors import Code, ConfigError, ServingError
from eas_processor.registry import Registry

HERE = Path(__file__).resolve().parent
READY_POLL_S = 0.2


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Serve the example model and ask it once.")
    parser.add_argument("processor", nargs="?", default="tensorflow_cpu_2.21")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    try:
        _check(arguments.processor)
        return _run(arguments.processor, arguments.port)
    except ServingError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 3


def _check(processor: str) -> None:
    if Registry().get(processor).tensorflow is None:
        raise ConfigError(
            f"{processor} runs no TensorFlow, so it can not read the example's digits; "
            "`eas-processor processors` lists those that can"
        )


def _run(processor: str, port: int) -> int:
    """Serve until Ctrl-C; the server's exit code. It ends with us, whatever happens here."""
    with tempfile.TemporaryDirectory() as folder:
        service = _service_json(Path(folder), processor)
        command = [sys.executable, "-m", "eas_processor", "serve", str(service)]
        server = subprocess.Popen([*command, "--port", str(port)])
        # A terminal sends Ctrl-C to both; the server ends and we with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            if _wait_ready(server, port):
                _show(f"http://127.0.0.1:{port}")
            return server.wait()
        finally:
            if server.poll() is None:
                server.terminate()
                server.wait()


def _service_json(folder: Path, processor: str) -> Path:
    """The example's service JSON, with the processor that was asked for."""
    config = load_service(HERE / "service.json")
    file = folder / "service.json"
    file.write_text(
        json.dumps(
            {
                "name": config.name,
                "processor": processor,
                "model_path": str(HERE / "model"),
                "warm_up_data_path": str(HERE.parents[1] / "warmup" / f"{config.name}.bin"),
                "metadata": {"instance": 1},
            }
        )
    )
    return file


def _wait_ready(server: "subprocess.Popen[bytes]", port: int) -> bool:
    """Until the service is ready (an install may take minutes), or the server has ended."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                # Somebody else's server on the port would answer, too; ours would then have ended.
                time.sleep(READY_POLL_S)
                return server.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(READY_POLL_S)
    return False


def _show(base: str) -> None:
    """Send each of the held-out digits and print what the model takes it for."""
    name = load_service(HERE / "service.json").name
    digits = json.loads((HERE / "digits.json").read_text())
    url = f"{base}/api/predict/{name}"
    body = predict.request("predict_images", {"images": ("DT_FLOAT", digits["images"])}, [])
    try:
        with urllib.request.urlopen(url, data=body, timeout=30) as answer:
            scores = predict.response(answer.read())["scores"][1]
    except OSError as error:
        raise ServingError(Code.UNAVAILABLE, f"no answer: {error}") from None
    picture = digits["images"][7]
    for row in range(0, 28, 2):
        pixels = picture[row * 28 : row * 28 + 28]
        print("    " + "".join(" .:*#"[min(4, int(pixel * 5))] for pixel in pixels).rstrip())
    best = scores.argmax(axis=1).tolist()
    print(f"\nten real handwritten digits, labelled {digits['labels']}")
    print(f"the model says                        {best}\n")
    print(
        f"""Ask for the signature:   curl {url}
Send a recorded request: curl --data-binary @warmup/{name}.bin {url} --output answer.pb
On the command line:     .venv/bin/eas-processor predict {url} examples/mnist/digit.npy
With the EAS SDK (pip install eas-prediction):

    from eas_prediction import PredictClient, TFRequest
    client = PredictClient('{base}', '{name}')
    client.init()
    req = TFRequest('predict_images')
    req.add_feed('images', [1, 784], TFRequest.DT_FLOAT, [1] * 784)
    print(client.predict(req))

Serving until Ctrl-C.""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
