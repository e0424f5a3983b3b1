"""The SDK's environment is made once, whole, and from the lock file."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sdk_environment import LOCK, Sdk, install

REPO = Path(__file__).parents[2]


def test_the_sdk_runs_with_an_old_protobuf_of_its_own(sdk: Sdk) -> None:
    code = "import eas_prediction, google.protobuf as p; print(p.__version__)"
    done = subprocess.run(
        [sdk.python, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "3.20.3"


def test_two_installs_at_once_give_one_working_environment(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(install, [tmp_path, tmp_path])
    assert first.python == second.python
    assert len(list((tmp_path / "sdk").iterdir())) == 1
    assert first.run("feed.py").returncode == 1  # it started: it misses its arguments


def test_a_lock_that_can_not_be_installed_leaves_nothing_behind(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK.read_text().replace("sha256:", "sha256:0000"))
    with pytest.raises(RuntimeError, match="uv pip failed"):
        install(tmp_path, lock)
    assert list((tmp_path / "sdk").iterdir()) == []


def test_the_warm_up_file_is_what_the_sdk_makes(sdk: Sdk, tmp_path: Path) -> None:
    made = tmp_path / "made.bin"
    done = sdk.run(str(REPO / "warmup" / "make.py"), made)
    assert done.returncode == 0, done.stderr
    assert made.read_bytes() == (REPO / "warmup" / "mnist_saved_model_example.bin").read_bytes()
