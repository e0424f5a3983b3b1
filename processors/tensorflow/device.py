"""Readies the machine for TensorFlow before it is imported: which devices it sees, how many threads."""

import os
from eas_processor.errors import StartError


def threads(cores):
    return 1 if cores <= 4 else cores // 4


def prepare(config, chosen):
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from .api import tf1

    cores = max(1, int(config.get("cores") or 1))
    return tf1.ConfigProto(
        intra_op_parallelism_threads=chosen.intra_op_threads or threads(cores),
        inter_op_parallelism_threads=chosen.inter_op_threads or max(2, cores),
        device_count={"GPU": 0},
    )
