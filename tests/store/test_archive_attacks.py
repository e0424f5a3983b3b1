"""Archives made to do harm: each is refused, and nothing appears outside the cache."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import QUICK, Fetcher, Recorder, names_below, tar_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from eas_processor.errors import ConfigError
from eas_processor.store.target import Refused, Target

Fill = Callable[[tarfile.TarFile], None]


def packed(fill: Fill) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        fill(tar)
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, to: str = "", content: bytes = b"") -> Fill:
    def fill(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, to, len(content)
        tar.addfile(member, io.BytesIO(content))

    return fill


def several(*fills: Fill) -> Fill:
    def fill(tar: tarfile.TarFile) -> None:
        for one in fills:
            one(tar)

    return fill


def link(name: str, to: str) -> Fill:
    return entry(name, tarfile.SYMTYPE, to)


def hard_link(name: str, to: str) -> Fill:
    return entry(name, tarfile.LNKTYPE, to)


FOLDER = entry("d/e/f", content=b"x")


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (entry("../out", content=b"x"), "leads out"),
        (entry("a/../../out", content=b"x"), "leads out"),
        (entry("/tmp/out", content=b"x"), "leads out"),
        (entry("../out", tarfile.DIRTYPE), "leads out"),
        (link("l", "/etc/passwd"), "outside the archive"),
        (link("l", "../../out"), "outside the archive"),
        (several(FOLDER, link("d/e/l", "../.."), link("m", "d/e/l/../../..")), "outside"),
        (several(FOLDER, link("m", "d/e/l/../.."), link("d/e/l", "../..")), "outside"),
        (several(link("l", ".."), entry("l/out", content=b"x")), "both a folder and a link"),
        (several(FOLDER, link("l", "d"), link("l/x", "e")), "behind a link"),
        (link("l", "nowhere"), "not in the archive"),
        (link("l", "l"), "not in the archive"),
        (hard_link("l", "/etc/passwd"), "leads out"),
        (hard_link("l", "../../out"), "leads out"),
        (hard_link("l", "nowhere"), "not a file of the archive"),
        (several(link("s", "/etc/passwd"), hard_link("l", "s")), "outside the archive"),
        (entry("dev", tarfile.CHRTYPE), "device or a pipe"),
        (entry("dev", tarfile.BLKTYPE), "device or a pipe"),
        (entry("pipe", tarfile.FIFOTYPE), "device or a pipe"),
        (several(entry("a", content=b"x"), entry("a/b", content=b"x")), "needs a folder"),
        (several(entry("a/b", content=b"x"), entry("a", content=b"x")), "has a folder"),
        (entry("n" * 300, content=b"x"), "can not store|too long"),
    ],
)
def test_a_tar_that_reaches_out_is_refused(
    tmp_path: Path, get: Fetcher, cache: Path, fill: Fill, words: str
) -> None:
    (tmp_path / "m.tar.gz").write_bytes(packed(fill))
    with pytest.raises(Exception, match=words) as caught:
        get("m.tar.gz")
    assert type(caught.value).__name__ in ("ConfigError", "StartError")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "m.tar.gz"]
    assert list((cache / "unpacked").iterdir()) == []
    assert not (tmp_path.parent / "out").exists()


def test_links_that_stay_inside_are_made(tmp_path: Path, get: Fetcher) -> None:
    fill = several(
        link("latest", "1"),
        entry("1/a", content=b"x"),
        hard_link("1/b", "1/a"),
        link("1/c", "../1/b"),
    )
    (tmp_path / "m.tar.gz").write_bytes(packed(fill))
    folder = get("m.tar.gz")
    assert (folder / "latest" / "c").read_bytes() == b"x"
    assert (folder / "1" / "b").read_bytes() == b"x"


def test_an_entry_that_comes_twice_does_not_write_through_a_hard_link(
    tmp_path: Path, get: Fetcher
) -> None:
    fill = several(entry("a", content=b"old"), hard_link("b", "a"), entry("b", content=b"new"))
    (tmp_path / "m.tar.gz").write_bytes(packed(fill))
    assert names_below(get("m.tar.gz")) == {"a": b"old", "b": b"new"}


def test_modes_and_owners_of_the_archive_are_not_taken_over(tmp_path: Path, get: Fetcher) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo("a")
        member.mode, member.uid = 0o6777, 12345
        tar.addfile(member, io.BytesIO())

    (tmp_path / "m.tar.gz").write_bytes(packed(fill))
    about = (get("m.tar.gz") / "a").stat()
    assert about.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR) == 0
    assert about.st_uid == os.getuid()


SMALL = replace(QUICK, unpacked_bytes_free=1_000_000, unpacked_ratio_max=10, entries_max=50)


def test_a_bomb_is_stopped_by_counting(tmp_path: Path, get: Fetcher, cache: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(tar_of({"zeros": bytes(5_000_000)}))
    with pytest.raises(ConfigError, match="unpacks to more than 1000000 bytes"):
        get("m.tar.gz", SMALL)
    assert list((cache / "unpacked").iterdir()) == []


def test_a_zip_that_lies_about_its_size_is_stopped(tmp_path: Path, get: Fetcher) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as one:
        one.writestr("zeros", bytes(5_000_000))
    raw = buffer.getvalue().replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "m.zip").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"broken|more than"):
        get("m.zip", SMALL)


def test_content_is_counted_as_it_comes_whatever_its_size_was_said_to_be(
    tmp_path: Path, progress: Recorder
) -> None:
    progress.start("unpack", None, "B")
    target = Target(tmp_path, 1_000_000, 10, progress)
    with pytest.raises(Refused, match="unpacks to more than 1000000 bytes"):
        target.file("zeros", io.BytesIO(bytes(5_000_000)), 10)
    assert (tmp_path / "zeros").stat().st_size <= 1_000_000
    with pytest.raises(ValueError, match="has 3 of 4 bytes"):
        Target(tmp_path, 1_000_000, 10, progress).file("short", io.BytesIO(b"abc"), 4)


def test_a_zip_bomb_is_stopped_by_counting(tmp_path: Path, get: Fetcher) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as one:
        for number in range(3):
            one.writestr(f"zeros{number}", bytes(400_000))
    with pytest.raises(ConfigError, match="unpacks to more than"):
        get("m.zip", SMALL)


def test_too_many_entries_are_refused(tmp_path: Path, get: Fetcher) -> None:
    (tmp_path / "m.tar.gz").write_bytes(tar_of({f"f{n}": b"" for n in range(51)}))
    with pytest.raises(ConfigError, match="more than 50 entries"):
        get("m.tar.gz", SMALL)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, get: Fetcher) -> None:
    # A pax header is read as one piece by tarfile; this one claims a gigabyte of zeros.
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 1 << 30
    with gzip.open(tmp_path / "m.tar.gz", "wb") as file:
        file.write(member.tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(1 << 20))
    with pytest.raises(ConfigError, match="no honest archive"):
        get("m.tar.gz")


def test_zeros_without_end_behind_the_archive_are_refused(tmp_path: Path, get: Fetcher) -> None:
    with gzip.open(tmp_path / "m.tar.gz", "wb") as file:
        file.write(tar_of({"a": b"x"}, "w"))
        for _ in range(5):
            file.write(bytes(1 << 20))
    with pytest.raises(ConfigError, match="unpacks to more than"):
        get("m.tar.gz", SMALL)


@pytest.mark.parametrize(
    ("name", "mode", "content", "words"),
    [
        ("../out", 0o100644, b"x", "leads out"),
        ("/out", 0o100644, b"x", "leads out"),
        ("..\\out", 0o100644, b"x", "leads out"),
        ("l", 0o120777, b"/etc/passwd", "outside the archive"),
        ("l", 0o120777, b"../../out", "outside the archive"),
        ("p", 0o010644, b"", "device or a pipe"),
    ],
)
def test_a_zip_that_reaches_out_is_refused(
    tmp_path: Path, get: Fetcher, name: str, mode: int, content: bytes, words: str
) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as one:
        about = zipfile.ZipInfo(name)
        about.external_attr = mode << 16
        one.writestr(about, content)
    with pytest.raises(ConfigError, match=words):
        get("m.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "m.zip"]


def test_an_encrypted_zip_is_refused_with_a_hint(tmp_path: Path, get: Fetcher) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as one:
        one.writestr("a", b"x")
    raw = bytearray((tmp_path / "m.zip").read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "m.zip").write_bytes(raw)
    with pytest.raises(ConfigError, match="without a password"):
        get("m.zip")


def test_a_zip_made_on_other_systems_is_read(tmp_path: Path, get: Fetcher) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as one:
        one.writestr("m\\saved_model.pb", b"x")
        one.writestr("__MACOSX/._m", b"junk")
    assert names_below(get("m.zip")) == {"m/saved_model.pb": b"x"}


@given(
    kind=st.sampled_from(["w:gz", "w", "w:bz2", "zip"]),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=6),
    cut=st.floats(0, 1) | st.just(1.0),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_archives_raise_nothing_but_errors_in_words(
    tmp_path: Path, get: Fetcher, kind: str, flips: list[tuple[float, int]], cut: float
) -> None:
    files = {"a/b": b"content" * 200, "c": bytes(2000)}
    if kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as one:
            for name, content in files.items():
                one.writestr(name, content)
        raw = bytearray(buffer.getvalue())
    else:
        raw = bytearray(tar_of(files, kind))
    for where, bits in flips:
        raw[int(where * (len(raw) - 1))] ^= bits
    (tmp_path / "m").write_bytes(raw[: int(len(raw) * cut)])
    try:
        get("m")
    except ConfigError as error:
        assert error.message.startswith("m: ")
    except Exception as error:
        assert "can not store" in str(error), repr(error)
