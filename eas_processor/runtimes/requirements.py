"""Installing a lock file into a venv with uv, watched and bounded."""

import contextlib
import os
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

from eas_processor.errors import StartError
from eas_processor.observe.progress import MEGABYTE, Progress
from eas_processor.registry import Manifest
from eas_processor.runtimes.folder import RuntimeFolder

INSTALL_S_MAX = 7200.0
LOOK_EVERY_S = 0.25
LINES_KEPT = 60
CHECK_SHARE = 0.02  # of the bar, kept for the check that comes after
BUILD_LOCK = "build.lock"  # pins what builds requirements that exist as source only
# Settings of the user's own environments, which must not redirect this one.
_NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PYTHON", "UV_TARGET")
_NETWORK_SIGNS = (
    *("error sending request", "dns error", "failed to fetch", "failed to download"),
    *("connection", "timed out", "timeout", "network"),
)


def install_requirements(
    manifest: Manifest, folder: RuntimeFolder, lock: int, progress: Progress
) -> None:
    """Install the processor's lock file. Raises StartError with uv's own reason in it."""
    process = subprocess.Popen(
        _command(manifest, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder.path,  # not the user's, where a uv.toml of some project may lie
        env={key: value for key, value in os.environ.items() if key not in _NOT_OURS},
        pass_fds=(lock,),
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    lines: deque[str] = deque(maxlen=LINES_KEPT)
    reader = threading.Thread(target=_read, args=(process, lines, progress), daemon=True)
    reader.start()
    try:
        _watch(process, manifest, progress)
        reader.join(timeout=LOOK_EVERY_S * 8)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise StartError(_reason(manifest, list(lines)))


def _command(manifest: Manifest, folder: RuntimeFolder) -> list[str]:
    from uv import find_uv_bin

    assert manifest.lock is not None
    command = [find_uv_bin(), "pip", "install", "--python", str(folder.python), "--require-hashes"]
    command += [
        "--no-progress",
        "--no-python-downloads",
        "-r",
        str(manifest.folder / manifest.lock),
    ]
    build_lock = manifest.folder / BUILD_LOCK
    if build_lock.is_file():
        command += ["--build-constraints", str(build_lock)]
    return command


def _read(process: "subprocess.Popen[str]", lines: deque[str], progress: Progress) -> None:
    assert process.stderr is not None
    with process.stderr as said:
        for line in said:
            words = line.strip()
            lines.append(words)
            if words.startswith(("Downloading", "Building", "Prepared")):
                progress.note(words)


def _watch(process: "subprocess.Popen[str]", manifest: Manifest, progress: Progress) -> None:
    """Wait for the end of uv, telling progress how many bytes it has unpacked so far.

    What uv writes is close to what will be installed, or nothing if uv has it in its own cache.
    """
    give_up_at = time.monotonic() + INSTALL_S_MAX
    expected = (1 - CHECK_SHARE) * (manifest.installed_mb or 0) * MEGABYTE
    told = 0.0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if process.wait(LOOK_EVERY_S) == 0:
                progress.advance(max(0.0, expected - told))
            return
        written: float = _bytes_written(process.pid)
        if expected:
            written = min(written, expected)
        progress.advance(max(0.0, written - told))
        told = max(told, written)
        if time.monotonic() > give_up_at:
            raise StartError(f"uv did not finish within {INSTALL_S_MAX:.0f} s; it was ended.")


def _bytes_written(pid: int) -> int:
    """What the process has written to files so far; 0 where the system does not tell."""
    try:
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "wchar":
                return int(value)
    except (OSError, ValueError):
        pass
    return 0


def _reason(manifest: Manifest, lines: list[str]) -> str:
    """One message out of uv's last words."""
    said = [line for line in lines if line]
    again = f"then run `eas-processor install {manifest.name}` again"
    for line in said:
        if "hash mismatch" in line.lower():
            package = line.partition("for ")[2] or line
            return (
                f"{manifest.name}: what was downloaded for {package} has not the hash that "
                f"{manifest.folder / str(manifest.lock)} wants, so it was refused."
            )
    low = " ".join(said).lower()
    errors = [index for index, line in enumerate(said) if line.lower().startswith("error")]
    said = said[errors[-1] :] if errors else said[-1:]
    words = " … ".join(dict.fromkeys([*said[:1], *said[-1:]])) or "uv failed without a word"
    if "no space left" in low:
        return f"{manifest.name}: the disk is full: {words}. Make room, {again}."
    if any(sign in low for sign in _NETWORK_SIGNS):
        return (
            f"{manifest.name}: a download failed: {words}. Check the network (a proxy: "
            f"HTTPS_PROXY; a mirror: UV_DEFAULT_INDEX), {again}."
        )
    return f"{manifest.name} could not be installed: {words}"
