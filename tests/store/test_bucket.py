"""oss:// and s3:// paths: the local mirror, fsspec, and what is said when there is neither."""

import importlib.util
from pathlib import Path

import pytest
from conftest import QUICK, Fetcher, Recorder, names_below, tar_of

from eas_processor.errors import ConfigError
from eas_processor.store import bucket


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EAS_OSS_ROOT", raising=False)
    monkeypatch.delenv("EAS_S3_ROOT", raising=False)


@pytest.mark.parametrize(("scheme", "variable"), [("oss", "EAS_OSS_ROOT"), ("s3", "EAS_S3_ROOT")])
def test_a_bucket_path_is_found_in_the_local_mirror(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch, scheme: str, variable: str
) -> None:
    (tmp_path / "mirror/examplebucket/models/m/1").mkdir(parents=True)
    (tmp_path / "mirror/examplebucket/m.tar.gz").write_bytes(tar_of({"a": b"x"}))
    monkeypatch.setenv(variable, str(tmp_path / "mirror"))
    folder = tmp_path / "mirror/examplebucket/models/m"
    assert get(f"{scheme}://examplebucket/models/m/") == folder
    host = "examplebucket.oss-cn-shanghai.aliyuncs.com"
    assert get(f"{scheme}://{host}/models/m?role_arn=acs:ram::1:role/odps") == folder
    assert names_below(get(f"{scheme}://examplebucket/m.tar.gz")) == {"a": b"x"}
    with pytest.raises(ConfigError, match=f"{variable} is set, so this means .*/none"):
        get(f"{scheme}://examplebucket/none")


@pytest.mark.parametrize("url", ["oss://", "oss:///path", "oss://b/../../etc", "s3://b/a/../../x"])
def test_a_bucket_path_that_leads_out_of_the_mirror_is_refused(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("EAS_OSS_ROOT", str(tmp_path))
    monkeypatch.setenv("EAS_S3_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match="not a bucket path"):
        get(url)


@pytest.mark.skipif(importlib.util.find_spec("ossfs") is not None, reason="ossfs is installed")
def test_without_a_driver_the_ways_out_are_told(get: Fetcher) -> None:
    with pytest.raises(ConfigError) as caught:
        get("oss://examplebucket/models/m.tar.gz")
    for words in (
        "pip install 'eas-processor[oss]'",
        "EAS_OSS_ROOT",
        "/folder/examplebucket/models",
    ):
        assert words in caught.value.message


def test_files_of_a_bucket_are_copied_once_per_content(
    cache: Path, progress: Recorder, tmp_path: Path
) -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("local")
    store = tmp_path / "bucket"
    (store / "m/1/variables").mkdir(parents=True)
    (store / "m/1/saved_model.pb").write_bytes(b"graph")
    (store / "m/1/variables/v.index").write_bytes(b"index")

    def copy(path: str) -> Path:
        return bucket.copy(files, f"{store}/{path}", f"oss://b/{path}", cache, QUICK, progress)

    folder = copy("m")
    assert names_below(folder) == {"1/saved_model.pb": b"graph", "1/variables/v.index": b"index"}
    assert copy("m") == folder
    (store / "m/1/saved_model.pb").write_bytes(b"another graph")
    assert names_below(copy("m"))["1/saved_model.pb"] == b"another graph"
    one = copy("m/1/saved_model.pb")
    assert (one.name, one.read_bytes()) == ("saved_model.pb", b"another graph")
    with pytest.raises(ConfigError, match="no such file or folder in the bucket"):
        copy("none")
    assert not list(cache.glob("buckets/*.partial"))
