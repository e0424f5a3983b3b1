"""The committed example is whole: model, digits, labels and service JSONs fit each other."""

import json
from pathlib import Path

import numpy as np

from eas_processor.config import load_service

MNIST = Path(__file__).parents[2] / "examples" / "mnist"
VARIABLES = MNIST / "model" / "1" / "variables" / "variables.data-00000-of-00001"


def digits() -> tuple[np.ndarray, list[int]]:
    told = json.loads((MNIST / "digits.json").read_text())
    return np.array(told["images"], np.float32), told["labels"]


def test_the_model_names_every_sample_digit() -> None:
    """A softmax is small enough to be done by hand: the file holds biases, then weights."""
    values = np.fromfile(VARIABLES, "<f4")
    biases, weights = values[:10], values[10:].reshape(784, 10)
    images, labels = digits()
    assert (images @ weights + biases).argmax(axis=1).tolist() == labels == list(range(10))


def test_the_sample_images_are_of_the_shape_and_range_of_mnist() -> None:
    images, _ = digits()
    assert images.shape == (10, 784)
    assert images.min() == 0
    assert images.max() <= 1


def test_the_npy_file_is_the_seven() -> None:
    image = np.load(MNIST / "digit.npy")
    assert image.dtype == np.float32
    assert (image == digits()[0][7:8]).all()


def test_the_json_file_is_the_seven() -> None:
    told = json.loads((MNIST / "digit.json").read_text())
    assert told == {
        "signature_name": "predict_images",
        "inputs": {"images": json.loads((MNIST / "digits.json").read_text())["images"][7:8]},
    }


def test_the_warm_up_request_carries_the_first_digit() -> None:
    body = (MNIST.parents[1] / "warmup" / "mnist_saved_model_example.bin").read_bytes()
    assert body.startswith(b"\n\x0epredict_images")
    assert digits()[0][0].tobytes() in body


def test_the_service_files_are_read_without_complaint() -> None:
    plain = load_service(MNIST / "service.json")
    guarded = load_service(MNIST / "service_1.15.json")
    assert plain.name == guarded.name == "mnist_saved_model_example"
    assert (plain.processor, plain.token) == ("tensorflow_cpu_2.21", None)
    assert guarded.processor == "tensorflow_cpu_1.15"
    assert guarded.token
    for config in (plain, guarded):
        assert config.warnings == ()
        assert (config.folder / str(config.model_path) / "1" / "saved_model.pb").is_file()
        assert all((config.folder / path).is_file() for path in config.warm_up_data_path)
