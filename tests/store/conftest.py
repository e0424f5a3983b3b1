"""A server, a cache folder, and a progress that writes down what it is told."""

import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from model_server import ModelServer

from eas_processor.store import FetchSettings, fetch

QUICK = FetchSettings(
    connect_timeout_s=5, read_timeout_s=5, retry_delay_s=0.01, lock_timeout_s=30,
    download_timeout_s=30,
)  # fmt: skip
Fetcher = Callable[..., Path]


class Recorder:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.titles: list[str] = []
        self.totals: list[float | None] = []
        self.notes: list[str] = []
        self.done = 0.0
        self.open = False

    def start(self, title: str, total: float | None, unit: str) -> None:
        with self.lock:
            self.titles.append(title)
            self.totals.append(total)
            self.done = 0.0
            self.open = True

    def advance(self, amount: float) -> None:
        assert self.open
        self.done += amount

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None:
        self.open = False


def tar_of(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    """A tar archive with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def names_below(folder: Path) -> dict[str, bytes]:
    """What a folder holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests are on this machine, whatever the environment says."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    one = ModelServer()
    yield one
    one.stop()


@pytest.fixture
def progress() -> Recorder:
    return Recorder()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def get(tmp_path: Path, cache: Path, progress: Recorder) -> Fetcher:
    """`fetch` with the test's folder, cache and progress."""

    def run(path: str, settings: FetchSettings = QUICK) -> Path:
        return fetch(path, base=tmp_path, cache=cache, progress=progress, settings=settings)

    return run
