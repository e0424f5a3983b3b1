"""What must be on the disk first: the processor's runtime, the peers' environments, the models."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.failure import BenchmarkError
from eas_processor import runtimes
from eas_processor.observe import progress
from eas_processor.registry import Registry

PEERS = Path(__file__).with_name("peers")
BUILDERS = Path(__file__).with_name("builders")
PEER_PYTHONS = ">=3.11,<3.13"  # what all peers have wheels for
SETUP_S_MAX = 1200


def cache_folder() -> Path:
    """Where the benchmark keeps what it made."""
    return runtimes.cache_folder() / "benchmarks"


@contextmanager
def alone() -> Iterator[None]:
    """Two benchmarks at once would measure each other: the second one is refused.

    SIGTERM interrupts as Ctrl-C does: what was started is ended.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "running").open("w") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BenchmarkError("a benchmark is running already on this machine") from None
        yield


def processor_python(name: str) -> Path:
    """The interpreter of a processor's runtime, which is installed if it is not there."""
    manifest = Registry().get(name)
    runtime = runtimes.find(manifest)
    if runtime is None:
        runtime = runtimes.install(manifest, progress.for_stream(sys.stderr))
    return runtime.python


def peer_python(name: str) -> Path:
    """The interpreter of a peer's own environment: the peer and the current TensorFlow."""
    lock = PEERS / name / "requirements.lock"

    def make(folder: Path) -> None:
        uv = _uv()
        python = str(folder / "bin" / "python")
        create = [uv, "venv", "--quiet", "--python", PEER_PYTHONS, str(folder)]
        install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes"]
        _run(f"make an environment for {name}", create)
        _run(f"install {name}", [*install, "--requirement", str(lock)])

    return _made(f"peer-{name}", lock, make) / "bin" / "python"


def library_folder(python: Path) -> str:
    """Where the shared library of an interpreter is, if it has one."""
    code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    ran = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout.strip()


def model_folder(name: str) -> Path:
    """The SavedModel that `builders/<name>.py` writes, made by FastAPI's environment."""
    script = BUILDERS / f"{name}.py"

    def make(folder: Path) -> None:
        command = [str(peer_python("fastapi")), str(script), str(folder)]
        _run(f"make the {name} model", command)

    return _made(f"model-{name}", script, make)


def _made(name: str, source: Path, make: Callable[[Path], None]) -> Path:
    """A folder that `make` filled from `source`; made anew when that changes or was cut short."""
    key = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"{name}-{key}"
    complete = folder.with_suffix(".complete")
    if not complete.exists():
        print(f"making {folder} (once)", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        complete.touch()
    return folder


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise BenchmarkError("uv is not installed in this environment: `pip install uv`")
    return found


def _run(what: str, command: Sequence[str]) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    ran = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SETUP_S_MAX,
        check=False,
    )
    if ran.returncode != 0:
        raise BenchmarkError(f"could not {what}:\n{ran.stdout[-2000:]}")
