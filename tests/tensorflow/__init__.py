"""Tests of processors/tensorflow: codecs here, everything with TensorFlow inside each runtime."""
