"""Is CUDA there for this TensorFlow? Asked without TensorFlow, which answers in pages or crashes.

Libraries that came as wheels (nvidia-…) lie where the loader does not look: loading them here, by
path, lets TensorFlow find them afterwards by name.
"""

import ctypes
import glob
import os
import shutil
import sysconfig

DRIVER = "libcuda.so.1"
VISIBLE = "CUDA_VISIBLE_DEVICES"

_CUDA_9 = "cudart.so.9.0 cublas.so.9.0 cufft.so.9.0 curand.so.9.0 cusolver.so.9.0 cudnn.so.7"
_CUDA_10 = (
    "cudart.so.10.0 cublas.so.10.0 cufft.so.10.0 curand.so.10.0 cusparse.so.10.0 cusolver.so.10.0"
    " cudnn.so.7"
)
_CUDA_11 = (
    "cudart.so.11.0 cublasLt.so.11 cublas.so.11 cufft.so.10 curand.so.10 cusparse.so.11"
    " cusolver.so.%d cudnn.so.8"
)
_CUDA_12 = (
    "cudart.so.12 cublasLt.so.12 cublas.so.12 cufft.so.11 curand.so.10 nvJitLink.so.12"
    " cusparse.so.12 cusolver.so.11 cudnn.so.9"
)
# What each TensorFlow opens, in an order in which one finds the ones it needs.
LIBRARIES = {
    "1.12": _CUDA_9,
    "1.14": _CUDA_10,
    "1.15": _CUDA_10,
    "2.4": _CUDA_11 % 10,
    "2.7": _CUDA_11 % 11,
    "2.21": _CUDA_12,
}


def missing(tensorflow_version):
    """What keeps this TensorFlow from the GPU, in words; None if nothing does."""
    visible = os.environ.get(VISIBLE)
    if visible is not None and (not visible.strip() or visible.strip().startswith("-")):
        return "all devices are hidden by the environment variable %s=%s" % (VISIBLE, visible)
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return _no_driver()
    lacking = _not_loadable(tensorflow_version)
    if lacking:
        return "TensorFlow %s cannot load %s (put the folder into LD_LIBRARY_PATH)" % (
            tensorflow_version,
            ", ".join(lacking),
        )
    return _no_device(driver)


def _no_driver():
    parts = ["the NVIDIA driver is missing (%s cannot be loaded" % DRIVER]
    if shutil.which("nvidia-smi") is None:
        parts.append("nvidia-smi is not installed")
    if not glob.glob("/dev/nvidia[0-9]*"):
        parts.append("there is no device /dev/nvidia0")
    return ", ".join(parts) + ")"


def _not_loadable(tensorflow_version):
    names = LIBRARIES.get(".".join(tensorflow_version.split(".")[:2]), "").split()
    return [name for name in ("lib" + name for name in names) if not _load(name)]


def _load(name):
    folder = os.path.join(sysconfig.get_paths()["purelib"], "nvidia")
    paths = sorted(glob.glob(os.path.join(folder, "*", "lib", name)))
    for path in paths:
        if name.startswith("libcudnn."):  # opens its parts by name when it is first used
            parts = glob.glob(os.path.join(os.path.dirname(path), "libcudnn_*.so.*"))
            _load_in_any_order(sorted(parts))
    for candidate in [*paths, name]:
        try:
            ctypes.CDLL(candidate, ctypes.RTLD_GLOBAL)
            return True
        except OSError:
            pass
    return False


def _load_in_any_order(paths):
    """Load each as soon as those that it needs are loaded; leave out what never can be."""
    for _ in range(len(paths)):
        waiting = []
        for path in paths:
            try:
                ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
            except OSError:
                waiting.append(path)
        if len(waiting) in (0, len(paths)):
            return
        paths = waiting


def _no_device(driver):
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status:
        return "the NVIDIA driver answers with error %d (see nvidia-smi)" % status
    if not count.value:
        return "the NVIDIA driver shows no device (%s=%s)" % (VISIBLE, os.environ.get(VISIBLE, ""))
    return None
