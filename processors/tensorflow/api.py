"""The few names of TensorFlow 1 that this room needs, from wherever this TensorFlow keeps them.

Importing this module imports TensorFlow: set up the environment (`device`) before.
"""

import os
import warnings

# What is logged: warnings and errors, no notes. Users who want those set it to 0 themselves.
_LOG_LEVEL = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TensorFlow 1 warns of numpy at every start
    import tensorflow as tf

    try:
        from tensorflow.python.client import pywrap_tf_session as tf_session
    except ImportError:  # TensorFlow 1
        from tensorflow.python import pywrap_tensorflow as tf_session

# 1.12 has the old names only, 2.x the `compat.v1` ones only.
tf1 = tf.compat.v1 if hasattr(getattr(tf, "compat", None), "v1") else tf
if _LOG_LEVEL != "0":
    tf1.logging.set_verbosity(tf1.logging.ERROR)  # it warns of names that 2.x has moved

__all__ = ["IS_1", "VERSION", "OpError", "tf", "tf1", "tf_session"]

OpError = tf.errors.OpError
VERSION = tf.__version__
IS_1 = VERSION.startswith("1.")
