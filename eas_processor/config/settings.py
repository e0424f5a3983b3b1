"""A parsed service JSON as a flat map of dotted paths, with everything wrong about it collected.

Nested and dotted spellings of one key meet here; the builder asks for keys by path. Mistakes are
gathered, not raised, so that a user sees all of them at once.
"""

import difflib
from typing import TypeVar

import msgspec

from eas_processor.config.jsonc import Document, Path
from eas_processor.config.keys import ALIASES, BY_PATH, Key, Kind
from eas_processor.config.values import Mistake, convert, is_absent, shown
from eas_processor.errors import ConfigError

T = TypeVar("T")
NAMED_UNKNOWN_KEYS_MAX = 50

# Every path that has known paths below it, and the names that are known at each level.
_CHILDREN: dict[str, set[str]] = {"": set()}
for _path in (*BY_PATH, *ALIASES):
    _parts = _path.split(".")
    for _depth in range(len(_parts)):
        _CHILDREN.setdefault(".".join(_parts[:_depth]), set()).add(_parts[_depth])


class _Found(msgspec.Struct, frozen=True):
    value: object
    path: Path
    offset: int


class Settings:
    """What a file sets, key by key."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: dict[str, _Found] = {}
        self._unknown: dict[str, None] = {}
        self._mistakes: list[tuple[int, str]] = []
        self.warnings: list[str] = list(document.warnings)
        if isinstance(document.value, dict):
            self._walk(document.value, (), "")
            self._resolve_aliases()
        else:
            raise ConfigError(
                f"{document.place(())}: a service JSON is one object, {{ … }}, "
                f"not {shown(document.value)}"
            )

    def has(self, path: str) -> bool:
        """Whether the file sets this key to something."""
        return path in self._found

    def get(self, path: str, kind: type[T], default: T) -> T:
        """The key's value in its own type; the default where it is absent or wrong."""
        found = self._found.get(path)
        if found is None:
            return default
        try:
            value = convert(BY_PATH[path], found.value)
        except Mistake as mistake:
            self.wrong(path, str(mistake))
            return default
        if kind is float and isinstance(value, int):
            value = float(value)
        return value if isinstance(value, kind) else default

    def wrong(self, path: str, what: str) -> None:
        """Note a mistake in a key's value."""
        found = self._found.get(path)
        self._note_mistake(found.path if found else (), f"{path}: {what}")

    def warn(self, path: str, what: str) -> None:
        """Note something odd that does not stop the service."""
        found = self._found.get(path)
        self.warnings.append(f"{self._document.place(found.path if found else ())}: {path}: {what}")

    def ignored(self) -> tuple[str, ...]:
        """The keys that are set and have no effect here, known ones first."""
        idle = [path for path in self._found if not BY_PATH[path].acted]
        more = list(self._unknown)
        rest = len(more) - NAMED_UNKNOWN_KEYS_MAX
        if rest > 0:
            more = [*more[:NAMED_UNKNOWN_KEYS_MAX], f"({rest} more)"]
        return (*idle, *more)

    def raise_mistakes(self) -> None:
        """One ConfigError for all mistakes, with the warnings that may explain them."""
        if not self._mistakes:
            return
        # In the order of the file, each once.
        texts = list(dict.fromkeys(text for _, text in sorted(self._mistakes)))
        if len(texts) == 1 and not self.warnings:
            raise ConfigError(texts[0])
        head = f"{self._document.name}: {len(texts)} mistake{'s' if len(texts) > 1 else ''}"
        lines = [head, *texts, *(f"note: {text}" for text in self.warnings)]
        raise ConfigError("\n  ".join(lines))

    def _note_mistake(self, raw: Path, what: str) -> None:
        offset = self._document.places[raw]
        self._mistakes.append((offset, f"{self._document.place(raw)}: {what}"))

    def _walk(self, mapping: dict[str, object], raw: Path, prefix: str) -> None:
        for name, value in mapping.items():
            path = f"{prefix}.{name}" if prefix else name
            self._one((*raw, name), path, value)

    def _one(self, raw: Path, path: str, value: object) -> None:
        known = BY_PATH.get(path) or BY_PATH.get(ALIASES.get(path, ""))
        if isinstance(value, dict) and path in _CHILDREN:
            self._walk(value, raw, path)
        elif is_absent(value):
            if known is None and path not in _CHILDREN:
                self._not_known(raw, path)
        elif known is not None:
            self._store(path, _Found(value, raw, self._document.places[raw]))
        elif path in _CHILDREN:
            self._note_mistake(
                raw, f'{path}: {shown(value)} is not an object; write {{ "key": value }}'
            )
        else:
            self._not_known(raw, path)

    def _store(self, path: str, found: _Found) -> None:
        old = self._found.get(path)
        if old is not None:
            self.warnings.append(
                f"{self._document.place(max(old, found, key=lambda one: one.offset).path)}: "
                f"{path} is written twice; the last one counts"
            )
            if old.offset > found.offset:
                return
        self._found[path] = found

    def _resolve_aliases(self) -> None:
        for alias, path in ALIASES.items():
            found = self._found.pop(alias, None)
            if found is None:
                continue
            if path not in self._found:
                self._found[path] = found
            elif self._found[path].value != found.value:
                self.warnings.append(
                    f"{self._document.place(found.path)}: {alias} has no effect, "
                    f"since {path} is set too"
                )

    # Keys below one that is known as a whole (`cloud.computing…`) belong to that one.
    def _not_known(self, raw: Path, path: str) -> None:
        parts = path.split(".")
        for depth in range(len(parts) - 1, 0, -1):
            parent = BY_PATH.get(".".join(parts[:depth]))
            if parent is not None:
                if parent.kind in (Kind.FREE, Kind.MAP):
                    self._below(parent, parts[depth:], raw)
                    return
                break
        known = next(d for d in range(len(parts) - 1, -1, -1) if ".".join(parts[:d]) in _CHILDREN)
        top = ".".join(parts[: known + 1])
        if top in self._unknown:
            return
        self._unknown[top] = None
        hint = _suggestion(parts, known)
        if hint:
            self.warnings.append(f"{self._document.place(raw)}: {top} is not a known key; {hint}")

    # A dotted entry of a free map: `processor_options.threads`.
    def _below(self, parent: Key, names: list[str], raw: Path) -> None:
        value = self._value_at(raw)
        old = self._found.get(parent.path)
        merged = dict(old.value) if old and isinstance(old.value, dict) else {}
        merged[".".join(names)] = value
        self._found[parent.path] = _Found(merged, raw, self._document.places[raw])

    def _value_at(self, raw: Path) -> object:
        value = self._document.value
        for part in raw:
            value = value[part]  # type: ignore[index]
        return value


def _suggestion(parts: list[str], known: int) -> str:
    parent = ".".join(parts[:known])
    name = parts[known]
    lowered = {child.lower(): child for child in sorted(_CHILDREN[parent])}
    near = difflib.get_close_matches(name.lower().replace("-", "_")[:60], list(lowered), 1, 0.78)
    if near:
        full = f"{parent}.{lowered[near[0]]}" if parent else lowered[near[0]]
        return f"did you mean {full}?"
    inside = [path for path in ("metadata", "metadata.rpc", "") if name in _CHILDREN[path]]
    if inside and inside[0] != parent:
        return f"did you mean {inside[0] + '.' if inside[0] else ''}{name}?"
    return ""
