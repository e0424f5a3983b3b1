"""The command line as a person meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eas_processor.cli import COMMANDS
from tests.serving_process import PUPPETS, Serving

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mnist"


def cli(*args, **more):
    return subprocess.run(
        [sys.executable, "-m", "eas_processor", *map(str, args)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "NO_COLOR": "1"}, **more,
    )  # fmt: skip


def test_help_names_every_command_and_gives_examples():
    done = cli("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout
    assert "Examples:" in done.stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "version"])
def test_the_help_of_each_command_has_examples(command):
    done = cli(command, "--help")
    assert done.returncode == 0 and "Examples:" in done.stdout


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom eas_processor.cli import group\n"
        "try: group(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('uvloop','msgspec','numpy','google','structlog','asyncio','rich')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["serf"], "Did you mean serve"),
        (["serve"], "Missing argument"),
        (["serve", "x.json", "--prot", "1"], "--port"),
        (["serve", "no_such.json"], "no_such.json"),
        (["serve", "x.json", "--port", "70000"], "70000"),
        (["describe", "no/such/model"], "no/such/model"),
        (["predict", "no/such/model", "x.bin"], "no/such/model"),
        (["predict", str(EXAMPLE / "model")], "request file"),
        (["install", "tensorflow_cpu_1.16"], "tensorflow_cpu_1.1"),
        (["predict", "http://localhost:1", "x.npy"], "http://localhost:1/api/predict/<service>"),
        (["predict", "http://h:1/api/predict/", "x.npy"], "http://h:1/api/predict/<service>"),
        (["predict", "m", "x.npy", "--timeout", "-1"], "--timeout"),
        (["predict", "m", "x.npy", "--timeout", "0"], "--timeout"),
        (["describe", "m", "--timeout", "0"], "--timeout"),
        (["serve", "x.json", "--set", "body_bytes_max"], "a value is missing"),
        (["serve", "x.json", "--set", "body_bytes_max="], "'' is not a whole number"),
        (["serve", "x.json", "--set", "body_byte_max"], "did you mean body_bytes_max?"),
    ],
)
def test_a_mistake_is_words_and_exit_code_2(args, words):
    done = cli(*args)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["predict", "p.json", "r.npy"], 2, "does not tell its inputs"),
        (["predict", "p.json", "r.bin", "--save", "no/such/folder"], 2, "no/such/folder"),
        (["predict", "p.json", "r.bin", "--save-request", "no/such"], 2, "no/such"),
        (["predict", "p.json", "--input", "r.npy"], 2, "--input NAME=FILE.npy"),
        (["predict", "http://[/api/predict/x", "r.bin"], 3, "Invalid IPv6 URL"),
        (["predict", "http://127.0.0.1:1/api/predict/a b", "r.bin"], 3, "control characters"),
        (["predict", "p.json", "--input", "x=no.npy"], 2, "there is no such file"),
        (["serve", "p.json", "p.json"], 2, "p.json is given twice"),
        (["serve", "p.json", "./p.json"], 2, "p.json is given twice"),
        (["describe", "p.json"], 0, '"signature": "*"'),
    ],
)
def test_nothing_a_person_gives_ends_in_a_traceback(tmp_path, args, code, words):
    (tmp_path / "p.json").write_text('{"name": "p", "processor": "puppet"}')
    (tmp_path / "r.bin").write_bytes(b"echo hello")
    np.save(tmp_path / "r.npy", np.zeros(3))
    more = [] if "http" in args[1] else ["--processors", PUPPETS]
    done = cli(*args, *more, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_processors_are_listed_for_people_and_for_programs():
    people, programs = cli("processors"), cli("processors", "--json")
    assert people.returncode == programs.returncode == 0
    names = [entry["name"] for entry in json.loads(programs.stdout)]
    assert "tensorflow_cpu_1.12" in names and "tensorflow_gpu_2.21" in names and "echo" in names
    assert all(name in people.stdout for name in names)


def test_the_version_is_told():
    assert cli("version").stdout.startswith("eas-processor ")
    assert cli("--version").stdout == cli("version").stdout.splitlines(keepends=True)[0]


def test_the_help_tells_the_exit_code_of_ctrl_c():
    assert "130 interrupted" in cli("--help").stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path, unbuffered):
    (tmp_path / "p.json").write_text('{"name": "p", "processor": "echo"}')
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "eas_processor", "serve", "p.json", "--show-config"],
        stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


IMAGE = (
    '{"name": "s", "metdata": {}, "cloud": {}, "containers": [{"image": '
    '"tensorflow_serving:1.15.0", "script": "tensorflow_model_server"}]}'
)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "8080", "--show-config"], "without effect here: --show-config\n"),
        (["--set", "body_bytes_max=5", "--tls-cert", "c"], "here: --set, --tls-cert"),
    ],
)
def test_options_beside_an_image_that_have_no_effect_are_refused(tmp_path, options, words):
    (tmp_path / "image.json").write_text(IMAGE)
    done = cli("serve", "image.json", *options, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr
    assert "containers[0].script" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "image.json", "--access-log", "/proc/mine"),
        ("model-server", "image.json", "--access_log=/proc/mine"),
    ],
)
def test_options_beside_an_image_count_more_than_its_script(tmp_path, arguments):
    script = "tensorflow_model_server --model_base_path=/m --access_log=/proc/its"
    (tmp_path / "image.json").write_text(IMAGE.replace("tensorflow_model_server", script))
    done = cli(*arguments, cwd=tmp_path)
    assert done.returncode == 255 and "access log: /proc/mine cannot be written" in done.stdout


@pytest.mark.parametrize("command", ["serve", "model-server"])
def test_odd_keys_of_an_image_are_told(tmp_path, command):
    (tmp_path / "image.json").write_text(IMAGE)
    done = cli(command, "image.json", cwd=tmp_path)
    assert done.returncode == 255  # it names no model
    assert "metdata is not a known key; did you mean metadata?" in done.stderr
    assert "keys without effect here" in done.stderr and '"keys": "cloud, metdata"' in done.stderr


def test_predict_asks_a_running_service_and_saves_what_it_sent_and_got(tmp_path):
    service = {"name": "puppet", "processor": "puppet", "token": "secret"}
    (tmp_path / "request.bin").write_bytes(b"echo hello")
    with Serving(tmp_path, service) as serving:
        url = f"http://127.0.0.1:{serving.port}/api/predict/puppet"
        answer = tmp_path / "answer"
        done = cli("predict", url, tmp_path / "request.bin", "--token", "secret", "--save", answer)
        assert done.returncode == 0 and answer.read_bytes() == b"hello", done.stderr
        done = cli("predict", url, tmp_path / "request.bin", "--token", "wrong")
        assert done.returncode == 1 and "401" in done.stderr


@pytest.mark.tensorflow
def test_describe_shows_the_signature_of_a_model():
    done = cli("describe", EXAMPLE / "model")
    assert done.returncode == 0, done.stderr
    assert "predict_images" in done.stdout and "DT_FLOAT" in done.stdout
    done = cli("describe", EXAMPLE / "model", "--json", "--signature", "predict_images")
    assert json.loads(done.stdout)["inputs"][0]["shape"] == [-1, 784]
    done = cli("describe", EXAMPLE / "model", "--signature", "nope")
    assert done.returncode == 2 and "predict_images" in done.stderr


@pytest.mark.tensorflow
def test_predict_runs_a_model_from_npy_json_and_bin(tmp_path):
    digit = np.load(EXAMPLE / "digit.npy")
    (tmp_path / "digit.json").write_text(json.dumps({"inputs": {"images": digit.tolist()}}))
    request = tmp_path / "request.bin"
    tables = []
    for arguments in (
        [EXAMPLE / "digit.npy", "--save-request", request],
        [tmp_path / "digit.json"],
        [EXAMPLE / "digit.json"],
        ["--input", f"images={EXAMPLE / 'digit.npy'}", "--output", "scores"],
        [request],
    ):
        done = cli("predict", EXAMPLE / "model", *arguments)
        assert done.returncode == 0, done.stderr
        tables.append(done.stdout)
    assert len(set(tables)) == 1 and "scores  DT_FLOAT  [1, 10]" in tables[0]
    done = cli("predict", EXAMPLE / "model", "--input", f"image={EXAMPLE / 'digit.npy'}")
    assert done.returncode == 2 and "images" in done.stderr
