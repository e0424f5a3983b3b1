r"""Make the example's warm-up file, with the official SDK, as EAS's own instructions tell.

    uv run --no-project --with-requirements tests/sdk/requirements.lock \
        python warmup/make.py [TARGET]

A warm-up file is one serialised request and nothing around it. The runtime replays it before the
service turns ready, so it has to be what clients really send: the same signature, the same inputs
with their dtypes and shapes, and the same output filter, or something else gets warm. Clients of
the example name no outputs (they get all), so neither does this request.

For a service of your own: copy this file, change the constants, feed real values.
"""

import json
import pathlib
import sys

from eas_prediction import TFRequest

SIGNATURE = "predict_images"
INPUT = "images"
OUTPUT_FILTER = ()  # e.g. ("scores",) when your clients call add_fetch("scores")
TARGET = pathlib.Path(__file__).with_name("mnist_saved_model_example.bin")
DIGITS = pathlib.Path(__file__).parent.parent / "examples" / "mnist" / "digits.json"


def request():
    """What a client sends: one real digit."""
    image = json.loads(DIGITS.read_text())["images"][0]
    made = TFRequest(SIGNATURE)
    made.add_feed(INPUT, [1, len(image)], TFRequest.DT_FLOAT, image)
    for name in OUTPUT_FILTER:
        made.add_fetch(name)
    return made


def main(target):
    """Write the file, then read it back the way EAS's instructions check one."""
    body = request().to_string()
    target.write_bytes(body)
    again = TFRequest(SIGNATURE)
    again.request_data.ParseFromString(target.read_bytes())
    assert again.request_data == request().request_data
    print(f"{target.name}: {len(body)} bytes, signature {again.request_data.signature_name!r}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
