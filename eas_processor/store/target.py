"""The folder an archive is unpacked into: what may be written there, and how much.

Symbolic links are made last and checked when all of them exist, so no file is ever written through
one and a chain of harmless-looking links can not lead out.
"""

import os
from pathlib import Path
from typing import Protocol

from eas_processor.observe.progress import Progress
from eas_processor.store.settings import CHUNK_BYTES


class Refused(Exception):
    """An archive that is not to be trusted; the message says why."""


class Content(Protocol):
    """The part of a file object that is needed to copy it."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


class Target:
    """A new folder that fills up under a bound on bytes and entries."""

    def __init__(self, root: Path, bytes_max: int, entries_max: int, progress: Progress) -> None:
        self.root = root
        self.bytes_max = bytes_max
        self.entries_max = entries_max
        self._progress = progress
        self._bytes = 0
        self._entries = 0
        self._links: dict[Path, str] = {}

    def folder(self, name: str) -> None:
        """An entry that is a folder."""
        self._make_folder(self._path(name), name)

    def file(self, name: str, content: Content, size: int) -> None:
        """An entry with content; `size` is what the archive says of it."""
        if self._bytes + size > self.bytes_max:
            self._too_large()
        path = self._new(name)
        copied = 0
        with open(path, "xb") as file:
            while chunk := content.read(CHUNK_BYTES):
                copied += len(chunk)
                self._bytes += len(chunk)
                if self._bytes > self.bytes_max:
                    self._too_large()
                file.write(chunk)
                self._progress.advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if copied != size:
            raise ValueError(f"{name!r} has {copied} of {size} bytes")

    def hard_link(self, name: str, to: str) -> None:
        """A second name of a file that came earlier."""
        source = self._path(to)
        if source.is_symlink() or not source.is_file():
            raise Refused(f"{name!r} is a link to {to!r}, which is not a file of the archive")
        path = self._new(name)
        if path != source:
            os.link(source, path)

    def link(self, name: str, to: str) -> None:
        """A symbolic link; made by `finish`."""
        if to.startswith("/") or "\0" in to or not to:
            raise Refused(f"{name!r} is a link to {to!r}, outside the archive")
        self._links[self._path(name)] = to

    def tick(self) -> None:
        """A sign of life while nothing is written."""
        self._progress.advance(0)

    def finish(self) -> None:
        """Make the links, check that all lead to something inside, and that there is content."""
        for path, to in self._links.items():
            self._make_folder(path.parent, str(path))
            if path.is_dir() and not path.is_symlink():
                raise Refused(f"{path.name!r} is both a folder and a link")
            path.unlink(missing_ok=True)
            os.symlink(to, path)
        root = os.path.realpath(self.root)
        for path, to in self._links.items():
            real = os.path.realpath(path)
            if os.path.commonpath([root, real]) != root:
                raise Refused(f"{path.name!r} is a link to {to!r}, outside the archive")
            if not os.path.exists(real):
                raise Refused(f"{path.name!r} is a link to {to!r}, which is not in the archive")
        if not any(self.root.iterdir()):
            raise Refused("the archive is empty")

    def _path(self, name: str) -> Path:
        self._entries += 1
        if self._entries > self.entries_max:
            raise Refused(f"it has more than {self.entries_max} entries")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise Refused(f"the name {name!r} leads out of the folder it is unpacked into")
        return self.root.joinpath(*parts)

    def _make_folder(self, path: Path, name: str) -> None:
        # Links come last, so a link on the way can only be one that `finish` has made.
        if os.path.realpath(path) != os.path.join(os.path.realpath(self.root), *_below(path, self)):
            raise Refused(f"{name!r} lies behind a link")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise Refused(f"{name!r} needs a folder where the archive has a file") from error

    def _new(self, name: str) -> Path:
        path = self._path(name)
        if path == self.root or path.is_dir():
            raise Refused(f"{name!r} is a file where the archive has a folder")
        self._make_folder(path.parent, name)
        # The last of several entries of one name counts; a hard link must not be written through.
        path.unlink(missing_ok=True)
        return path

    def _too_large(self) -> None:
        raise Refused(
            f"it unpacks to more than {self.bytes_max} bytes; if that is right, unpack it by hand "
            "and give the folder"
        )


def _below(path: Path, target: Target) -> tuple[str, ...]:
    return path.relative_to(target.root).parts
