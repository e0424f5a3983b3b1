"""Models added and removed at run time, and the config file that keeps them."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import stat
import threading
import time
from pathlib import Path

import pytest

from eas_processor.codec import serving
from eas_processor.errors import Code, ServingError
from eas_processor.modelserver import files
from eas_processor.modelserver.configs import ModelConfig
from eas_processor.modelserver.manager import ModelManager

from .fakes import Stage, make_version, manager_of, until
from .test_manager import QUICK, config, config_text, play, refusal_of, running

POLL_S = 1
NEWS = "model_config_list {}  # by hand"


class Disk:
    """What stands between a write and its end. trouble: it fails with this errno.

    begun, ended: how many writes have. open: those that begin wait for it.
    """

    def __init__(self) -> None:
        self.trouble = 0
        self.begun = 0
        self.ended = 0
        self.open = threading.Event()
        self.open.set()
        self._fsync = os.fsync

    def fsync(self, descriptor: int) -> None:
        self.begun += 1
        assert self.open.wait(20)
        if self.trouble:
            raise OSError(self.trouble, os.strerror(self.trouble))
        self._fsync(descriptor)
        self.ended += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    return disk


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A config file that serves `a`; the folders of `b` and `c` are there, too."""
    for name in "abc":
        make_version(tmp_path / name, 1)
    file = tmp_path / "config" / "models.config"
    file.parent.mkdir()
    file.write_text(config_text(tmp_path, "a"))
    return file


def manager_with(file: Path, stage: Stage, *arguments: str) -> ModelManager:
    ours = (f"--model_config_file={file}", "--persist_model_config")
    return manager_of(stage, *ours, *QUICK, *arguments)


def model(file: Path, name: str) -> ModelConfig:
    return config(name, file.parent.parent / name)


def kept(file: Path) -> list[str]:
    """What the file says; nothing else may lie beside it."""
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    return list(files.models_from_text(file.read_text(), str(file)))


def test_a_poll_does_not_take_away_what_is_being_written(file: Path, disk: Disk) -> None:
    async def scene() -> None:
        stage = Stage()
        poll = f"--model_config_file_poll_wait_seconds={POLL_S}"
        async with running(manager_with(file, stage, poll)) as manager:
            await manager.start()
            disk.open.clear()
            adding = asyncio.create_task(manager.add(model(file, "b")))
            await asyncio.sleep(POLL_S + 0.3)
            disk.open.set()
            await adding
            await asyncio.sleep(POLL_S + 0.3)
            assert list(manager.services) == kept(file) == ["a", "b"]
            assert stage.loads == ["a/1", "b/1"], "each is loaded once"
            file.write_text(NEWS)  # what others write is still found
            await until(lambda: not manager.services)

    play(scene)


def test_changes_at_once_are_all_kept(file: Path, disk: Disk) -> None:
    async def scene() -> None:
        async with running(manager_with(file, Stage())) as manager:
            await manager.start()
            disk.open.clear()
            changes = [manager.add(model(file, name)) for name in "bcb"]
            together = asyncio.gather(*changes, manager.remove("a"), return_exceptions=True)
            await asyncio.sleep(0.2)
            disk.open.set()
            *outcomes, again, gone = await together
            assert [*outcomes, gone] == [None] * 3
            assert isinstance(again, ServingError) and again.code == Code.ALREADY_EXISTS
            assert list(manager.services) == kept(file) == ["b", "c"]

    play(scene)


def test_a_change_that_can_not_be_written_is_refused_as_a_whole(file: Path, disk: Disk) -> None:
    async def scene() -> None:
        stage = Stage()
        before = file.read_text()
        async with running(manager_with(file, stage)) as manager:
            await manager.start()
            disk.trouble = errno.ENOSPC
            none = serving.text("ModelServerConfig", "model_config_list {}")
            for change in (
                manager.add(model(file, "b")),
                manager.remove("a"),
                manager.apply_proto(none),
            ):
                with pytest.raises(ServingError) as error:
                    await change
                words = f"{file}: can not be written: No space left on device"
                assert refusal_of(error) == (Code.INTERNAL, words)
                assert list(manager.services) == kept(file) == ["a"]
            assert file.read_text() == before and stage.loads == ["a/1"]
            assert manager._source.read_if_changed(True) is None
            disk.trouble = 0
            await manager.add(model(file, "b"))
            assert list(manager.services) == kept(file) == ["a", "b"]

    play(scene)


def test_what_can_not_be_served_is_not_written(file: Path, disk: Disk) -> None:
    async def scene() -> None:
        async with running(manager_with(file, Stage())) as manager:
            await manager.start()
            with pytest.raises(ServingError, match="neither 'tensorflow' nor a processor"):
                await manager.add(config("b", file.parent, platform="caffe"))
            assert disk.begun == 0

    play(scene)


def test_a_change_whose_client_goes_away_is_made_whole(file: Path, disk: Disk) -> None:
    async def scene() -> None:
        async with running(manager_with(file, Stage())) as manager:
            await manager.start()
            disk.open.clear()
            adding = asyncio.create_task(manager.add(model(file, "b")))
            await until(lambda: disk.begun)
            adding.cancel()
            disk.open.set()
            await until(lambda: list(manager.services) == ["a", "b"])
            assert kept(file) == ["a", "b"]

    play(scene)


def test_a_stop_does_not_wait_for_a_write_nor_is_anything_served_after_it(
    file: Path, disk: Disk
) -> None:
    async def scene() -> None:
        stage = Stage()
        async with running(manager_with(file, stage)) as manager:
            await manager.start()
            disk.open.clear()
            adding = asyncio.create_task(manager.add(model(file, "b")))
            await until(lambda: disk.begun)
            await manager.stop()
            disk.open.set()
            await asyncio.gather(adding, return_exceptions=True)
            await until(lambda: disk.ended)
            assert adding.cancelled() and stage.loads == ["a/1"]

    play(scene)


def test_a_reload_takes_the_file_as_it_is(file: Path, disk: Disk) -> None:
    async def scene() -> None:
        async with running(manager_with(file, Stage())) as manager:
            await manager.start()
            file.write_text(NEWS)
            assert await manager.reload() == {str(file): ""}
            assert manager.services == {} and file.read_text() == NEWS and disk.begun == 0

    play(scene)


def test_a_file_of_others_that_is_slow_to_read_holds_up_no_change(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        begun, end = threading.Event(), threading.Event()

        def read_slowly(has_models: bool) -> None:
            begun.set()
            assert end.wait(20)

        arguments = (f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
        async with running(manager_of(Stage(), *arguments, *QUICK)) as manager:
            monkeypatch.setattr(manager._source, "read_if_changed", read_slowly)
            await manager.start()
            await until(begun.is_set)
            await manager.add(model(file, "b"))
            assert list(manager.services) == ["a", "b"] and not end.is_set()
            end.set()

    play(scene)


# the file itself


def test_a_file_keeps_its_mode_and_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text("old")
    owner = (12, 34) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file, *owner)
    for mode in (0o600, 0o666, 0o440):
        file.chmod(mode)
        files.write(str(file), f"mode {mode}")
        now = file.stat()
        assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (mode, *owner)
        assert file.read_text() == f"mode {mode}"


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    files.write(str(tmp_path / "models.config"), "text")
    assert (tmp_path / "models.config").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "data" / "real", tmp_path / "models.config"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    (tmp_path / "hop").symlink_to("data/real")
    link.symlink_to("hop")
    files.write(str(link), "new")
    assert os.readlink(link) == "hop" and os.readlink(tmp_path / "hop") == "data/real"
    assert target.read_text() == link.read_text() == "new" and not target.is_symlink()
    assert [path.name for path in target.parent.iterdir()] == ["real"]


def test_a_write_that_stops_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ServingError) as error:
            files.write(str(file), "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refusal_of(error) == (Code.INTERNAL, f"{file}: can not be written: File too large")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_writers_at_once_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers may keep one file: the last one has it."""
    monkeypatch.setattr(os, "fsync", lambda _: time.sleep(0.1))
    file = tmp_path / "models.config"
    texts = [letter * 1000 for letter in "abcd"]
    troubles: list[ServingError] = []

    def write(text: str) -> None:
        try:
            files.write(str(file), text)
        except ServingError as error:
            troubles.append(error)

    threads = [threading.Thread(target=write, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not troubles and file.read_text() in texts and list(tmp_path.iterdir()) == [file]
