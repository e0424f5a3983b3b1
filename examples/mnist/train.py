"""Second step of the example: train a softmax classifier 784 -> 10 and export it as a SavedModel.

    PYTHON examples/mnist/train.py digits.npz examples/mnist/model

PYTHON is the interpreter of the tensorflow_cpu_1.12 runtime, on purpose: what 1.12 exports is
loaded by every processor up to 2.21. The result is deterministic: no random numbers, one thread,
the whole training set in each step.
"""

import os
import sys

import numpy as np
import tensorflow as tf

IMAGE_PIXELS = 28 * 28
CLASSES = 10
MODEL_VERSION = 1
STEPS = 500
LEARNING_RATE = 0.02
WEIGHT_DECAY = 1e-3
ACCURACY_MIN = 0.93
ONE_THREAD = tf.ConfigProto(
    device_count={"GPU": 0}, intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
)


class Softmax(object):
    """The model's graph: one matrix, one vector, a softmax. Built anew for training and export."""

    def __init__(self):
        self.weights = tf.get_variable(
            "weights", [IMAGE_PIXELS, CLASSES], initializer=tf.zeros_initializer()
        )
        self.biases = tf.get_variable("biases", [CLASSES], initializer=tf.zeros_initializer())
        self.images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
        self.logits = tf.matmul(self.images, self.weights) + self.biases
        self.scores = tf.nn.softmax(self.logits, name="scores")

    def signature(self):
        """How clients call it: `images` in, `scores` (ten probabilities a row) out."""
        return tf.saved_model.signature_def_utils.build_signature_def(
            inputs={"images": tf.saved_model.utils.build_tensor_info(self.images)},
            outputs={"scores": tf.saved_model.utils.build_tensor_info(self.scores)},
            method_name=tf.saved_model.signature_constants.PREDICT_METHOD_NAME,
        )


def train(images, labels):
    """Fit the model; its weights and biases."""
    with tf.Graph().as_default(), tf.Session(config=ONE_THREAD) as session:
        model = Softmax()
        truth = tf.placeholder(tf.int64, [None])
        loss = tf.losses.sparse_softmax_cross_entropy(truth, model.logits)
        loss += WEIGHT_DECAY * tf.nn.l2_loss(model.weights)
        step = tf.train.AdamOptimizer(LEARNING_RATE).minimize(loss)
        session.run(tf.global_variables_initializer())
        for number in range(1, STEPS + 1):
            _, value = session.run([step, loss], {model.images: images, truth: labels})
            if number % 100 == 0:
                print("step %d  loss %.4f" % (number, value))
        return session.run([model.weights, model.biases])


def export(weights, biases, images, folder):
    """Write the SavedModel to `folder`/1; the scores the exported graph gives for `images`."""
    target = os.path.join(folder, str(MODEL_VERSION))
    with tf.Graph().as_default(), tf.Session(config=ONE_THREAD) as session:
        model = Softmax()
        model.weights.load(weights, session)
        model.biases.load(biases, session)
        builder = tf.saved_model.builder.SavedModelBuilder(target)
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.tag_constants.SERVING],
            signature_def_map={"predict_images": model.signature()},
            clear_devices=True,
            # The builder's own saver would put a random folder name into the graph.
            saver=tf.train.Saver(),
        )
        builder.save()
        return session.run(model.scores, {model.images: images})


def main(digits, folder):
    """Train on what `digits` holds, export to `folder`, report the accuracy on held-out digits."""
    data = np.load(digits)
    weights, biases = train(data["train_images"], data["train_labels"])
    scores = export(weights, biases, data["test_images"], folder)
    accuracy = float(np.mean(scores.argmax(axis=1) == data["test_labels"]))
    print("held-out accuracy %.4f on %d digits" % (accuracy, len(scores)))
    if accuracy < ACCURACY_MIN:
        sys.exit("too low: at least %.2f was expected" % ACCURACY_MIN)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: train.py DIGITS.npz MODEL_FOLDER")
    tf.logging.set_verbosity(tf.logging.ERROR)
    main(sys.argv[1], sys.argv[2])
