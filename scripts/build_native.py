"""Compiles the one piece of C that the package has, where that can be done.

Hatchling calls it for a wheel and for an editable install. Without a compiler, Python's headers or
an x86-64 processor the package does the same in Python, and reads large JSON bodies more slowly.
"""

import os
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "eas_processor/codec/_skeleton.c"
COMPILE_S_MAX = 120


class NativeCode(BuildHookInterface[Any]):
    """Hatchling's view of `compile_failure`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the files of a wheel are gathered."""
        source = Path(self.root, SOURCE)
        name = source.stem + sysconfig.get_config_var("EXT_SUFFIX")
        is_wheel = version == "standard"  # else it is an installation of the checkout itself
        self._kept = tempfile.TemporaryDirectory(prefix="eas-processor-")  # until all is gathered
        folder = Path(self._kept.name) if is_wheel else source.parent
        reason = compile_failure(source, folder / name)
        if reason:
            self.app.display_warning(f"{SOURCE} is left out, Python does its work: {reason}")
        elif is_wheel:
            build_data["force_include"][str(folder / name)] = str(Path(SOURCE).with_name(name))
            build_data.update(pure_python=False, infer_tag=True)


def compile_failure(source: Path, target: Path) -> str:
    """Why there is no new `target`, a module for this Python; "" if there is one."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    include = f"-I{sysconfig.get_path('include')}"
    command = [*shlex.split(compiler), "-O2", "-Wall", "-shared", "-fPIC", include]
    try:
        target.unlink(missing_ok=True)
        done = subprocess.run(
            [*command, str(source), "-o", str(target)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPILE_S_MAX,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0 and target.exists():
        return ""
    return done.stderr.strip() or f"{compiler} ended with {done.returncode}"
