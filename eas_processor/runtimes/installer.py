"""Building a processor's runtime: interpreter, venv, locked requirements, and does it import?"""

import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from eas_processor.errors import StartError
from eas_processor.observe.progress import MEGABYTE, Progress, Working
from eas_processor.registry import Manifest
from eas_processor.runtimes.check import check
from eas_processor.runtimes.folder import Runtime, RuntimeFolder, cache_folder
from eas_processor.runtimes.interpreters import Interpreter, find_interpreter, variable_of
from eas_processor.runtimes.requirements import CHECK_SHARE, install_requirements

VENV_S_MAX = 120.0
UV_OFFERS_FROM_MINOR = 8  # what `uv python install` can still download


def find(manifest: Manifest) -> Runtime | None:
    """The processor's runtime if it is installed. Quick: starts nothing if there is a lock file."""
    if manifest.lock is None:
        interpreter = _any_interpreter(manifest)
        return Runtime(interpreter.path) if interpreter else None
    for minor in _minors(manifest):
        runtime = RuntimeFolder(manifest, minor).runtime()
        if runtime:
            return runtime
    return None


def why_not(manifest: Manifest) -> str | None:
    """Why the processor can not be installed here and what to do, None if it can."""
    machine = platform.machine()
    if manifest.machines and (sys.platform != "linux" or machine not in manifest.machines):
        wanted = " or ".join(manifest.machines)
        return f"it exists for Linux on {wanted} only, and this is {platform.system()} {machine}"
    try:
        if _any_interpreter(manifest):
            return None
    except StartError as error:
        return error.message.rstrip(".")
    return _how_to_get_python(manifest)


def install(manifest: Manifest, progress: Progress) -> Runtime:
    """The processor's runtime, built if it is not there. Slow; safe to call from many processes.

    Raises StartError saying what is missing or what failed.
    """
    runtime = find(manifest)
    if runtime:
        return runtime
    reason = why_not(manifest)
    interpreter = None if reason else _any_interpreter(manifest)
    if interpreter is None:
        raise StartError(f"{manifest.name} can not be installed here: {reason}.")
    folder = RuntimeFolder(manifest, interpreter.version.rpartition(".")[0])
    total = manifest.installed_mb * MEGABYTE if manifest.installed_mb else None
    with Working(progress, manifest.name, total, "B"):
        _refuse_full_disk(manifest)
        with folder.held(lambda: _tell_waiting(progress)) as lock:
            return folder.runtime() or _build(manifest, interpreter, folder, lock, progress)


def _tell_waiting(progress: Progress) -> None:
    progress.note("another process is installing it; waiting for that one")
    progress.advance(0)  # lets a log have its line every few seconds


def _build(
    manifest: Manifest,
    interpreter: Interpreter,
    folder: RuntimeFolder,
    lock: int,
    progress: Progress,
) -> Runtime:
    started_at = time.monotonic()
    if folder.finished:
        progress.note(f"its Python {folder.python.readlink()} is gone; installing it anew")
    elif folder.started:
        progress.note("removing what an earlier install left unfinished")
    try:
        if folder.started:
            folder.remove()
        folder.path.mkdir(parents=True)
        _make_venv(interpreter, folder, lock)
        install_requirements(manifest, folder, lock, progress)
        progress.note("checking that it works")
        facts = check(manifest, folder, lock)
        progress.advance(CHECK_SHARE * (manifest.installed_mb or 0) * MEGABYTE)
        took_s = round(time.monotonic() - started_at, 1)
        folder.mark_finished({**facts, "python": interpreter.version, "install_s": took_s})
    except StartError:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise StartError(f"{manifest.name} could not be installed: {error}.") from error
    runtime = folder.runtime()
    assert runtime is not None
    problem = facts.get("import_error")
    progress.note(
        f"installed, but not usable before CUDA is: {problem}" if problem else "installed"
    )
    return runtime


def _make_venv(interpreter: Interpreter, folder: RuntimeFolder, lock: int) -> None:
    command = [str(interpreter.path), "-I", "-m", "venv", "--without-pip", str(folder.venv)]
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(lock,),
            timeout=VENV_S_MAX,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise StartError(f"{interpreter.path} did not make a venv in {VENV_S_MAX:.0f} s.") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise StartError(f"{interpreter.path} can not make a venv: {' '.join(last)}") from None


def _refuse_full_disk(manifest: Manifest) -> None:
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(cache).free // MEGABYTE
    if manifest.installed_mb and free_mb < manifest.installed_mb:
        raise StartError(
            f"{manifest.name} takes about {manifest.installed_mb} MB and {cache} has {free_mb} MB "
            "left; make room there or set EAS_PROCESSOR_CACHE to another folder."
        )


def _minors(manifest: Manifest) -> tuple[str, ...]:
    return manifest.python or ("{}.{}".format(*sys.version_info),)


def _any_interpreter(manifest: Manifest) -> Interpreter | None:
    if not manifest.python and not manifest.lock:
        return Interpreter(Path(sys.executable), platform.python_version())
    for minor in _minors(manifest):
        interpreter = find_interpreter(minor)
        if interpreter:
            return interpreter
    return None


def _how_to_get_python(manifest: Manifest) -> str:
    """The words that follow `can not be installed here:`."""
    minors = _minors(manifest)
    best = minors[0]
    ways = [f"`pyenv install {best}`", f"`conda create -n py{best} python={best}`"]
    if int(best.split(".")[1]) >= UV_OFFERS_FROM_MINOR:
        ways.insert(0, f"`uv python install {best}`")
    return (
        f"it needs Python {' or '.join(minors)} and none was found; get one with "
        f"{' or '.join(ways)}, or set {variable_of(best)}=/path/to/python{best}"
    )
