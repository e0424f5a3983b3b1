"""A cache folder of its own for each test, and a processor that installs in a blink."""

from pathlib import Path

import pytest

from eas_processor.registry import Manifest, read_manifest
from tests.runtimes.packages import write_processor, write_wheel


class Told:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.notes: list[str] = []
        self.total: float | None = None
        self.done = 0.0
        self.finished = 0

    def start(self, title: str, total: float | None, unit: str) -> None:
        self.titles.append(title)
        self.total = total

    def advance(self, amount: float) -> None:
        assert amount >= 0
        self.done += amount

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runtimes go in this test; uv's own cache is as new."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("EAS_PROCESSOR_CACHE", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


@pytest.fixture
def tiny(tmp_path: Path, cache: Path) -> Manifest:
    """A processor for this Python with one small package called `tiny`."""
    pin = write_wheel(tmp_path / "packages", "tiny", {"tiny.py": "COLOUR = 'green'\n"})
    return read_manifest(write_processor(tmp_path, "tiny_processor", [pin]) / "processor.toml")
