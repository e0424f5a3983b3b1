"""The official EAS SDK in an environment of its own.

The SDK pins an old protobuf, so it cannot share an environment with the host. It is installed once,
from the hashed lock file beside this module, into the cache folder; tests then run the scripts in
`clients/` with that interpreter, as a user of the SDK would.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import uv

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
CLIENTS = HERE / "clients"
INSTALL_S_MAX = 300
RUN_S_MAX = 60
# Asked once, here: sysconfig, which it asks in turn, bears no first call from two threads at once.
UV = uv.find_uv_bin()


class Sdk:
    """An interpreter that can `import eas_prediction`."""

    def __init__(self, python: Path) -> None:
        self.python = python

    def run(
        self, script: str, *args: object, timeout: float = RUN_S_MAX
    ) -> "subprocess.CompletedProcess[str]":
        """Run a script of `clients/` (or any absolute path) to its end, whatever its exit code."""
        command = [str(self.python), "-E", "-s", str(CLIENTS / script), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="session")
def sdk() -> Sdk:
    """The official SDK, ready to run client scripts: `sdk.run("mnist.py", endpoint, …)`."""
    return install(cache_folder())


def cache_folder() -> Path:
    """Where environments are kept between runs; the same folder as the processors' runtimes."""
    named = os.environ.get("EAS_PROCESSOR_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "eas-processor"


def install(cache: Path, lock: Path = LOCK) -> Sdk:
    """The SDK's environment, made if it is not there yet.

    It is built beside its final place and renamed when complete, so a half-made one is never used
    and two runs at once do not disturb each other.
    """
    final = cache / "sdk" / _key(lock)
    python = final / "bin" / "python"
    if python.exists():
        return Sdk(python)
    final.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
    try:
        _uv("venv", "--quiet", "--python", sys.executable, str(building / "env"))
        made = str(building / "env" / "bin" / "python")
        _uv("pip", "install", "--quiet", "--python", made, "--require-hashes", "-r", str(lock))
        # Refused when another run was quicker: then its environment is as good as this one.
        with contextlib.suppress(OSError):
            (building / "env").rename(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    if not python.exists():
        raise RuntimeError(f"{final} does not work: remove that folder and try again")
    return Sdk(python)


def _key(lock: Path) -> str:
    # The interpreter counts, too: an environment outlives neither its removal nor its upgrade.
    told = [lock.read_bytes(), sys.version.encode(), sys.base_prefix.encode()]
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:16]


def _uv(*args: str) -> None:
    done = subprocess.run(
        [UV, *args],
        capture_output=True,
        text=True,
        timeout=INSTALL_S_MAX,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"uv {args[0]} failed while installing the EAS SDK:\n{done.stderr}")
