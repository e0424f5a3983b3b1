"""Text files of TensorFlow Serving, as users write them and as they get them wrong."""

from pathlib import Path

import pytest

from eas_processor.errors import ConfigError
from eas_processor.modelserver import batching, files
from eas_processor.modelserver.configs import (
    BatchingParameters,
    Logging,
    ModelConfig,
    VersionPolicy,
)

# As in EAS's documentation of TensorFlow Serving.
THREE_MODELS = """
model_config_list {
  config {
    name: 'model1'
    base_path: '/models/model1/'
    model_platform: 'tensorflow'
    model_version_policy{
      specific { versions: 1 versions: 2 }
    }
    version_labels { key: 'stable' value: 1 }
    version_labels { key: 'canary' value: 2 }
  }
  config {
    name: 'model2' base_path: '/models/model2/' model_platform: 'tensorflow'
    model_version_policy{ all: {} }
  }
  config {
    name: 'model3' base_path: '/models/model3/' model_platform: 'tensorflow'
    model_version_policy{ latest { num_versions: 2 } }
  }
}
"""


def models(text: str) -> dict[str, ModelConfig]:
    return files.models_from_text(text, "models.config")


def config(more: str = "", name: str = "m", base_path: str = "/m") -> str:
    return (
        "model_config_list {\n"
        f"  config {{\n    name: '{name}'\n    base_path: '{base_path}'\n{more}\n  }}\n}}"
    )


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        models(text)
    return caught.value.message


def test_the_documented_example_is_read() -> None:
    read = models(THREE_MODELS)
    assert list(read) == ["model1", "model2", "model3"]
    assert read["model1"].policy == VersionPolicy(kind="specific", versions=(1, 2))
    assert read["model1"].labels == {"stable": 1, "canary": 2}
    assert read["model1"].base_path == "/models/model1/"
    assert read["model2"].policy == VersionPolicy(kind="all")
    assert read["model3"].policy == VersionPolicy(count=2)
    assert all(model.platform == "tensorflow" and model.logging is None for model in read.values())


def test_colons_commas_and_comments_are_as_the_text_format_has_them() -> None:
    read = models(
        """
        # all that is served
        model_config_list: { config: {
          name: "mnist", base_path: "/models/mnist",
          model_platform: "tensorflow",
          model_version_policy: { specific: { versions: 1, versions: 2 } }
        } }
        """
    )
    assert read["mnist"].policy == VersionPolicy(kind="specific", versions=(1, 2))


def test_what_is_left_out_has_its_default() -> None:
    (model,) = models(config("model_platform: 'tensorflow'")).values()
    assert model == ModelConfig(name="m", base_path="/m")
    assert models(config("model_type: TENSORFLOW"))["m"].platform == "tensorflow"
    assert models(config("model_platform: 'tensorflow_cpu_1.15'"))["m"].platform == (
        "tensorflow_cpu_1.15"
    )
    assert models("") == {} and models("model_config_list {}") == {}


def test_logging_is_read() -> None:
    read = models(
        config(
            "model_platform: 'tensorflow' logging_config {"
            " log_collector_config { type: 'file' filename_prefix: '/logs/m' }"
            " sampling_config { sampling_rate: 0.5 } }"
        )
    )
    assert read["m"].logging == Logging(kind="file", filename_prefix="/logs/m", sampling_rate=0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "model_config_list {\n config { nmae: 'm' } }",
            [
                "Invalid protobuf file: 'models.config'",
                "Error parsing text-format tensorflow.serving.ModelServerConfig: 2:11",
                "nmae",
            ],
        ),
        ("model_config_list { config { name: 'm'", ["Error parsing text-format"]),
        (
            config("model_platform: 'tensorflow'", base_path="models/m"),
            [
                "models.config:4: ",
                "Expected model m to have an absolute path or URI; got base_path()=models/m",
            ],
        ),
        (config("", name="m"), ["models.config:3: ", "Illegal setting neither", "model m"]),
        (
            config("model_type: OTHER"),
            ["models.config:3: ", "ModelServerConfig::model_type choice 2 not supported."],
        ),
        (
            config("model_platform: 'tensorflow' model_type: TENSORFLOW"),
            ["Illegal setting both"],
        ),
        (
            THREE_MODELS.replace("model3'", "model1'"),
            ["models.config:18: ", "Illegal to list model model1 multiple times in config list"],
        ),
        (
            config(
                "model_platform: 'tensorflow'"
                " logging_config { sampling_config { sampling_rate: 2 } }"
            ),
            ["sampling_rate of model m must be from 0 to 1; was 2"],
        ),
        (
            "custom_model_config { }",
            ["models.config: custom_model_config is not supported"],
        ),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(text: str, words: list[str]) -> None:
    message = complaint(text)
    for word in words:
        assert word in message


@pytest.mark.parametrize("path", ["gs://bucket/m", "oss://bucket/m", "file:///m", "/m"])
def test_absolute_paths_and_uris_are_taken(path: str) -> None:
    text = config("model_platform: 'tensorflow'", base_path=path)
    assert models(text)["m"].base_path == path


def test_what_is_written_reads_back_as_it_was(tmp_path: Path) -> None:
    read = models(THREE_MODELS)
    read["wäh"] = ModelConfig(
        name="wäh",
        base_path="/a b",
        platform="tensorflow_cpu_1.15",
        logging=Logging(kind="file", filename_prefix="/x", sampling_rate=0.25),
    )
    target = tmp_path / "models.config"
    files.write(str(target), files.model_text(read))
    assert files.models_from_text(files.read_text(str(target)), str(target)) == read
    assert [path.name for path in tmp_path.iterdir()] == ["models.config"]


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: can not be read: No such file"):
        files.read_text(str(tmp_path / "nowhere"))
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(ConfigError, match="latin: not UTF-8"):
        files.read_text(str(tmp_path / "latin"))


def batching_file(folder: Path, text: str) -> str:
    path = folder / "batching.txt"
    path.write_text(text)
    return str(path)


def test_a_batching_file_is_read_with_its_wrapped_values(tmp_path: Path) -> None:
    path = batching_file(
        tmp_path,
        """
        max_batch_size { value: 128 }
        batch_timeout_micros { value: 0 }
        max_enqueued_batches { value: 1000000 }
        num_batch_threads { value: 8 }
        thread_pool_name { value: "pool" }
        allowed_batch_sizes: 32
        allowed_batch_sizes: 128
        pad_variable_length_inputs: true
        """,
    )
    read = files.read_batching(path)
    assert read == BatchingParameters(
        max_batch_size=128,
        max_enqueued_batches=1000000,
        num_batch_threads=8,
        thread_pool_name="pool",
        allowed_batch_sizes=(32, 128),
        pad_variable_length_inputs=True,
    )
    assert batching.for_worker(read) == {
        "calls_max": 128,
        "rows_max": 128,
        "allowed_sizes": [32, 128],
        "pad_variable_length_inputs": True,
        "split_large": False,
        "timeout_us": 0,
    }
    assert batching.queue_calls_max(read) == batching.QUEUE_CALLS_MAX


def test_without_a_file_batching_has_the_documented_defaults() -> None:
    read = BatchingParameters()
    assert (read.max_batch_size, read.max_enqueued_batches) == (1000, 10)
    assert batching.queue_calls_max(read) == 10_000
    assert batching.for_worker(read)["timeout_us"] == 0


def test_with_splitting_a_run_has_the_execution_size(tmp_path: Path) -> None:
    read = files.read_batching(
        batching_file(
            tmp_path,
            "max_batch_size { value: 64 } max_execution_batch_size { value: 16 }"
            " enable_large_batch_splitting { value: true } allowed_batch_sizes: [4, 16]",
        )
    )
    worker = batching.for_worker(read)
    assert (worker["rows_max"], worker["split_large"]) == (16, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "max_batch_size { value: 32 } allowed_batch_sizes: 16",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 16; "
            "expected 32",
        ),
        (
            "max_batch_size { value: 32 } allowed_batch_sizes: [16, 8, 32]",
            "must be monotonically increasing",
        ),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be at least 1"),
        (
            "max_batch_size { value: 8 } max_execution_batch_size { value: 16 }"
            " enable_large_batch_splitting { value: true }",
            "max_execution_batch_size must be from 1 to max_batch_size",
        ),
        ("max_batch_size: 32", "Error parsing text-format tensorflow.serving.BatchingParameters"),
    ],
)
def test_batching_that_can_not_be_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = batching_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        files.read_batching(path)
    assert words in caught.value.message and path in caught.value.message


def test_monitoring_is_off_unless_it_is_switched_on(tmp_path: Path) -> None:
    path = tmp_path / "monitoring.config"
    path.write_text("")
    assert not files.read_monitoring(str(path)).enable
    path.write_text('prometheus_config { enable: true, path: "/metrics" }')
    read = files.read_monitoring(str(path))
    assert read.enable and read.path == "/metrics"
    path.write_text("prometheus_config { enable: true }")
    assert files.read_monitoring(str(path)).path == "/monitoring/prometheus/metrics"
    path.write_text("prometheus_config { enable: true, path: 'metrics' }")
    with pytest.raises(ConfigError, match="must begin with /"):
        files.read_monitoring(str(path))


PEM = "-----BEGIN X-----\\nabc\\n-----END X-----"


def test_ssl_wants_the_pem_texts_themselves(tmp_path: Path) -> None:
    path = tmp_path / "ssl.config"
    path.write_text(f'server_key: "{PEM}" server_cert: "{PEM}"')
    read = files.read_ssl(str(path))
    assert read.server_key.splitlines()[1] == "abc" and not read.client_verify
    assert "abc" not in repr(read)
    path.write_text(f'server_key: "/etc/key.pem" server_cert: "{PEM}"')
    with pytest.raises(ConfigError, match="server_key must hold the PEM text itself"):
        files.read_ssl(str(path))
    path.write_text(f'server_key: "{PEM}" server_cert: "{PEM}" client_verify: true')
    with pytest.raises(ConfigError, match="client_verify needs custom_ca"):
        files.read_ssl(str(path))
