"""Send images of a .npy file (float32 [n, 784]) and print the scores.

    mnist.py ENDPOINT TOKEN FILE.npy [SERVICE]

Prints {"code", "outputs", "classes"}.
"""

import sys

import numpy as np
from eas_prediction import TFRequest
from outcome import call, connect, show


def main(endpoint, token, file, service="mnist_saved_model_example"):
    images = np.load(file)
    request = TFRequest("predict_images")
    request.add_feed("images", list(images.shape), TFRequest.DT_FLOAT, images.ravel().tolist())
    outcome = call(connect(endpoint, token, service), request)
    if outcome["code"] == 200:
        scores = outcome["outputs"]["scores"]
        rows = np.reshape(scores["values"], scores["shape"])
        outcome["classes"] = rows.argmax(axis=1).tolist()
    show(outcome)


if __name__ == "__main__":
    main(*sys.argv[1:])
