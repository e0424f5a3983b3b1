"""UNIX sockets at paths: whose is taken, whose is removed."""

import errno
import fcntl
import os
import socket
import threading
import time

import pytest

from eas_processor.http import unix_sockets
from eas_processor.http.unix_sockets import listen, remove_stale


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s")


def bound(path, kind=socket.SOCK_STREAM):
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(path)
    return made


def is_answered(path):
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(path)
        except OSError:
            return False
    return True


def refusal(path):
    with pytest.raises(OSError) as caught:
        listen(path, 1)
    assert caught.value.errno == errno.EADDRINUSE
    return caught.value.strerror


def test_one_that_was_left_behind_is_replaced_and_removed_at_the_end(path):
    bound(path).close()
    one = listen(path, 1)
    with one.socket:
        assert is_answered(path)
        one.remove()
    assert not os.path.exists(path)


def test_one_whose_queue_is_full_is_listened_on(path):
    with listen(path, 0).socket:
        callers = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(path)
        assert "another server listens there" in refusal(path)
        for caller in callers:
            caller.close()


@pytest.mark.parametrize("callers", [0, 3])  # three fill the queue
def test_a_server_that_means_to_takes_over_from_another(path, callers):
    one = listen(path, 0)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(callers)]
    for caller in waiting:
        caller.setblocking(False)
        caller.connect_ex(path)
    two = listen(path, 1, take=True)
    with one.socket, two.socket:
        assert (one.taken, two.taken) == (False, True)
        one.remove()
        assert is_answered(path)
        two.remove()
    assert not os.path.exists(path)
    for caller in waiting:
        caller.close()


@pytest.mark.parametrize("take", [False, True])
def test_what_is_not_a_servers_socket_is_left_alone(path, take):
    def refusal(path):
        with pytest.raises(OSError) as caught:
            listen(path, 1, take)
        return caught.value.strerror

    with open(path, "w") as file:
        file.write("mine")
    assert "no socket" in refusal(path)
    remove_stale(path)
    assert os.path.getsize(path) == 4
    os.unlink(path)
    with bound(path, socket.SOCK_DGRAM):  # of another kind, such as a log's
        refusal(path)
        remove_stale(path)
        assert os.path.exists(path)


def test_only_what_is_still_ours_is_removed(path):
    one = listen(path, 1)
    os.unlink(path)
    with one.socket, listen(path, 1).socket:
        one.remove()
        assert is_answered(path)


def test_one_that_does_not_listen_yet_is_not_taken_for_one_that_was_left_behind(path, monkeypatch):
    """Between its bind and its listen others wait, who would remove it."""
    others = [threading.Thread(target=remove_stale, args=(path,))]
    bind = unix_sockets._bind

    def slow_bind(*args):
        bind(*args)
        others[0].start()
        time.sleep(0.2)

    monkeypatch.setattr(unix_sockets, "_bind", slow_bind)
    with listen(path, 1).socket:
        others[0].join()
        assert is_answered(path)


def test_who_keeps_a_folder_locked_keeps_nobody_from_it(path, monkeypatch):
    monkeypatch.setattr(unix_sockets, "LOCK_S", 0.05)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with listen(path, 1).socket:
        assert is_answered(path)
    os.close(folder)


def test_a_path_that_cannot_be_had_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        listen(str(tmp_path / "none" / "s"), 1)
    with pytest.raises(OSError, match="too long"):
        listen(str(tmp_path / ("s" * 200)), 1)
