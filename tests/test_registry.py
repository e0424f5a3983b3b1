"""The registry: which manifest answers to a name, and what a broken manifest is told."""

import os
from pathlib import Path

import pytest

from eas_processor.errors import ConfigError
from eas_processor.registry import Registry, bundled_folder, read_manifest

MANIFEST = """\
name = "mine"
entry = "my_module:MyProcessor"
"""
OF_THE_SEEDS = [f"tensorflow_cpu_{v}" for v in ("1.12", "1.14", "1.15", "2.3", "2.4", "2.7")]
OF_THE_SEEDS += [f"tensorflow_gpu_{v}" for v in ("1.12", "1.14", "1.15", "2.4", "2.7")]


def write(folder: Path, text: str = MANIFEST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "processor.toml").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def no_search_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EAS_PROCESSOR_PATH", raising=False)


def test_every_name_of_the_documents_is_there_and_the_current_tensorflow():
    names = {manifest.name for manifest in Registry().all()}

    assert names >= {*OF_THE_SEEDS, "tensorflow_cpu_2.21", "tensorflow_gpu_2.21", "echo"}


@pytest.mark.parametrize("manifest", Registry().all(), ids=lambda manifest: manifest.name)
def test_a_bundled_manifest_agrees_with_its_folder_its_entry_and_its_name(manifest):
    assert manifest.folder.name == manifest.name
    module = manifest.entry.partition(":")[0].split(".")
    home = bundled_folder().parent if module[0] == "processors" else manifest.folder
    assert home.joinpath(*module).with_suffix(".py").is_file()
    if manifest.tensorflow:
        _, device, version = manifest.name.split("_")
        assert manifest.device == device
        assert manifest.tensorflow.startswith(version + ".")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("tensorflow_cpu", "tensorflow_cpu_1.15"),
        ("tensorflow", "tensorflow_cpu_1.15"),
        ("tensorflow_gpu", "tensorflow_gpu_1.15"),
    ],
)
def test_an_unversioned_name_means_1_15(alias, name):
    assert Registry().get(alias).name == name


def test_versions_are_listed_in_the_order_of_their_numbers():
    names = [manifest.name for manifest in Registry().all()]

    assert names.index("tensorflow_cpu_2.7") < names.index("tensorflow_cpu_2.21")
    assert names.index("tensorflow_cpu_1.15") < names.index("tensorflow_cpu_2.3")


def test_a_manifest_of_two_lines_is_enough(tmp_path):
    manifest = Registry([write(tmp_path / "mine")]).get("mine")

    assert (manifest.device, manifest.python, manifest.lock) == ("cpu", (), None)
    assert manifest.folder == tmp_path / "mine"


def test_a_search_folder_holds_processor_folders(tmp_path):
    write(tmp_path / "a", MANIFEST)
    write(tmp_path / "b", MANIFEST.replace("mine", "other"))

    registry = Registry([tmp_path])

    assert registry.get("mine").folder == tmp_path / "a"
    assert registry.get("other").folder == tmp_path / "b"


def test_the_flag_comes_before_the_variable_and_that_before_ours(tmp_path, monkeypatch):
    for place in ("flag", "variable"):
        write(tmp_path / place / "echo", MANIFEST.replace("mine", "echo"))
    write(tmp_path / "variable" / "mine")
    assert Registry().get("echo").folder == bundled_folder() / "echo"
    monkeypatch.setenv("EAS_PROCESSOR_PATH", os.pathsep + str(tmp_path / "variable"))
    assert Registry().get("echo").folder == tmp_path / "variable" / "echo"

    registry = Registry([tmp_path / "flag"])

    assert registry.get("echo").folder == tmp_path / "flag" / "echo"
    assert registry.get("mine").folder == tmp_path / "variable" / "mine"


def test_an_alias_never_hides_a_real_name(tmp_path):
    write(tmp_path / "mine", MANIFEST + 'aliases = ["echo", "short"]\n')

    registry = Registry([tmp_path])

    assert registry.get("echo").folder == bundled_folder() / "echo"
    assert registry.get("short").name == "mine"


def test_an_unknown_name_is_answered_with_a_suggestion_and_the_list():
    with pytest.raises(ConfigError) as caught:
        Registry().get("tensorflow_cpu_1.5")

    assert "did you mean tensorflow_cpu_1.15?" in caught.value.message
    assert "echo, tensorflow_cpu_1.12" in caught.value.message


def test_a_broken_manifest_matters_to_who_asks_for_it_alone(tmp_path):
    write(tmp_path / "unfinished", 'name = "unfinished"')
    write(tmp_path / "echo", 'name = "echo"')  # never the one that comes with the package
    registry = Registry([tmp_path])

    assert registry.get("tensorflow_cpu_1.15").name == "tensorflow_cpu_1.15"
    for name in ("unfinished", "echo"):
        with pytest.raises(ConfigError, match=rf"{name}/processor\.toml: entry: is missing"):
            registry.get(name)
    with pytest.raises(ConfigError, match=r"no processor 'x'.*Not read: .*unfinished"):
        registry.get("x")


def test_a_broken_manifest_behind_a_good_one_of_its_name_does_not_count(tmp_path):
    good = bundled_folder() / "echo"
    write(tmp_path / "later" / "echo", 'name = "echo"')
    registry = Registry([good, tmp_path / "later"])

    assert registry.get("echo").folder == good


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere: there is no such folder"):
        Registry([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('entry = "m:C"', "name", "is missing"),
        ('name = "x"', "entry", "is missing"),
        ('name = ""\nentry = "m:C"', "name", "not empty"),
        ('name = 3\nentry = "m:C"', "name", "must be a text"),
        ('name = "x"\nentry = "m"', "entry", "module:Class"),
        ('name = "x"\nentry = "m.:C"', "entry", "module:Class"),
        (MANIFEST + 'device = "tpu"', "device", "cpu.*gpu.*tpu"),
        (MANIFEST + 'python = "3.7"', "python", "must be a list"),
        (MANIFEST + 'python = ["3.7.1"]', "python", r"3\.7\.1"),
        (MANIFEST + 'python = ["2.7"]', "python", r"2\.7"),
        (MANIFEST + 'lock = "no.lock"', "lock", "there is no file"),
        (MANIFEST + "aliases = [1]", "aliases", "must be a list"),
        (MANIFEST + "installed_mb = true", "installed_mb", "whole number"),
        (MANIFEST + 'pyhton = ["3.7"]', "pyhton", "is not a key"),
        ("name =", "", "TOML"),
    ],
)
def test_a_broken_manifest_is_named_with_its_file_and_its_key(tmp_path, text, key, words):
    folder = write(tmp_path / "broken", text)

    with pytest.raises(ConfigError, match=rf"processor\.toml: {key}.*{words}"):
        read_manifest(folder / "processor.toml")
