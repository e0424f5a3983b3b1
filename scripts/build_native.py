"""Compiles the one piece of C that the package has, where that can be done.

Hatchling calls it for a wheel and for an editable install. Without a compiler, Python's headers or
an x86-64 processor the package does the same in Python, and reads large JSON bodies more slowly.
"""

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "eas_processor/codec/_skeleton.c"
COMPILE_S_MAX = 120


class NativeCode(BuildHookInterface[Any]):
    """Hatchling's view of `compiled`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the files of a wheel are gathered."""
        source = Path(self.root, SOURCE)
        target = source.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
        reason = compile_failure(source, target)
        if reason:
            self.app.display_warning(f"{SOURCE} is left out, Python does its work: {reason}")
        elif version == "standard":
            build_data["force_include"][str(target)] = target.relative_to(self.root).as_posix()
            build_data.update(pure_python=False, infer_tag=True)


def compile_failure(source: Path, target: Path) -> str:
    """Why there is no `target` now, a module for this Python; "" if there is one."""
    target.unlink(missing_ok=True)
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    include = f"-I{sysconfig.get_path('include')}"
    command = [*shlex.split(compiler), "-O2", "-Wall", "-shared", "-fPIC", include]
    try:
        done = subprocess.run(
            [*command, str(source), "-o", str(target)],
            capture_output=True,
            text=True,
            timeout=COMPILE_S_MAX,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""
