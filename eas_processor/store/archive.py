"""Unpacking what strangers packed: every name, link, size and count is checked before it is used.

The kind is told by content, not by name. Nothing is written outside the target folder, nothing is
written through a link, and an archive that lies about its size is stopped by counting.
"""

import bz2
import enum
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Protocol, cast

from eas_processor.errors import ConfigError
from eas_processor.observe.progress import Progress
from eas_processor.store import cache
from eas_processor.store.settings import CHUNK_BYTES, FetchSettings
from eas_processor.store.target import Refused, Target

# A header longer than this is an attack on memory, not a long name.
HEADER_BYTES_MAX = 1 << 22
_SNIFF_BYTES = 1024
_NOT_AN_ARCHIVE_TYPES = (".keras", ".npz", ".pt", ".pth", ".jar", ".whl", ".mar", ".ckpt")
_ARCHIVE_NAMES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError,
    OverflowError, NotImplementedError, RuntimeError, LookupError,
)  # fmt: skip


class Format(enum.Enum):
    """The archive formats that are understood."""

    TAR = "tar"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZIP = "zip"


_MAGIC = ((b"\x1f\x8b", Format.GZIP), (b"BZh", Format.BZIP2), (b"\xfd7zXZ\0", Format.XZ),
          (b"PK\x03\x04", Format.ZIP), (b"PK\x05\x06", Format.ZIP))  # fmt: skip
_FOREIGN = ((b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a rar archive"),
            (b"\x28\xb5\x2f\xfd", "zstandard data"), (b"\x04\x22\x4d\x18", "lz4 data"),
            (b"version https://git-lfs", "a Git LFS pointer, not the file itself"))  # fmt: skip


def sniff(path: Path) -> Format | None:
    """The archive format of a file, None if it is something else (a `.pb`, a zip-based model)."""
    if path.name.lower().endswith(_NOT_AN_ARCHIVE_TYPES):
        return None
    with open(path, "rb") as file:
        head = file.read(_SNIFF_BYTES)
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[257:262] == b"ustar":
        return Format.TAR
    if path.name.lower().endswith(_ARCHIVE_NAMES):
        # Tar files older than ustar have no mark; the reader decides.
        if path.name.lower().endswith(".tar") and tarfile.is_tarfile(path):
            return Format.TAR
        raise ConfigError(f"{path.name}: named like an archive, but it {_what_it_is(head)}")
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise ConfigError(f"{path.name}: {what}; pack the model as .tar.gz or .zip")
    return None


def _what_it_is(head: bytes) -> str:
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            return f"is {what}; pack the model as .tar.gz or .zip"
    if not head:
        return "is an empty file"
    text = head.lstrip()[:200].lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page or an error page; open the address in a browser to see what it says"
    return "is not one; pack the model as .tar.gz or .zip"


def unpack(path: Path, into: Path, settings: FetchSettings, progress: Progress) -> None:
    """Unpack an archive into a new folder; ConfigError if it is broken or not to be trusted."""
    kind = sniff(path)
    packed = path.stat().st_size
    grown = max(settings.unpacked_bytes_free, packed * settings.unpacked_ratio_max)
    bound = min(settings.unpacked_bytes_max, grown)
    into.mkdir()
    target = Target(into, bound, settings.entries_max, progress)
    progress.start(f"unpack {path.name}", None, "B")
    try:
        if kind is Format.ZIP:
            _unzip(path, target)
        else:
            _untar(path, kind or Format.TAR, target)
        target.finish()
    except Refused as error:
        raise ConfigError(f"{path.name}: {error}") from error
    except _BROKEN as error:
        raise ConfigError(
            f"{path.name}: the archive is broken or cut short ({_first_line(error)}); "
            "pack or download it again"
        ) from error
    except OSError as error:
        # gzip and bz2 report bad data as an OSError without a number.
        if error.errno is None:
            raise ConfigError(
                f"{path.name}: the archive is broken ({_first_line(error)}); "
                "pack or download it again"
            ) from error
        raise cache.in_words(error, f"unpacking {path.name}") from error
    finally:
        progress.finish()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


# Stands between tarfile and the data: bounds single reads and remembers the last block.
class _Metered:
    def __init__(self, file: _Readable, bytes_max: int) -> None:
        self._file = file
        self._bytes_max = bytes_max
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER_BYTES_MAX:
            raise Refused(f"it has a header of {size} bytes, which no honest archive has")
        self.last = self._file.read(size)
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset > self._bytes_max:
            raise Refused(f"it unpacks to more than {self._bytes_max} bytes")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _open_tar(path: Path, kind: Format) -> _Readable:
    if kind is Format.GZIP:
        return cast(_Readable, gzip.open(path, "rb"))
    if kind is Format.BZIP2:
        return cast(_Readable, bz2.open(path, "rb"))
    if kind is Format.XZ:
        return cast(_Readable, lzma.open(path, "rb"))
    return open(path, "rb")


def _untar(path: Path, kind: Format, target: Target) -> None:
    file = _open_tar(path, kind)
    # Blocks, headers and padding come on top of the content.
    metered = _Metered(file, target.bytes_max + target.entries_max * 2048)
    with cast(IO[bytes], file):
        try:
            tar = tarfile.open(fileobj=cast(IO[bytes], metered), mode="r:")  # noqa: SIM115
        except tarfile.ReadError as error:
            if kind is Format.TAR:
                raise
            raise Refused(f"it is {kind.value} data without a tar archive inside") from error
        with tar:
            while (member := tar.next()) is not None:
                _one_member(tar, member, target)
                # tarfile keeps every member it has seen; a long archive need not.
                tar.members.clear()  # type: ignore[attr-defined]
            if metered.last.strip(b"\0"):
                raise tarfile.ReadError("a bad header in the middle")
        # Reading to the end makes the decompressor check its sums.
        while file.read(CHUNK_BYTES):
            metered.seek(file.tell())
            target.tick()


def _one_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Target) -> None:
    if member.isdir():
        target.folder(member.name)
    elif member.isreg():
        content = tar.extractfile(member)
        if content is None:
            raise tarfile.ReadError(f"{member.name} has no content")
        target.file(member.name, content, member.size)
    elif member.issym():
        target.link(member.name, member.linkname)
    elif member.islnk():
        target.hard_link(member.name, member.linkname)
    else:
        raise Refused(f"{member.name!r} is a device or a pipe; a model is made of files")


def _unzip(path: Path, target: Target) -> None:
    with zipfile.ZipFile(path) as packed:
        for entry in packed.infolist():
            name = entry.filename.replace("\\", "/")
            if entry.flag_bits & 1:
                raise Refused(f"{name!r} is encrypted; pack the model without a password")
            if name.startswith("__MACOSX/"):
                continue
            mode = entry.external_attr >> 16
            if entry.is_dir() or name.endswith("/"):
                target.folder(name)
            elif stat.S_ISLNK(mode):
                with packed.open(entry) as content:
                    target.link(name, os.fsdecode(content.read(4096)))
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with packed.open(entry) as content:
                    target.file(name, content, entry.file_size)
            else:
                raise Refused(f"{name!r} is a device or a pipe; a model is made of files")
