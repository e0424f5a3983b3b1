"""The few names of TensorFlow 1 that this room needs, from wherever this TensorFlow keeps them."""

import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # no notes, but warnings and errors
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TensorFlow 1's on numpy, at every start
    import tensorflow as tf

# 1.12 has the old names only, 2.x the `compat.v1` ones only.
tf1 = tf.compat.v1 if hasattr(getattr(tf, "compat", None), "v1") else tf
if "TF_CPP_MIN_LOG_LEVEL" not in os.environ or os.environ["TF_CPP_MIN_LOG_LEVEL"] != "0":
    tf1.logging.set_verbosity(tf1.logging.ERROR)  # its advice on moving to 2.x

OpError = tf.errors.OpError
VERSION = tf.__version__
IS_1 = VERSION.startswith("1.")


def load_saved_model(session, tags, folder):
    """Load the MetaGraph of these tags into the session; gives its MetaGraphDef."""
    loader = tf1.saved_model.loader
    return loader.load(session, tags, folder)
