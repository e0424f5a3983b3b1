# /// script
# requires-python = ">=3.11"
# dependencies = ["scikit-learn==1.9.1", "scipy==1.17.1", "numpy==2.4.6"]
# ///
"""First step of the example: real handwritten digits, in the shape MNIST has, in one .npz file.

    uv run examples/mnist/make_digits.py build/digits.npz

Takes the 1 797 scans that scikit-learn carries with it (8 x 8 pixels, 17 grey levels), so nothing
is downloaded but the library; enlarges them to 28 x 28, values 0 ... 1 in steps of 0.01; holds one
in five back. Beside this file it writes what the demo sends: `digits.json`, one held-out digit of
each class with its label, and the seven among them, as `digit.npy` (float32 [1, 784]) and as
`digit.json`, a request.
"""

import json
import pathlib
import sys

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

SIDE = 28
HELD_OUT = 5  # every fifth scan of a class is kept from training
SHOWN = 7  # the digit that goes to digit.npy and digit.json


def enlarge(scan):
    """8 x 8 values of 0 ... 16 to 784 values of 0 ... 1, bilinear."""
    image = zoom(scan / 16.0, SIDE / scan.shape[0], order=1)
    return np.clip(image, 0.0, 1.0).round(2).astype(np.float32).ravel()


def split(labels):
    """True where a scan is held out: every fifth of its own class, so all classes are alike."""
    held_out = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[::HELD_OUT]] = True
    return held_out


def main(target):
    """Write `target` (.npz) and the samples beside this file."""
    scans, labels = load_digits(return_X_y=True)
    images = np.stack([enlarge(scan.reshape(8, 8)) for scan in scans])
    labels = labels.astype(np.int64)
    held_out = split(labels)
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target,
        train_images=images[~held_out],
        train_labels=labels[~held_out],
        test_images=images[held_out],
        test_labels=labels[held_out],
    )
    write_samples(images[held_out], labels[held_out])
    print(f"{target}: {int((~held_out).sum())} to train on, {int(held_out.sum())} held out")


def write_samples(images, labels):
    """The last held-out digit of each class, for those who call the service."""
    last = [int(np.flatnonzero(labels == digit)[-1]) for digit in range(10)]
    rows = [[float(f"{value:.2f}") for value in images[index]] for index in last]
    here = pathlib.Path(__file__).parent
    lines = ",\n    ".join(json.dumps(row, separators=(",", ":")) for row in rows)
    text = f'{{\n  "labels": {labels[last].tolist()},\n  "images": [\n    {lines}\n  ]\n}}\n'
    (here / "digits.json").write_text(text)
    np.save(here / "digit.npy", images[last[SHOWN]].reshape(1, SIDE * SIDE))
    request = {"signature_name": "predict_images", "inputs": {"images": [rows[SHOWN]]}}
    (here / "digit.json").write_text(json.dumps(request) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_digits.py TARGET.npz")
    main(pathlib.Path(sys.argv[1]))
