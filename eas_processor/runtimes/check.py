"""Is a freshly built runtime what its manifest says? Runs its interpreter and really imports.

The import also leaves compiled bytecode of the modules that workers need, so that the first start
of a worker is as quick as any later one.
"""

import json
import os
import subprocess

from eas_processor.errors import StartError
from eas_processor.registry import Manifest
from eas_processor.runtimes.folder import RuntimeFolder

CHECK_S_MAX = 300.0
# Runs on the processor's own Python, 3.6 or later. The version is also read from the package's
# metadata, because a GPU TensorFlow 1.x can not be imported where CUDA is not installed.
_LOOK = """
import glob, json, os, sys
found = {"import_error": None, "tensorflow": None}
try:
    import tensorflow
    found["tensorflow"] = tensorflow.__version__
    if tensorflow.__version__.startswith("1."):
        dir(tensorflow.contrib)  # really loads it
except Exception as error:
    lines = [line.strip() for line in str(error).splitlines() if "Error: " in line]
    found["import_error"] = lines[-1] if lines else type(error).__name__ + ": " + str(error)
if found["tensorflow"] is None:
    for entry in sys.path:
        for path in glob.glob(os.path.join(entry, "tensorflow*-*.dist-info")):
            name, _, version = os.path.basename(path)[:-len(".dist-info")].rpartition("-")
            if name in ("tensorflow", "tensorflow_cpu", "tensorflow_gpu"):
                found["tensorflow"] = version
print("\\n" + json.dumps(found))
"""


def check(manifest: Manifest, folder: RuntimeFolder, lock: int) -> dict[str, object]:
    """Facts of the runtime. Raises StartError if it does not import what the manifest names."""
    if manifest.tensorflow is None:
        return {}
    environment = dict(os.environ)
    entries = [*map(str, folder.library_path()), environment.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, entries))
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        ran = subprocess.run(
            [str(folder.python), "-I", "-W", "ignore", "-c", _LOOK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=folder.path,
            env=environment,
            pass_fds=(lock,),
            timeout=CHECK_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StartError(
            f"{manifest.name} was installed but did not import TensorFlow in {CHECK_S_MAX:.0f} s."
        ) from None
    return _judge(manifest, ran)


def _judge(manifest: Manifest, ran: "subprocess.CompletedProcess[bytes]") -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads(ran.stdout.decode("utf-8").strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        died = f"it was ended by signal {-ran.returncode}" if ran.returncode < 0 else " ".join(last)
        raise StartError(
            f"{manifest.name} was installed but can not import TensorFlow: {died}"
            + (" (does this CPU lack AVX?)" if ran.returncode == -4 else "")
        ) from None
    problem = found["import_error"]
    if problem and not (manifest.device == "gpu" and ".so" in str(problem)):
        raise StartError(f"{manifest.name} was installed but can not import TensorFlow: {problem}")
    if found["tensorflow"] != manifest.tensorflow:
        raise StartError(
            f"{manifest.name} was installed but has TensorFlow {found['tensorflow']}, while its "
            f"manifest says {manifest.tensorflow}: the lock file and the manifest disagree."
        )
    return found
