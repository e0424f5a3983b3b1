"""Finding a Python of a given minor version on this machine.

Looked at, in this order: the EAS_PYTHON_3_7 kind of variable, the Python the host runs on, uv's and
pyenv's own installations, conda environments, and `pythonX.Y` on PATH. Each candidate is really
run and asked for its version, because a file with the right name may be a pyenv shim whose version
is not selected, a broken link, or another implementation than CPython.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from eas_processor.errors import StartError

PROBE_S_MAX = 10.0
_PROBE = (
    "import json, platform, struct, sys; "
    "import venv; "
    "print(json.dumps([sys.version_info[:3], platform.python_implementation(), "
    "struct.calcsize('P'), getattr(sys, 'base_prefix', sys.prefix), sys.executable]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A CPython that runs. `path` is the installation's own executable, never a venv's."""

    path: Path
    version: str  # "3.7.16"


def find_interpreter(minor: str) -> Interpreter | None:
    """The first Python `minor` ("3.7") that runs here.

    Raises StartError when EAS_PYTHON_3_7 is set and names something else.
    """
    variable = variable_of(minor)
    chosen = os.environ.get(variable)
    if chosen:
        answer = ask(Path(chosen).expanduser())
        if isinstance(answer, str):
            raise StartError(f"{variable}={chosen} can not be used: {answer}.")
        if not answer.version.startswith(minor + "."):
            raise StartError(f"{variable}={chosen} is Python {answer.version}, not {minor}.")
        return answer
    seen: set[Path] = set()
    for path in _candidates(minor):
        if path in seen:
            continue
        seen.add(path)
        answer = ask(path)
        if isinstance(answer, Interpreter) and answer.version.startswith(minor + "."):
            return answer
    return None


def variable_of(minor: str) -> str:
    """The environment variable that names the interpreter for `minor`: EAS_PYTHON_3_7."""
    return "EAS_PYTHON_" + minor.replace(".", "_")


@lru_cache(maxsize=256)
def ask(path: Path) -> Interpreter | str:
    """Run `path` and ask it what it is; what is wrong with it, in words, if it is no good.

    Remembered for the life of this process: a listing asks for the same ones again and again.
    """
    if not path.is_file() or not os.access(path, os.X_OK):
        return "there is no such program"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    try:
        ran = subprocess.run(
            [str(path), "-I", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=PROBE_S_MAX,
            check=True,
        )
        version, implementation, pointer_bytes, prefix, executable = json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        return f"it did not answer within {PROBE_S_MAX:.0f} s"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"it does not run ({lines[-1] if lines else f'exit status {error.returncode}'})"
    except (OSError, ValueError):
        return "it does not run"
    if implementation != "CPython" or pointer_bytes != 8:
        return f"it is not a 64-bit CPython but a {implementation}"
    own = Path(prefix, "bin", "python{}.{}".format(*version))
    return Interpreter(own if own.exists() else Path(executable), ".".join(map(str, version)))


def _candidates(minor: str) -> Iterator[Path]:
    program = f"python{minor}"
    if minor == "{}.{}".format(*sys.version_info):
        yield Path(sys.executable)
    for folder in _installations(minor):
        yield folder / "bin" / program
    for entry in os.get_exec_path():
        found = shutil.which(program, path=entry)
        if found:
            yield Path(found)
    found = shutil.which("python3")
    if found:
        yield Path(found)


def _installations(minor: str) -> Iterator[Path]:
    """Folders in which uv, pyenv and conda keep whole Pythons of this minor, newest first."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv_folder = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    for parent, pattern in (
        (uv_folder, f"cpython-{minor}.*"),
        (pyenv / "versions", f"{minor}.*"),
    ):
        yield from sorted(parent.glob(pattern), key=_patch, reverse=True)
    roots = [home / name for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge")]
    roots += [home / ".conda", Path("/opt/conda")]
    for variable in ("CONDA_PREFIX", "CONDA_ROOT", "MAMBA_ROOT_PREFIX"):
        if os.environ.get(variable):
            roots.append(Path(os.environ[variable]))
    for root in roots:
        yield root
        yield from sorted(root.glob("envs/*"))


def _patch(folder: Path) -> tuple[int, ...]:
    """`cpython-3.9.25-linux…` and `3.9.25` → (3, 9, 25), so that 25 comes after 9."""
    version = folder.name.removeprefix("cpython-").split("-")[0]
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
