"""Finding a Python: what is looked at, what is believed, what is passed over."""

import shlex
import sys
from pathlib import Path

import pytest

from eas_processor.errors import StartError
from eas_processor.runtimes import interpreters
from eas_processor.runtimes.interpreters import Interpreter, ask, find_interpreter

OLD = "3.4"  # nobody has that, so what is found is what the test put there


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Python but the host's and those that the test makes."""
    ask.cache_clear()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for variable in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "CONDA_PREFIX"):
        monkeypatch.delenv(variable, raising=False)


def write_program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def write_python(path: Path, version: str, implementation: str = "CPython") -> Path:
    """A program that answers as such a Python would."""
    numbers = ", ".join(version.split("."))
    answer = f'[[{numbers}], "{implementation}", 8, "/nowhere", "{path}"]'
    return write_program(path, f"echo {shlex.quote(answer)}")


def test_the_hosts_own_python_is_found_and_it_is_not_its_venv():
    found = find_interpreter("{}.{}".format(*sys.version_info))

    assert found is not None
    assert found.version == "{}.{}.{}".format(*sys.version_info)
    assert found.path.is_relative_to(sys.base_prefix)


def test_a_python_on_path_is_found(tmp_path):
    path = write_python(tmp_path / "bin" / "python3.4", "3.4.10")

    assert find_interpreter(OLD) == Interpreter(path, "3.4.10")


def test_a_shim_that_fails_is_passed_over_for_the_real_one_behind_it(tmp_path):
    write_program(tmp_path / "bin" / "python3.4", "echo pyenv: not selected >&2; exit 127")
    real = tmp_path / "home" / ".pyenv" / "versions" / "3.4.10" / "bin" / "python3.4"
    write_python(real, "3.4.10")

    assert find_interpreter(OLD) == Interpreter(real, "3.4.10")


def test_a_shim_that_fails_is_not_an_interpreter(tmp_path):
    write_program(tmp_path / "bin" / "python3.4", "echo pyenv: not selected >&2; exit 127")

    assert find_interpreter(OLD) is None


def test_a_program_with_the_right_name_and_another_version_is_not_taken(tmp_path):
    write_python(tmp_path / "bin" / "python3.4", "3.40.1")

    assert find_interpreter(OLD) is None


def test_another_implementation_is_not_taken(tmp_path):
    write_python(tmp_path / "bin" / "python3.4", "3.4.10", "PyPy")

    assert find_interpreter(OLD) is None


def test_of_several_patch_versions_the_newest_is_taken(tmp_path):
    versions = tmp_path / "home" / ".pyenv" / "versions"
    for version in ("3.4.9", "3.4.10", "3.4.2"):
        write_python(versions / version / "bin" / "python3.4", version)

    found = find_interpreter(OLD)

    assert found is not None and found.version == "3.4.10"


def test_pythons_of_uv_and_of_conda_are_found(tmp_path):
    home = tmp_path / "home"
    conda = write_python(home / "miniconda3" / "envs" / "old" / "bin" / "python3.4", "3.4.5")
    assert find_interpreter(OLD) == Interpreter(conda, "3.4.5")

    uv = home / ".local/share/uv/python/cpython-3.4.9-linux-x86_64-gnu/bin/python3.4"
    write_python(uv, "3.4.9")
    assert find_interpreter(OLD) == Interpreter(uv, "3.4.9")


def test_a_program_that_never_answers_is_given_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreters, "PROBE_S_MAX", 0.2)
    write_program(tmp_path / "bin" / "python3.4", "exec /bin/sleep 60")

    assert find_interpreter(OLD) is None


def test_the_variable_comes_before_everything_else(tmp_path, monkeypatch):
    write_python(tmp_path / "bin" / "python3.4", "3.4.10")
    mine = write_python(tmp_path / "mine", "3.4.1")
    monkeypatch.setenv("EAS_PYTHON_3_4", str(mine))

    assert find_interpreter(OLD) == Interpreter(mine, "3.4.1")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "there is no such program"),
        ("echo broken >&2; exit 1", "it does not run .broken."),
        ('echo \'[[3, 8, 1], "CPython", 8, "/", "/p"]\'', r"is Python 3\.8\.1, not 3\.4"),
    ],
)
def test_a_variable_that_names_no_such_python_is_refused_with_the_reason(
    body, words, tmp_path, monkeypatch
):
    if body:
        write_program(tmp_path / "mine", body)
    monkeypatch.setenv("EAS_PYTHON_3_4", str(tmp_path / "mine"))

    with pytest.raises(StartError, match=f"EAS_PYTHON_3_4=.*{words}"):
        find_interpreter(OLD)
