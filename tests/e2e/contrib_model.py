"""Export a model with an op of tf.contrib, inside the tensorflow_cpu_1.15 runtime (3.7).

<runtime's python> contrib_model.py FOLDER
"""

import sys

import tensorflow as tf
from tensorflow.contrib import resampler

with tf.Graph().as_default(), tf.Session() as session:
    data = tf.placeholder(tf.float32, [None, 2, 2, 1], name="data")
    warp = tf.placeholder(tf.float32, [None, 1, 2], name="warp")
    tf.saved_model.simple_save(
        session,
        sys.argv[1] + "/1",
        inputs={"data": data, "warp": warp},
        outputs={"sampled": resampler.resampler(data, warp)},
    )
