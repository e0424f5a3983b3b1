"""TensorFlow alone: the prepared callable in a loop. Python 3.6-clean, for any runtime.

    python bare_tensorflow.py MODEL SIGNATURE INPUT.npy OUTPUT.npy THREADS

Loads the model with THREADS intra-op threads (0 = TensorFlow's own choice), writes what it answers
to the input, says so, then obeys lines on stdin: {"start": MONOTONIC_S, "seconds": S} runs the
callable from that moment for so long and prints what it did. Ends with its stdin.
"""

import json
import sys
import time

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

v1 = getattr(tf.compat, "v1", tf)  # 1.12 has no compat.v1
WARM_UP_RUNS = 10


def prepare(folder, signature, threads):
    """A function from one array to one array: the signature's, as cheap as TensorFlow makes it."""
    options = v1.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1 if threads == 1 else 0
    )
    session = v1.Session(graph=tf.Graph(), config=options)
    with session.graph.as_default():
        meta = v1.saved_model.loader.load(session, ["serve"], folder)
    definition = meta.signature_def[signature]
    wanted = config_pb2.CallableOptions()
    wanted.feed.extend(tensor.name for tensor in definition.inputs.values())
    wanted.fetch.extend(tensor.name for tensor in definition.outputs.values())
    wanted.run_options.inter_op_thread_pool = -1  # in the calling thread
    return session._make_callable_from_options(wanted)


def measure(run, feed, start, seconds):
    """Run for `seconds` from `start` on; counts and latencies."""
    time.sleep(max(0.0, start - time.monotonic()))
    took = []
    began = before = time.perf_counter()
    while before - began < seconds:
        run(feed)
        after = time.perf_counter()
        took.append(after - before)
        before = after
    took_us = np.array(took) * 1e6
    return {
        "runs": len(took),
        "seconds": before - began,
        "p50_us": float(np.percentile(took_us, 50)),
        "p99_us": float(np.percentile(took_us, 99)),
    }


def main(folder, signature, source, target, threads):
    """Load, answer once, then obey."""
    run = prepare(folder, signature, int(threads))
    feed = np.load(source)
    for _ in range(WARM_UP_RUNS):
        output = run(feed)[0]
    np.save(target, output)
    print(json.dumps({"tensorflow": tf.__version__}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        print(json.dumps(measure(run, feed, wanted["start"], wanted["seconds"])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
