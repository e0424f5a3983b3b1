"""The two models: a tiny one that shows the host, and one that shows what the host leaves it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import messages

SIGNATURE = "predict_images"
INPUT = "images"
OUTPUT = "scores"
SEED = 1


@dataclass(frozen=True)
class Model:
    """A SavedModel folder, and the one request that is sent to it."""

    name: str
    title: str
    folder: Path
    shape: tuple[int, ...]

    def example(self) -> NDArray[np.float32]:
        """The input of the request: random, the same in every run."""
        return np.random.default_rng(SEED).random(self.shape, np.float32)

    def request(self) -> bytes:
        """The request's body."""
        return messages.request(SIGNATURE, INPUT, self.example())


SOFTMAX_FOLDER = Path(__file__).resolve().parent.parent / "examples" / "mnist" / "model" / "1"


def softmax() -> Model:
    """The example model of the repository, 784 → 10."""
    return Model("softmax", "MNIST softmax, 3 KB body", SOFTMAX_FOLDER, (1, 784))


def image(folder: Path) -> Model:
    """MobileNetV2's shape with random weights."""
    return Model("image", "MobileNetV2 shape, 600 KB body", folder, (1, 224, 224, 3))
