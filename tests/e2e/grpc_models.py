"""Writes what the gRPC tests serve (3.6-clean): half_plus_two twice, and identities of all dtypes.

python grpc_models.py REPOSITORY FOLDER
"""

import os
import sys

import runtime_models

DTYPES = {
    "FLOAT": "float32", "DOUBLE": "float64", "HALF": "float16", "BFLOAT16": "bfloat16",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
    "UINT8": "uint8", "UINT16": "uint16", "BOOL": "bool", "STRING": "string",
    "COMPLEX64": "complex64", "COMPLEX128": "complex128", "UINT32": "uint32", "UINT64": "uint64",
    "QINT8": "qint8", "QUINT8": "quint8", "QINT16": "qint16", "QUINT16": "quint16",
    "QINT32": "qint32",
}  # fmt: skip
NEWER = (
    "int4", "uint4", "int2", "uint2", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
    "float8_e4m3b11fnuz", "float8_e5m2fnuz", "float4_e2m1fn",
)  # fmt: skip


def main(repository, folder):
    models = runtime_models.models(repository)
    for version in ("1", "2"):
        models.half_plus_two(os.path.join(folder, "half_plus_two", version))
    identities(models, os.path.join(folder, "dtypes", "1"))


def identities(models, folder):
    tf, tf1 = models.tf, models.tf1
    with tf.Graph().as_default(), tf1.Session() as session:
        signatures = {}
        dtypes = dict(DTYPES)
        if tf.__version__.startswith("2.21"):
            dtypes.update((name.upper(), name) for name in NEWER)
        for name, dtype in dtypes.items():
            x = tf1.placeholder(tf.as_dtype(dtype), None, name="x_" + name)
            signatures["DT_" + name] = models.signature({"x": x}, {"y": tf.identity(x)})
        models.save(session, folder, signatures)


if __name__ == "__main__":
    main(*sys.argv[1:])
