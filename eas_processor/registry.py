"""Which processors there are: reads the manifests of processor folders (`processor.toml`).

The CLI and the host ask it by name; `runtimes` and `pool` get the manifest it answers with. It
promises that a manifest it hands out is complete and well-typed; a broken one is a ConfigError that
names the file and the key. Imports no processor.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eas_processor.errors import ConfigError

MANIFEST = "processor.toml"
PATH_VARIABLE = "EAS_PROCESSOR_PATH"


@dataclass(frozen=True)
class Manifest:
    """What a processor says of itself. `python` is empty where the host's own Python will do."""

    name: str
    description: str
    entry: str  # import string of the plug-in class
    device: str  # "cpu" or "gpu"
    python: tuple[str, ...]  # minor versions, best first
    tensorflow: str | None
    lock: str | None  # file name inside `folder`
    folder: Path
    aliases: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()  # as `uname -m` calls them; empty: any
    installed_mb: int | None = None  # what a runtime takes on disk: lets progress show a total


class Registry:
    """The processors of all search folders. Of two with one name the one found first wins.

    Searched: `extra_folders`, the folders of EAS_PROCESSOR_PATH, then those that come with this
    package. A search folder holds processor folders, or is one itself.

    broken: folder's name → what is wrong with its manifest, which matters to who asks for that one.
    """

    def __init__(self, extra_folders: Sequence[Path] = ()) -> None:
        self._manifests: dict[str, Manifest] = {}
        self.broken: dict[str, str] = {}
        for folder in (*extra_folders, *_folders_of_environment(), bundled_folder()):
            for file in _manifest_files(folder):
                try:
                    manifest = read_manifest(file)
                except ConfigError as error:
                    if file.parent.name not in self._manifests:  # the first of a name counts
                        self.broken.setdefault(file.parent.name, error.message)
                else:
                    self._manifests.setdefault(manifest.name, manifest)
        self._aliases: dict[str, str] = {}
        for manifest in self._manifests.values():
            for alias in manifest.aliases:
                self._aliases.setdefault(alias, manifest.name)

    def get(self, name: str) -> Manifest:
        """The processor called `name`, or with that alias.

        Raises ConfigError if there is none, or if its own manifest can not be read.
        """
        if name in self.broken:
            raise ConfigError(self.broken[name])
        manifest = self._manifests.get(name) or self._manifests.get(self._aliases.get(name, ""))
        if manifest is None:
            raise ConfigError(self._unknown(name))
        return manifest

    def all(self) -> list[Manifest]:
        """Every processor, by name; versions in the order a reader expects (2.4 before 2.21)."""
        return sorted(self._manifests.values(), key=lambda manifest: _natural(manifest.name))

    def _unknown(self, name: str) -> str:
        known = [manifest.name for manifest in self.all()]
        close = difflib.get_close_matches(name, [*known, *self._aliases], n=1, cutoff=0.6)
        hint = f"; did you mean {close[0]}?" if close else "."
        words = f"There is no processor {name!r}{hint} Known ones: {', '.join(known)}."
        return " ".join([words, *(f"Not read: {problem}" for problem in self.broken.values())])


def bundled_folder() -> Path:
    """The processors that come with this package: inside it, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "processors"
    return inside if inside.is_dir() else package.parent / "processors"


def read_manifest(file: Path) -> Manifest:
    """Read and check one `processor.toml`. Raises ConfigError naming the file and the key."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: can not be read as TOML: {error}") from None
    manifest = _ManifestReader(file, table).read()
    if manifest.lock and not (file.parent / manifest.lock).is_file():
        raise ConfigError(f"{file}: lock: there is no file {manifest.lock!r} beside it.")
    return manifest


class _ManifestReader:
    """Takes key after key out of the table of one file; what is left over is a mistake."""

    def __init__(self, file: Path, table: dict[str, object]) -> None:
        self._file = file
        self._table = dict(table)

    def read(self) -> Manifest:
        manifest = Manifest(
            name=self._text("name"),
            description=self._optional_text("description") or "",
            entry=self._entry(),
            device=self._device(),
            python=self._minors(),
            tensorflow=self._optional_text("tensorflow"),
            lock=self._optional_text("lock"),
            folder=self._file.parent.resolve(),
            aliases=self._texts("aliases"),
            machines=self._texts("machines"),
            installed_mb=self._optional_number("installed_mb"),
        )
        for key in self._table:
            raise self._mistake(key, "is not a key of a manifest.")
        return manifest

    def _mistake(self, key: str, words: str) -> ConfigError:
        return ConfigError(f"{self._file}: {key}: {words}")

    def _optional_text(self, key: str) -> str | None:
        value = self._table.pop(key, None)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        raise self._mistake(key, f"must be a text that is not empty, not {value!r}.")

    def _text(self, key: str) -> str:
        value = self._optional_text(key)
        if value is None:
            raise self._mistake(key, "is missing.")
        return value

    def _texts(self, key: str) -> tuple[str, ...]:
        value = self._table.pop(key, [])
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        raise self._mistake(key, f'must be a list of texts such as ["…"], not {value!r}.')

    def _optional_number(self, key: str) -> int | None:
        value = self._table.pop(key, None)
        if value is None or (type(value) is int and value > 0):
            return value
        raise self._mistake(key, f"must be a whole number above 0, not {value!r}.")

    def _entry(self) -> str:
        entry = self._text("entry")
        module, colon, attribute = entry.partition(":")
        if not colon or not attribute.isidentifier() or not _is_module(module):
            raise self._mistake("entry", f'must look like "module:Class", not {entry!r}.')
        return entry

    def _device(self) -> str:
        device = self._optional_text("device") or "cpu"
        if device not in ("cpu", "gpu"):
            raise self._mistake("device", f'must be "cpu" or "gpu", not {device!r}.')
        return device

    def _minors(self) -> tuple[str, ...]:
        minors = self._texts("python")
        for minor in minors:
            major, _, rest = minor.partition(".")
            if major != "3" or not rest.isdecimal():
                raise self._mistake("python", f'must hold versions such as "3.7", not {minor!r}.')
        return minors


def _is_module(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _folders_of_environment() -> list[Path]:
    entries = os.environ.get(PATH_VARIABLE, "").split(os.pathsep)
    return [Path(entry) for entry in entries if entry.strip()]


def _manifest_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder of processors.")
    if (folder / MANIFEST).is_file():
        return iter([folder / MANIFEST])
    return iter(sorted(folder.glob(f"*/{MANIFEST}")))


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that reads digits as numbers: 2.4 before 2.21."""
    parts: list[tuple[int, str]] = []
    for piece in name.replace("_", ".").split("."):
        parts.append((int(piece), "") if piece.isdecimal() else (-1, piece))
    return tuple(parts)
