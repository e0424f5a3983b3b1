"""Models as users have them: archives, URLs, broken ones; warm-up files that are none; no GPU."""

import functools
import http.server
import json
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from tests.serving_process import Serving

pytestmark = pytest.mark.tensorflow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mnist"
WARM_UP = EXAMPLE.parents[1] / "warmup" / "mnist_saved_model_example.bin"
START_S = 180


def service(model_path, **more):
    return {
        "name": "mnist",
        "processor": "tensorflow_cpu_2.21",
        "model_path": str(model_path),
        "warm_up_data_path": str(WARM_UP),
        **more,
    }


def refused(tmp_path, config):
    """The exit code and the last line of a service that does not start."""
    serving = Serving(tmp_path, config)
    code = serving.process.wait(START_S)
    assert "Traceback" not in serving.log.replace("\\n", "\n").partition("error:")[2]
    return code, serving.log.splitlines()[-1]


@pytest.fixture
def url(tmp_path):
    """A web server of tmp_path/web on a free port."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def answers(serving):
    status, body = serving.ask("POST", "/api/predict/mnist", WARM_UP.read_bytes())
    return status == 200 and b"scores" in body


def test_a_tar_gz_behind_a_url_is_downloaded_once_and_served(tmp_path, url):
    with tarfile.open(tmp_path / "web" / "model.tar.gz", "w:gz") as archive:
        archive.add(EXAMPLE / "model", "some_folder")
    cache = {"EAS_PROCESSOR_CACHE": _cache_with_our_runtimes(tmp_path)}
    with Serving(tmp_path, service(f"{url}/model.tar.gz"), env=cache) as serving:
        assert answers(serving)


def test_a_zip_with_a_chosen_entry_is_served(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in (EXAMPLE / "model" / "1").rglob("*"):
            archive.write(file, f"pack/7/{file.relative_to(EXAMPLE / 'model' / '1')}")
    config = service(tmp_path / "model.zip", model_entry="./pack/7/")
    with Serving(tmp_path, config) as serving:
        assert answers(serving)


def test_a_missing_download_is_told_in_a_line(tmp_path, url):
    code, line = refused(tmp_path, service(f"{url}/none.tar.gz"))
    assert code in (2, 3) and "none.tar.gz" in line and "404" in line


def test_a_broken_model_is_told_in_a_line(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"\xff" * 100)
    code, line = refused(tmp_path, service(tmp_path / "model"))
    assert code == 3 and "SavedModel" in line


def test_a_folder_without_a_model_is_told_with_what_is_there(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("no model")
    code, line = refused(tmp_path, service(tmp_path / "model"))
    assert code == 3 and "notes.txt" in line


@pytest.mark.parametrize("content", [b"\xff\xff\xff\xff", b"", b"\x0a\x04nope"])
def test_a_warm_up_file_that_is_none_keeps_the_service_from_starting(tmp_path, content):
    (tmp_path / "warm.bin").write_bytes(content)
    config = service(EXAMPLE / "model", warm_up_data_path="warm.bin")
    code, line = refused(tmp_path, config)
    assert code in (2, 3) and "warm.bin" in line


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here")
def test_a_gpu_processor_without_a_gpu_refuses_in_a_line_and_runs_on_the_cpu_on_purpose(tmp_path):
    gpu = service(EXAMPLE / "model", processor="tensorflow_gpu_1.15")
    code, line = refused(tmp_path, gpu)
    assert (
        code == 3
        and "in a service JSON" in line
        and "allow_cpu" in line
        and "tensorflow_gpu_1.15" in line
    )
    allowed = {**gpu, "processor_options": {"allow_cpu": True}}
    with Serving(tmp_path, allowed) as serving:
        assert answers(serving)
        notes = [json.loads(text) for text in serving.log.splitlines() if "allow_cpu" in text]
        assert notes[0]["level"] == "warning"


def _cache_with_our_runtimes(tmp_path):
    """A cache folder with no model in it, and the runtimes that are installed already."""
    from eas_processor.runtimes import cache_folder

    fresh = tmp_path / "cache"
    fresh.mkdir()
    (cache_folder() / "runtimes").mkdir(parents=True, exist_ok=True)
    (fresh / "runtimes").symlink_to(cache_folder() / "runtimes")
    return str(fresh)
