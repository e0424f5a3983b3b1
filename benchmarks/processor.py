"""Microseconds that the TensorFlow processor adds to TensorFlow, part by part.

    <a runtime's python> benchmarks/processor.py

Runs inside one runtime's interpreter (3.6-clean), without host, wall or socket: a softmax of 784
floats and an image of 224 x 224 x 3 floats (600 KB), each through a model that is next to nothing.
Prints the best of many short rounds, since other work on the machine only ever adds time.
"""

import os
import sys
import tempfile
import timeit
import types

import numpy as np

ROUNDS = 30
ROUND_S = 0.02
TITLES = ("callable", "process", "added", "parse", "decode", "encode")


def main():
    """Measure both models and print a table."""
    bind("eas_processor")
    bind("processors")
    from processors.tensorflow import api, wire
    from processors.tensorflow.processor import TensorFlowProcessor

    print(f"TensorFlow {api.VERSION}, Python {sys.version.split()[0]}")
    print("µs        " + "".join(f"{title:>10}" for title in TITLES))
    for name, shape in (("softmax", [1, 784]), ("image", [1, 224, 224, 3])):
        with tempfile.TemporaryDirectory() as folder:
            write_model(api.tf, api.tf1, os.path.join(folder, "1"), shape)
            processor = TensorFlowProcessor()
            processor.initialize(folder, {"cores": 2, "concurrency": 1, "options": {}})
        request = wire.PredictRequest()
        array = request.inputs["images"]
        array.dtype = 1
        array.array_shape.dim.extend(shape)
        array.float_val.extend(np.random.RandomState(1).rand(int(np.prod(shape))).tolist())
        report(name, processor, request.SerializeToString(), wire)


def bind(package):
    """Make a folder of this repository importable as a package, as a worker does."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    module = types.ModuleType(package)
    module.__path__ = [os.path.join(root, package)]
    sys.modules[package] = module


def write_model(tf, tf1, folder, shape):
    """images → scores: the mean of each image, times ten weights, through a softmax."""
    with tf.Graph().as_default(), tf1.Session() as session:
        images = tf1.placeholder(tf.float32, [None, *shape[1:]])
        flat = tf.reshape(images, [-1, int(np.prod(shape[1:]))])[:, :784]
        weights = tf1.get_variable("weights", [784, 10])
        scores = tf.nn.softmax(tf.matmul(flat, weights))
        session.run(tf1.global_variables_initializer())
        info = tf1.saved_model.utils.build_tensor_info
        signature = tf1.saved_model.signature_def_utils.build_signature_def(
            {"images": info(images)}, {"scores": info(scores)}, "tensorflow/serving/predict"
        )
        builder = tf1.saved_model.builder.SavedModelBuilder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def report(name, processor, body, wire):
    """One line of the table."""
    processor.process(body)
    plan = processor.plan("", ("images",), ())
    message = wire.parse(body)
    arrays = plan.decode(message)
    results = plan.run(arrays)
    call = best(lambda: plan.run(arrays))
    whole = best(lambda: processor.process(body))
    parts = [
        best(lambda: wire.parse(body)),
        best(lambda: plan.decode(message)),
        best(lambda: plan.encode(results)),
    ]
    print(f"{name:10}" + "".join(f"{us:10.1f}" for us in [call, whole, whole - call, *parts]))


def best(call):
    """The least time of one call, in µs."""
    once = max(min(timeit.repeat(call, number=1, repeat=5)), 1e-7)
    number = max(1, int(ROUND_S / once))
    return min(timeit.repeat(call, number=number, repeat=ROUNDS)) / number * 1e6


if __name__ == "__main__":
    main()
