"""Readies the process before TensorFlow is imported: which devices it sees."""

import os

from eas_processor.errors import StartError

from . import cuda

ALLOW_CPU = "processor_options.allow_cpu"
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


def check_gpu(session, config):
    """Raise StartError unless TensorFlow itself found a GPU."""
    if not any(device.device_type == "GPU" for device in session.list_devices()):
        name = (config.get("manifest") or {}).get("name")
        raise StartError(
            _refusal(name, "TensorFlow found no GPU that it can use, the worker's log says why")
        )


def _refusal(name, missing):
    return (
        "%s needs a CUDA device: %s. Choose a tensorflow_cpu processor, or, in a service JSON that "
        "names this one, set %s to true" % (name or "this processor", missing, ALLOW_CPU)
    )
