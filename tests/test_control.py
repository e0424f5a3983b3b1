"""The control socket, with callers and hosts that do not behave."""

import asyncio
import os
import socket
import threading
from contextlib import ExitStack

import pytest

from eas_processor import control
from eas_processor.errors import ConfigError, StartError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return control.folder()


def test_one_that_does_not_read_is_waited_for_no_longer_than_the_bound(monkeypatch):
    monkeypatch.setattr(control, "LINE_TIMEOUT_S", 0.2)

    async def big():
        return "x" * (64 << 20)

    async def run():
        one = control.Control({"big": big})
        await one.open()
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(control.folder() / f"{os.getpid()}.sock"))
            caller.sendall(b"big\n")
            async with asyncio.timeout(30):
                while len(asyncio.all_tasks()) < 2:
                    await asyncio.sleep(0)
                while len(asyncio.all_tasks()) > 1:
                    await asyncio.sleep(0.01)
        one.close()

    asyncio.run(run())


def test_of_several_hosts_each_is_told_with_what_it_serves(folder):
    folder.mkdir(parents=True)
    answers = {1: b'{"services": [{"name": "a"}, {"name": "b"}]}', 2: b"no JSON"}
    with ExitStack() as stack:
        for pid, answer in answers.items():
            host = stack.enter_context(socket.socket(socket.AF_UNIX))
            host.bind(str(folder / f"{pid}.sock"))
            host.listen()
            threading.Thread(target=answer_once, args=(host, answer), daemon=True).start()
        with pytest.raises(ConfigError, match=r"choose one with --pid: 1 \(a b\), 2$"):
            control.ask("reload", None, 10.0)


def answer_once(host, answer):
    connection, _ = host.accept()
    with connection:
        assert connection.recv(100) == b"status\n"
        connection.sendall(answer)


def test_a_host_that_ends_without_an_answer_is_told(folder):
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(folder / "1.sock"))
        host.listen()

        def end():
            connection, _ = host.accept()
            with connection:
                connection.recv(100)

        thread = threading.Thread(target=end)
        thread.start()
        with pytest.raises(StartError, match="it ended"):
            control.ask("status", 1, 10.0)
        thread.join()


def test_a_socket_that_another_host_listens_on_is_left_to_it(folder):
    folder.mkdir(parents=True)
    path = folder / f"{os.getpid()}.sock"

    async def run():
        one = control.Control({})
        with pytest.raises(StartError, match="another server listens there"):
            await one.open()
        one.close()

    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        asyncio.run(run())
        assert path.exists()


def test_the_socket_of_a_host_that_was_killed_is_replaced(folder):
    folder.mkdir(parents=True)
    path = folder / f"{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))

    async def run():
        one = control.Control({})
        await one.open()
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))
        one.close()

    asyncio.run(run())
    assert not path.exists()


def test_who_finds_a_dead_hosts_socket_removes_it(folder):
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(folder / "1.sock"))
    with pytest.raises(ConfigError, match="no host is running"):
        control.ask("status", None, 1.0)
    assert not list(folder.iterdir())


def test_a_link_of_our_own_to_a_folder_of_our_own_will_do(tmp_path, folder):
    (tmp_path / "real").mkdir()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError, match="no host is running"):
        control.ask("status", None, 1.0)


def test_a_folder_of_another_user_is_not_asked(folder, monkeypatch):
    folder.mkdir(parents=True)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    monkeypatch.setattr(control, "folder", lambda: folder)
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(folder / "1.sock"))
        host.listen()
        with pytest.raises(ConfigError, match="belongs to another user"):
            control.ask("status", None, 1.0)
