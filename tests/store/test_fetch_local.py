"""Local paths: folders and files as they are, archives unpacked once."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from conftest import QUICK, Fetcher, Recorder, names_below, tar_of

from eas_processor.errors import ConfigError, StartError
from eas_processor.store import FetchSettings, fetch
from eas_processor.store.cache import locked

FILES = {"m/1/saved_model.pb": b"graph", "m/1/variables/variables.index": b"index"}
AS_IS = FetchSettings(unpack=False)


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def test_a_folder_is_used_where_it_is(tmp_path: Path, get: Fetcher, cache: Path) -> None:
    (tmp_path / "models" / "m").mkdir(parents=True)
    for text in ("models/m", "./models/x/../m/", str(tmp_path / "models/m")):
        assert get(text) == tmp_path / "models" / "m"
    assert get(f"file://{tmp_path}/models/m") == tmp_path / "models" / "m"
    assert not cache.exists()


def test_a_link_to_a_folder_stays_the_link_that_was_named(tmp_path: Path, get: Fetcher) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to("v1")
    assert get("current") == tmp_path / "current"


@pytest.mark.parametrize("name", ["frozen.pb", "warm.bin", "model.keras", "data"])
def test_a_file_that_is_no_archive_is_used_where_it_is(
    tmp_path: Path, get: Fetcher, name: str
) -> None:
    content = zip_of(FILES) if name.endswith(".keras") else b"\x0a\x03graph"
    (tmp_path / name).write_bytes(content)
    assert get(name) == tmp_path / name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.tar.gz", tar_of(FILES)),
        ("m.tgz", tar_of(FILES)),
        ("m.tar", tar_of(FILES, "w")),
        ("m.tar.bz2", tar_of(FILES, "w:bz2")),
        ("m.tar.xz", tar_of(FILES, "w:xz")),
        ("m.zip", zip_of(FILES)),
        ("named_wrongly.zip", tar_of(FILES)),
        ("no_suffix", zip_of(FILES)),
        ("model.bin", tar_of(FILES, "w")),
    ],
)
def test_an_archive_is_unpacked_by_its_content(
    tmp_path: Path, get: Fetcher, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    folder = get(name)
    assert folder.is_absolute()
    assert names_below(folder) == FILES
    assert get(name, AS_IS) == tmp_path / name


def test_an_archive_is_unpacked_once_and_again_when_it_changes(
    tmp_path: Path, get: Fetcher, progress: Recorder
) -> None:
    archive = tmp_path / "m.tar"
    archive.write_bytes(tar_of({"a": b"1"}, "w"))
    first = get("m.tar")
    assert get("m.tar") == first
    assert progress.titles == ["unpack m.tar"]
    # Size and time of change may both be as before.
    about = archive.stat()
    archive.write_bytes(tar_of({"a": b"2"}, "w"))
    os.utime(archive, ns=(about.st_atime_ns, about.st_mtime_ns))
    second = get("m.tar")
    assert names_below(second) == {"a": b"2"}
    assert names_below(first) == {"a": b"1"}


def test_two_threads_and_a_process_that_unpack_at_once_get_one_folder(
    tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "m.tar.gz").write_bytes(tar_of({f"f{n}": bytes(50_000) for n in range(100)}))
    program = (
        "import sys; from pathlib import Path\n"
        "from eas_processor.store import fetch\n"
        "from eas_processor.observe.progress import NoProgress\n"
        "print(fetch('m.tar.gz', base=Path(sys.argv[1]), cache=Path(sys.argv[2]),"
        " progress=NoProgress()))"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), str(cache)],
        stdout=subprocess.PIPE,
        text=True,
    )
    found: list[Path] = []

    def run() -> None:
        found.append(
            fetch("m.tar.gz", base=tmp_path, cache=cache, progress=Recorder(), settings=QUICK)
        )

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    printed, _ = other.communicate(timeout=60)
    assert {str(path) for path in found} == {printed.strip()}
    assert len(found) == 4
    assert len(names_below(found[0])) == 100
    assert [path.name for path in (cache / "unpacked").iterdir()] == [found[0].name]


def test_what_a_killed_process_left_half_unpacked_is_never_used(
    tmp_path: Path, cache: Path, get: Fetcher
) -> None:
    fifo = tmp_path / "told"
    os.mkfifo(fifo)
    (tmp_path / "m.tar.gz").write_bytes(tar_of({"a": bytes(3_000_000), "b": b"end"}))
    # It says when it is in the middle of the archive, then waits to be killed.
    program = (
        "import sys, signal; from pathlib import Path\n"
        "from eas_processor.store import fetch\n"
        "from eas_processor.observe.progress import NoProgress\n"
        "class Stuck(NoProgress):\n"
        "    def advance(self, amount):\n"
        "        if amount:\n"
        "            open(sys.argv[3], 'w').write('x'); signal.pause()\n"
        "fetch('m.tar.gz', base=Path(sys.argv[1]), cache=Path(sys.argv[2]), progress=Stuck())"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(cache), str(fifo)])
    try:
        with open(fifo) as told:
            assert told.read() == "x"
        (partial,) = (cache / "unpacked").iterdir()
        assert partial.suffix == ".partial"
    finally:
        child.kill()
        child.wait(30)
    folder = get("m.tar.gz")
    assert names_below(folder) == {"a": bytes(3_000_000), "b": b"end"}
    assert list((cache / "unpacked").iterdir()) == [folder]


def test_a_lock_that_is_never_released_ends_in_words(tmp_path: Path, cache: Path) -> None:
    with (
        locked(cache, "k", 5, Recorder()),
        pytest.raises(StartError, match="another process has held"),
        locked(cache, "k", 0.1, Recorder()),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models/none", "no such file or folder; .* holds here.txt"),
        ("file://host/path", "write file:///path"),
        ("ftp://host/path", "ftp:// is not understood"),
        ("a\0b", "not a path"),
        ("here.txt/below", "no such file or folder"),
    ],
)
def test_a_wrong_path_is_told_with_what_is_there(
    tmp_path: Path, get: Fetcher, text: str, words: str
) -> None:
    (tmp_path / "here.txt").write_text("x")
    with pytest.raises(ConfigError, match=words):
        get(text)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.tar.gz", b"", "empty file"),
        ("m.tar.gz", b"<!DOCTYPE html><html>", "web page"),
        ("m.zip", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("m.tar", b"x" * 5000, "is not one"),
        ("m.7z", b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        ("m.tar.zst", b"\x28\xb5\x2f\xfd1234", "zstandard"),
        ("m.tar.gz", gzip.compress(b"not a tar at all" * 100), "without a tar archive inside"),
        ("m.tar.gz", gzip.compress(b""), "without a tar archive inside"),
        ("m.tar.bz2", bz2.compress(b"not a tar" * 100), "without a tar archive inside"),
        ("m.tar.xz", lzma.compress(b"not a tar" * 100), "without a tar archive inside"),
        ("m.tar.gz", tar_of({"a": os.urandom(90_000)})[:-20_000], "broken or cut short"),
        ("m.tar", tar_of({"a": os.urandom(90_000)}, "w")[:50_000], "broken or cut short"),
        ("m.zip", zip_of({"a": os.urandom(9_000)})[:-2000], "broken or cut short"),
        ("m.tar.gz", tar_of({}), "the archive is empty"),
        ("m.zip", zip_of({}), "the archive is empty"),
    ],
)
def test_a_file_that_can_not_be_unpacked_says_why(
    tmp_path: Path, get: Fetcher, cache: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        get(name)
    assert not cache.exists() or not list((cache / "unpacked").glob("*"))


def test_a_flipped_byte_in_the_content_is_noticed(tmp_path: Path, get: Fetcher) -> None:
    packed = bytearray(tar_of({"a": os.urandom(300_000)}))
    packed[150_000] ^= 1
    (tmp_path / "m.tar.gz").write_bytes(packed)
    with pytest.raises(ConfigError, match="broken"):
        get("m.tar.gz")


def test_a_bad_header_in_the_middle_does_not_end_the_archive_quietly(
    tmp_path: Path, get: Fetcher
) -> None:
    packed = bytearray(tar_of({"a": b"1", "b": b"2"}, "w"))
    packed[1024 + 150] ^= 0xFF
    (tmp_path / "m.tar").write_bytes(packed)
    with pytest.raises(ConfigError, match="a bad header in the middle"):
        get("m.tar")


def test_a_cache_folder_that_can_not_be_written_is_told(
    tmp_path: Path, get: Fetcher, cache: Path
) -> None:
    (tmp_path / "m.tar.gz").write_bytes(tar_of({"a": b"1"}))
    cache.write_text("a file is in the way")
    with pytest.raises(StartError, match="can not be unpacked into"):
        get("m.tar.gz")


def test_a_tar_that_is_older_than_ustar_is_read(tmp_path: Path, get: Fetcher) -> None:
    with tarfile.open(tmp_path / "m.tar", "w") as tar:
        member = tarfile.TarInfo("a")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"old"))
    raw = bytearray((tmp_path / "m.tar").read_bytes())
    raw[257:265] = bytes(8)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    (tmp_path / "m.tar").write_bytes(raw)
    assert names_below(get("m.tar")) == {"a": b"old"}
