"""Service JSON files as people have them: what they mean, what is borne, what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eas_processor.config import Metadata, Mount, Rpc, ServiceConfig, load_service, parse_service
from eas_processor.config.keys import BY_PATH
from eas_processor.errors import ConfigError

FILE = Path("/srv/svc.json")
HEAD = '"name": "s", "processor": "echo"'

DOCUMENTED = """{
  "name": "tf_serving_test",
  "model_path": "http://examplebucket.oss-cn-shanghai.aliyuncs.com/models/model.tar.gz",
  "processor": "tensorflow_cpu_1.15",
  "warm_up_data_path":"oss://path/to/warm_up_test.bin", // The path of the warm-up file.
  "metadata": {
    "instance": 1,
    "cpu": 1,
    "memory": 4000
  }
}"""

FULL = """{
  "name": "mnist", "token": "***", "generate_token": "true",
  "model_entry": "", "model_config": "", "processor_path": "", "processor_entry": "",
  "processor_mainclass": "", "processor_type": "", "warm_up_data_path": "",
  "processor": "tensorflow_cpu_1.12", "model_path": "models/m.tar.gz",
  "runtime": {"enable_crash_block": "false"},
  "unit": {"size": 2},
  "cloud": {"computing": {"instance_type": "ecs.c7", "instances": null}},
  "storage": [{"mount_path": "/models", "oss": {"path": "oss://b/m/", "readOnly": false},
               "properties": {"resource_type": "model"}},
              {"mount_path": "/tmp2", "empty_dir": {}}],
  "containers": [{"image": "some/image", "port": 8000}],
  "metadata": {
    "resource": "eas-r-1", "cuda": "9.0", "memory": "7000", "gpu": 0, "cpu": 4, "instance": 5,
    "region": "cn-shanghai",
    "rpc": {"max_queue_size": 100, "batching": "True", "keepalive": "10000",},
    "rpc.worker_threads": 8,
    "eas.termination_grace_period": "60",
    "rolling_strategy.max_surge": 1,
  },
}"""


def parse(text: str) -> ServiceConfig:
    return parse_service(text, FILE)


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.message


def with_metadata(text: str) -> str:
    return "{" + HEAD + ', "metadata": {' + text + "}}"


def test_the_documented_file_reads_as_it_is() -> None:
    config = parse(DOCUMENTED)
    assert config == ServiceConfig(
        name="tf_serving_test",
        processor="tensorflow_cpu_1.15",
        source=FILE,
        model_path="http://examplebucket.oss-cn-shanghai.aliyuncs.com/models/model.tar.gz",
        warm_up_data_path=("oss://path/to/warm_up_test.bin",),
        metadata=Metadata(instance=1, cpu=1.0, memory_mb=4000.0),
        ignored=("metadata.cpu", "metadata.memory"),
    )
    assert config.rpc == Rpc(keepalive_ms=5000, worker_threads=5, max_queue_size=64)
    assert config.folder == Path("/srv")


def test_the_full_sample_with_empty_texts_and_mixed_spellings_reads() -> None:
    config = parse(FULL)
    assert config.token == "***"
    assert config.generate_token is True
    assert (config.model_entry, config.model_config, config.warm_up_data_path) == ("", "", ())
    assert config.metadata == Metadata(instance=5, cpu=4.0, memory_mb=7000.0, gpu=0)
    assert config.rpc == Rpc(
        keepalive_ms=10000, worker_threads=8, max_queue_size=100, batching=True
    )
    assert config.termination_grace_period_s == 60.0
    assert config.enable_crash_block is False
    assert config.storage == (Mount(mount_path="/models", source="oss://b/m/", read_only=False),)
    assert config.warnings == ()
    assert {"containers", "cloud", "unit", "metadata.cuda", "storage"} <= set(config.ignored)
    assert not {"name", "metadata.rpc.keepalive", "model_entry"} & set(config.ignored)


def test_defaults_of_the_structs_are_those_of_the_key_table() -> None:
    config = parse("{" + HEAD + "}")
    assert config == ServiceConfig(name="s", processor="echo", source=FILE)
    for name, path in {
        "keepalive_ms": "keepalive",
        "max_batch_timeout_ms": "max_batch_timeout",
    }.items():
        assert getattr(config.rpc, name) == BY_PATH[f"metadata.rpc.{path}"].default
    for name in ("worker_threads", "max_queue_size", "rate_limit", "batching", "max_batch_size"):
        assert getattr(config.rpc, name) == BY_PATH[f"metadata.rpc.{name}"].default
    assert config.rpc.io_threads == BY_PATH["metadata.rpc.io_threads"].default
    assert config.metadata.instance == BY_PATH["metadata.instance"].default
    grace = BY_PATH["metadata.eas.termination_grace_period"].default
    assert config.termination_grace_period_s == grace


@pytest.mark.parametrize(
    "text",
    [
        '"metadata": {"rpc": {"keepalive": 7}}',
        '"metadata": {"rpc.keepalive": "7"}',
        '"metadata.rpc.keepalive": 7.0',
        '"metadata.rpc": {"keepalive": 7}',
    ],
)
def test_nested_and_dotted_spellings_mean_the_same(text: str) -> None:
    assert parse("{" + HEAD + "," + text + "}").rpc.keepalive_ms == 7


def test_of_two_spellings_the_last_in_the_file_counts_with_a_warning() -> None:
    config = parse(with_metadata('"rpc.keepalive": 7, "rpc": {"keepalive": 8}'))
    assert config.rpc.keepalive_ms == 8
    assert config.warnings[0].endswith(
        "metadata.rpc.keepalive is written twice; the last one counts"
    )
    config = parse("{" + HEAD + ', "metadata": {"instance": 3}, "metadata.instance": 2}')
    assert config.metadata.instance == 2


def test_a_key_twice_in_one_object_counts_the_last_time_with_a_warning() -> None:
    config = parse(with_metadata('"instance": 3, "instance": 4'))
    assert config.metadata.instance == 4
    assert "written twice" in config.warnings[0]


def test_the_name_may_stand_in_the_metadata() -> None:
    assert parse('{"processor": "echo", "metadata": {"name": "inner"}}').name == "inner"
    both = parse("{" + HEAD + ', "metadata": {"name": "inner"}}')
    assert both.name == "s"
    assert "metadata.name has no effect" in both.warnings[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ('"true"', True),
        ('"False"', False),
        ("1", True),
        ('"0"', False),
        ('""', False),
    ],
)
def test_booleans_may_be_texts(written: str, meant: bool) -> None:
    assert parse(with_metadata(f'"rpc.batching": {written}')).rpc.batching is meant


def test_model_config_may_be_an_object() -> None:
    config = parse("{" + HEAD + ', "model_config": {"a.b": [1, "é"]}}')
    assert json.loads(config.model_config) == {"a.b": [1, "é"]}
    assert parse("{" + HEAD + ', "model_config": " x "}').model_config == " x "


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"a.bin"', ("a.bin",)),
        ('"a.bin, b.txt"', ("a.bin", "b.txt")),
        ('["a,b.bin", "c.bin"]', ("a,b.bin", "c.bin")),
        ('""', ()),
        ("[]", ()),
    ],
)
def test_warm_up_files_may_be_one_or_several(written: str, meant: tuple[str, ...]) -> None:
    assert parse("{" + HEAD + f', "warm_up_data_path": {written}}}').warm_up_data_path == meant


def test_the_environment_of_the_worker_has_two_forms() -> None:
    listed = '[{"name": "A", "value": "1"}, {"name": "B", "value": 2}, {"name": "C"}]'
    assert parse("{" + HEAD + f', "processor_envs": {listed}}}').processor_envs == {
        "A": "1",
        "B": "2",
        "C": "",
    }
    assert parse("{" + HEAD + ', "processor_envs": {"A": true}}').processor_envs == {"A": "true"}
    assert "neither" in complaint("{" + HEAD + ', "processor_envs": "A=1"}')
    assert "variable's name" in complaint("{" + HEAD + ', "processor_envs": {"A=": "1"}}')


def test_options_of_the_processor_are_handed_on_whole() -> None:
    config = parse(
        "{" + HEAD + ', "processor_options": {"a": {"b.c": 1}}, "processor_options.d": 2}'
    )
    assert config.processor_options == {"a": {"b.c": 1}, "d": 2}
    assert "processor_options" not in config.ignored


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    message = complaint(
        '{"name": "a/b", "processor": "echo", "metdata": {"x": 1},\n "metadata": {\n'
        '  "instance": 0,\n  "rpc": {"keepalive": "5s", "batching": "ture"},\n'
        '  "cpu": "four", "memory": "4Gi"}}'
    )
    lines = message.splitlines()
    assert lines[0] == "/srv/svc.json: 6 mistakes"
    assert [line.split(": ")[0].strip() for line in lines[1:7]] == [
        "/srv/svc.json:1:10",
        "/srv/svc.json:3:15",
        "/srv/svc.json:4:24",
        "/srv/svc.json:4:42",
        "/srv/svc.json:5:10",
        "/srv/svc.json:5:28",
    ]
    assert "metadata.instance: 0 is out of range; it must be from 1 to 1 024" in lines[2]
    assert '"5s" is not a number of milliseconds; did you mean 5000?' in lines[3]
    assert "did you mean true?" in lines[4]
    assert '"four" is not a number' in lines[5]
    assert "did you mean 4096?" in lines[6]
    assert "metdata is not a known key; did you mean metadata?" in lines[7]


def test_one_mistake_is_one_line() -> None:
    message = complaint(with_metadata('"rpc.keepalive": "abc"'))
    assert message == (
        '/srv/svc.json:1:66: metadata.rpc.keepalive: "abc" is not a number of milliseconds; '
        "write a whole number such as 5000"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"rpc.keepalive": 0', "out of range"),
        ('"rpc.keepalive": -1', "out of range"),
        ('"rpc.keepalive": 1e999', "out of range"),
        ('"rpc.keepalive": true', "not a number"),
        ('"rpc.keepalive": [5]', "not a number"),
        ('"rpc.keepalive": 1' + "0" * 400, "out of range"),
        ('"instance": 1.5', "write a whole number"),
        ('"instance": {"min": 1}', "not a whole number"),
        ('"rpc": "fast"', "not an object"),
        ('"rpc.batching": "maybe"', "write true or false"),
        ('"rpc.decompressor": ["zlib"]', "not a text"),
    ],
)
def test_values_that_do_not_fit_are_refused(text: str, words: str) -> None:
    assert words in complaint(with_metadata(text))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ('"procesor": 1', "did you mean processor?"),
        ('"modelPath": 1', "did you mean model_path?"),
        ('"warm-up-data-path": 1', "did you mean warm_up_data_path?"),
        ('"Metadata": {"instance": 2}', "did you mean metadata?"),
        ('"rpc": {"keepalive": 2}', "did you mean metadata.rpc?"),
        ('"keepalive": 2', "did you mean metadata.rpc.keepalive?"),
        ('"metadata.rpc.keep_alive": 2', "did you mean metadata.rpc.keepalive?"),
    ],
)
def test_a_misspelt_key_is_a_warning_with_a_suggestion(key: str, meant: str) -> None:
    config = parse("{" + HEAD + "," + key + "}")
    assert len(config.warnings) == 1
    assert config.warnings[0].endswith(meant)
    assert len(config.ignored) == 1


def test_unknown_keys_are_never_refused_and_listed_once() -> None:
    config = parse("{" + HEAD + ', "zzz": {"a": 1, "b": {"c": 2}}, "metadata": {"qqq": [1]}}')
    assert config.ignored == ("zzz", "metadata.qqq")
    assert config.warnings == ()


def test_thousands_of_unknown_keys_do_not_flood_the_log() -> None:
    config = parse(
        json.dumps({"name": "s", "processor": "echo"} | {f"{n}zz": 1 for n in range(3000)})
    )
    assert len(config.ignored) == 51
    assert config.ignored[-1] == "(2950 more)"


@pytest.mark.parametrize(
    "name", ["a b", "a/b", "a?b", "a#b", "a%20", "..", "é", "a\\u0000", "x" * 257]
)
def test_a_name_that_breaks_a_url_is_refused(name: str) -> None:
    assert "name: " in complaint(f'{{"name": "{name}", "processor": "echo"}}')


@pytest.mark.parametrize("name", ["a", "mnist_saved_model_example", "A-b.c~1", "9"])
def test_other_names_are_taken(name: str) -> None:
    assert parse(f'{{"name": "{name}", "processor": "echo"}}').name == name
    assert parse('{"name": 9, "processor": "echo"}').name == "9"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "s"}', "processor: missing"),
        ('{"processor": "echo"}', 'name: missing; write "name"'),
        ('{"name": "s", "processor": ""}', "processor: missing"),
        ('{"name": "s", "processor_type": "cpp", "processor_entry": "x.so"}', "custom cpp"),
        ('{"name": "s", "processor_type": "python"}', "a Python class in a processor folder"),
        ('{"name": "s", "processor_path": "x.tar.gz"}', "processor_path: custom"),
        ('{"name": "s", "containers": [{"image": "t/tensorflow_serving:1.15.0"}]}', "image deploy"),
        ('{"name": "s", "models": [{"name": "a"}]}', "one service JSON for each model"),
        ('{"name": "s", "processor": "echo", "models": [{"name": "a"}]}', "one service JSON for"),
        ("[]", "a service JSON is one object"),
        ("3", "a service JSON is one object"),
    ],
)
def test_what_this_runtime_does_not_do_is_said_with_what_it_does(text: str, words: str) -> None:
    message = complaint(text)
    assert words in message
    assert "\n" not in message


def test_a_token_that_no_header_can_carry_is_refused_and_never_printed() -> None:
    message = complaint("{" + HEAD + ', "token": "geh eim"}')
    assert "token: holds a space" in message
    assert "geh" not in message
    config = parse("{" + HEAD + ', "token": "geheim"}')
    assert config.token == "geheim"
    assert "geheim" not in repr(config)


def test_a_token_beside_generate_token_false_counts_with_a_warning() -> None:
    config = parse("{" + HEAD + ', "token": "t", "generate_token": "false"}')
    assert config.token == "t"
    assert "generate_token: has no effect" in config.warnings[0]


def test_a_file_is_read_with_its_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_bytes(b"\xef\xbb\xbf" + DOCUMENTED.encode())
    config = load_service(file)
    assert config.name == "tf_serving_test"
    assert config.source == file


def test_files_that_can_not_be_read_are_told_plainly(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes('{"name": "é"}'.encode("latin-1"))
    for path, words in (
        (tmp_path / "no.json", "no such file"),
        (tmp_path, "can not be read"),
        (bad, "save the file as UTF-8"),
        (Path("a\0b"), "can not be read"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_service(path)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(BY_PATH)) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
PARTS = sorted({part for path in BY_PATH for part in path.split(".")})


@given(st.dictionaries(st.sampled_from(PARTS) | st.sampled_from(sorted(BY_PATH)), ANY, max_size=6))
@settings(max_examples=800, deadline=None)
def test_whatever_stands_in_the_known_keys_only_config_errors_come(
    given: dict[str, object],
) -> None:
    try:
        config = parse_service(json.dumps({"name": "s", "processor": "echo"} | given), FILE)
    except ConfigError as error:
        assert error.message.startswith("/srv/svc.json")
    else:
        assert config.name
        assert 1 <= config.metadata.instance <= 1024
