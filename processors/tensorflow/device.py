"""Readies the process before TensorFlow is imported: which devices it sees, how many threads.

On threads: two runs side by side with one thread each do more than one run with two threads (an
image model on two cores: 99 images/s against 76). The host sends `concurrency` calls at once, so up
to four cores an op has one thread; beyond that a quarter of the cores shortens large ops, while
four calls still fill the machine.
"""

import os

from eas_processor.errors import StartError

from . import cuda

ALLOW_CPU = "processor_options.allow_cpu"
SMALL_MACHINE_CORES = 4
HIDE_GPUS = "-1"


def prepare(config, chosen, note):
    """Set up this process; gives whether GPUs are to be used. Call before TensorFlow's import.

    config: the worker's; chosen: options.Options; note(text): tells the user. Raises StartError if
    a GPU is wanted and missing.
    """
    if config.get("device") != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = HIDE_GPUS  # a cpu processor leaves GPUs alone
        return False
    if chosen.visible_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = chosen.visible_devices
    manifest = config.get("manifest") or {}
    missing = cuda.missing(manifest.get("tensorflow") or "")
    if missing is None:
        return True
    if not chosen.allow_cpu:
        raise StartError(_refusal(manifest.get("name"), missing))
    note("running on the CPU, as %s says: %s" % (ALLOW_CPU, missing))
    os.environ["CUDA_VISIBLE_DEVICES"] = HIDE_GPUS
    return False


def import_tensorflow(config):
    """The module `api`. Raises StartError with one line where TensorFlow cannot be imported."""
    try:
        from . import api
    except ImportError as error:
        lines = [line.strip() for line in str(error).split("\n") if line.strip()]
        told = [line for line in lines if line.startswith("ImportError:")] or lines[-1:]
        text = "TensorFlow cannot be imported: " + (told[0] if told else "no reason given")
        if config.get("device") == "gpu":
            text += "; without CUDA this version runs from its tensorflow_cpu processor only"
        raise StartError(text) from error
    return api


def session_config(tf1, config, chosen, with_gpus):
    """The ConfigProto of the session."""
    cores = max(1, int(config.get("cores") or 1))
    proto = tf1.ConfigProto(
        intra_op_parallelism_threads=chosen.intra_op_threads or intra_op_threads(cores),
        inter_op_parallelism_threads=chosen.inter_op_threads or max(2, cores),
        allow_soft_placement=True,
    )
    if not with_gpus:
        proto.device_count["GPU"] = 0
        return proto
    proto.gpu_options.allow_growth = chosen.gpu_memory_growth
    if chosen.gpu_memory_fraction is not None:
        proto.gpu_options.per_process_gpu_memory_fraction = chosen.gpu_memory_fraction
    return proto


def runs_at_once(config, proto):
    """How many runs fill the cores; more of them at once only take each other's caches."""
    cores = max(1, int(config.get("cores") or 1))
    return max(1, -(-cores // proto.intra_op_parallelism_threads))


def intra_op_threads(cores):
    """How many threads one op has by default."""
    return 1 if cores <= SMALL_MACHINE_CORES else cores // 4


def check_gpu(session, config):
    """Raise StartError unless TensorFlow itself found a GPU."""
    if not any(device.device_type == "GPU" for device in session.list_devices()):
        name = (config.get("manifest") or {}).get("name")
        raise StartError(
            _refusal(name, "TensorFlow found no GPU that it can use, the worker's log says why")
        )


def _refusal(name, missing):
    return "%s needs a CUDA device: %s. To run it on the CPU all the same, set %s to true" % (
        name or "this processor",
        missing,
        ALLOW_CPU,
    )
