"""Run the example with plain TensorFlow, inside a processor's runtime (Python 3.6-clean).

    <runtime's python> direct_run.py MODEL_VERSION_FOLDER FILE.npy

Prints the scores as hex, so that not one bit is lost. No code of this project is in it.
"""

import sys

import numpy as np
import tensorflow as tf

tf1 = getattr(tf.compat, "v1", tf)


def main(folder, file):
    with tf1.Session(graph=tf1.Graph()) as session:
        loaded = tf1.saved_model.loader.load(session, ["serve"], folder)
        signature = loaded.signature_def["predict_images"]
        scores = session.run(
            signature.outputs["scores"].name,
            {signature.inputs["images"].name: np.load(file)},
        )
    print(scores.astype("<f4").tobytes().hex())


main(*sys.argv[1:])
