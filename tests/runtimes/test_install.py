"""Installing a runtime: what comes out, and what is said and left behind when it does not work."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eas_processor.errors import StartError
from eas_processor.registry import Manifest, read_manifest
from eas_processor.runtimes import find, install, why_not
from tests.runtimes.conftest import Told
from tests.runtimes.packages import write_processor, write_wheel


def output_of(python: Path, code: str) -> str:
    ran = subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout.strip()


def runtime_folders(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "runtimes").iterdir() if path.is_dir())


def processor_with(tmp_path: Path, modules: dict[str, str], **keys: object) -> Manifest:
    """A processor whose only package is called tensorflow."""
    pin = write_wheel(tmp_path / "packages", "tensorflow", modules, version="1.15.5")
    home = write_processor(tmp_path, "fake_tensorflow", [pin], tensorflow="1.15.5", **keys)
    return read_manifest(home / "processor.toml")


def test_an_installed_runtime_has_the_locked_packages_and_nothing_of_the_host(tiny, told):
    assert find(tiny) is None

    runtime = install(tiny, told)

    assert output_of(runtime.python, "import tiny; print(tiny.COLOUR)") == "green"
    assert output_of(runtime.python, "import importlib.util as u; print(u.find_spec('click'))") == (
        "None"
    )
    assert find(tiny) == runtime
    assert told.titles == ["tiny_processor"] and told.finished == 1


def test_what_is_installed_is_not_installed_again(tiny, told, tmp_path):
    first = install(tiny, told)
    shutil.rmtree(tmp_path / "packages")  # a second install could not succeed

    assert install(tiny, Told()) == first


def test_a_changed_lock_file_makes_another_runtime_beside_the_first(tiny, told, cache):
    first = install(tiny, told)
    lock = tiny.folder / "requirements.lock"
    lock.write_text(lock.read_text() + "# changed\n")
    assert find(tiny) is None

    second = install(tiny, told)

    assert second.python != first.python and first.python.exists()
    assert len(runtime_folders(cache)) == 2


def test_a_package_with_another_hash_is_refused_and_nothing_is_left(tiny, told, tmp_path, cache):
    write_wheel(tmp_path / "packages", "tiny", {"tiny.py": "COLOUR = 'red'\n"})

    with pytest.raises(StartError, match=r"tiny==1\.0.*has not the hash.*refused"):
        install(tiny, told)

    assert find(tiny) is None and runtime_folders(cache) == [] and told.finished == 1


def test_a_half_made_runtime_is_never_used_and_is_made_anew(tiny, told, cache):
    whole = install(tiny, told)
    folder = whole.python.parent.parent.parent
    (folder / "runtime.json").unlink()
    (folder / "venv" / "rubbish").write_text("left by a crash")
    assert find(tiny) is None

    again = install(tiny, told)

    assert again == whole
    assert not (folder / "venv" / "rubbish").exists()
    assert any("unfinished" in note for note in told.notes)


def test_a_runtime_whose_interpreter_was_removed_is_made_anew_with_a_word(tiny, told):
    runtime = install(tiny, told)
    runtime.python.unlink()
    runtime.python.symlink_to("/nowhere/python3")
    assert find(tiny) is None

    again = install(tiny, told)

    assert output_of(again.python, "import tiny; print(tiny.COLOUR)") == "green"
    assert any("/nowhere/python3 is gone" in note for note in told.notes)


def test_an_unreachable_index_is_said_in_clear_words(tiny, told, cache):
    lock = tiny.folder / "requirements.lock"
    pin = lock.read_text().splitlines()[-1]
    lock.write_text(f"--index-url http://127.0.0.1:9/simple\n{pin}\n")

    with pytest.raises(StartError) as caught:
        install(tiny, told)

    message = caught.value.message
    assert "a download failed" in message and "Connection refused" in message
    assert "HTTPS_PROXY" in message and "eas-processor install tiny_processor" in message
    assert "\n" not in message and runtime_folders(cache) == []


def test_a_missing_interpreter_is_said_with_the_commands_that_get_one(tiny, told):
    manifest = dataclasses.replace(tiny, python=("3.99",))

    reason = why_not(manifest)
    with pytest.raises(StartError) as caught:
        install(manifest, told)

    assert reason and reason in caught.value.message
    for way in ("uv python install 3.99", "pyenv install 3.99", "EAS_PYTHON_3_99=/path/to/python"):
        assert way in reason


def test_commands_that_can_not_get_an_old_python_are_not_advised(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CONDA_PREFIX", raising=False)

    reason = why_not(dataclasses.replace(tiny, python=("3.6",)))

    assert reason and "pyenv install 3.6" in reason and "uv python" not in reason


def test_another_machine_is_refused_by_name(tiny, told):
    manifest = dataclasses.replace(tiny, machines=("vax",))

    with pytest.raises(StartError, match="exists for Linux on vax only"):
        install(manifest, told)


def test_a_disk_without_room_is_refused_before_anything_is_downloaded(tiny, told, cache):
    manifest = dataclasses.replace(tiny, installed_mb=10**9)

    with pytest.raises(StartError, match=r"MB left.*EAS_PROCESSOR_CACHE"):
        install(manifest, told)

    assert told.notes == [] and told.finished == 1


def test_progress_reaches_its_total(tiny, told):
    install(dataclasses.replace(tiny, installed_mb=3), told)

    assert told.total == 3_000_000
    assert told.done == pytest.approx(told.total)


def test_a_processor_without_a_lock_runs_on_the_hosts_python(tmp_path, told, cache):
    manifest = Manifest("bare", "", "bare:Bare", "cpu", (), None, None, tmp_path)

    assert find(manifest) == install(manifest, told)
    assert find(manifest).python == Path(sys.executable)
    assert not cache.exists()


def test_a_version_that_is_not_the_manifests_is_refused(tmp_path, told, cache):
    manifest = processor_with(tmp_path, {"tensorflow/__init__.py": "__version__ = '2.3.4'\n"})

    with pytest.raises(StartError, match=r"has TensorFlow 2\.3\.4.*manifest says 1\.15\.5"):
        install(manifest, told)

    assert find(manifest) is None and runtime_folders(cache) == []


def test_a_tensorflow_that_does_not_import_is_refused_with_its_own_words(tmp_path, told, cache):
    code = "raise ImportError('libm.so.6: version GLIBC_2.99 not found')\n"
    manifest = processor_with(tmp_path, {"tensorflow/__init__.py": code})

    with pytest.raises(StartError, match=r"can not import TensorFlow: .*GLIBC_2\.99 not found"):
        install(manifest, told)


def test_a_tensorflow_that_crashes_is_refused_with_its_signal(tmp_path, told, cache):
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
    manifest = processor_with(tmp_path, {"tensorflow/__init__.py": code})

    with pytest.raises(StartError, match=r"signal 4.*AVX"):
        install(manifest, told)


def test_a_gpu_runtime_installs_where_cuda_is_missing_and_says_what_is(tmp_path, told, cache):
    code = "raise ImportError('libcublas.so.9.0: cannot open shared object file')\n"
    manifest = processor_with(tmp_path, {"tensorflow/__init__.py": code}, device="gpu")

    runtime = install(manifest, told)

    facts = json.loads((runtime.python.parent.parent.parent / "runtime.json").read_text())
    assert facts["tensorflow"] == "1.15.5"
    assert "libcublas.so.9.0" in facts["import_error"] and "libcublas.so.9.0" in told.notes[-1]


def test_cuda_libraries_that_came_as_wheels_are_named_for_the_worker(tmp_path, told, cache):
    modules = {
        "tensorflow/__init__.py": "import os\n__version__ = '2.7.4'\n"
        "assert 'nvidia/cublas/lib' in os.environ['LD_LIBRARY_PATH']\n",
        "nvidia/cublas/lib/libcublas.so.11": "",
        "nvidia/cudnn/lib/libcudnn.so.8": "",
    }
    pin = write_wheel(tmp_path / "packages", "tensorflow", modules, version="2.7.4")
    home = write_processor(tmp_path, "gpu_2.7", [pin], tensorflow="2.7.4", device="gpu")

    runtime = install(read_manifest(home / "processor.toml"), told)

    assert [path.parent.name for path in runtime.library_path] == ["cublas", "cudnn"]
    assert all(path.is_dir() for path in runtime.library_path)


def test_the_check_leaves_compiled_bytecode_for_the_first_worker(
    tmp_path, told, cache, monkeypatch
):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    manifest = processor_with(
        tmp_path,
        {
            "tensorflow/__init__.py": "__version__ = '1.15.5'\nfrom tensorflow import contrib\n",
            "tensorflow/contrib.py": "",
        },
    )

    runtime = install(manifest, told)

    packages = next(runtime.python.parent.parent.glob("lib/*/site-packages/tensorflow"))
    assert len(list(packages.glob("__pycache__/*.pyc"))) == 2
