"""Downloads from a real server on loopback that behaves, misbehaves, and goes away."""

import base64
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import QUICK, Fetcher, Recorder, names_below, tar_of
from model_server import Handler, ModelServer
from msgspec.structs import replace

from eas_processor.errors import ConfigError, StartError
from eas_processor.store import fetch

MODEL = tar_of({"1/saved_model.pb": b"graph"})
BIG = os.urandom(3_500_000)
AS_IS = replace(QUICK, unpack=False)


def downloaded(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("downloads/*/*"))


def test_an_archive_is_downloaded_and_unpacked(
    server: ModelServer, get: Fetcher, progress: Recorder
) -> None:
    server.publish("/m/model.tar.gz", MODEL, etag='"1"')
    folder = get(server.url + "/m/model.tar.gz")
    assert names_below(folder) == {"1/saved_model.pb": b"graph"}
    assert progress.titles == [
        "check model.tar.gz",
        "download model.tar.gz",
        "unpack model.tar.gz",
    ]
    assert progress.totals == [None, len(MODEL), None]
    assert not progress.open


def test_a_plain_file_keeps_its_name_and_is_handed_over(server: ModelServer, get: Fetcher) -> None:
    server.publish("/frozen%20one.pb", BIG)
    path = get(server.url + "/frozen one.pb?Signature=x")
    assert path.name == "frozen_one.pb"
    assert path.read_bytes() == BIG


def test_the_name_may_come_from_the_servers_header(server: ModelServer, get: Fetcher) -> None:
    server.replies["/get"] = lambda handler: handler.answer(
        200, b"x y", Content_Disposition='attachment; filename="../../warm.txt"'
    )
    assert get(server.url + "/get?id=3").name == "warm.txt"


def test_archives_are_handed_over_whole_when_asked(server: ModelServer, get: Fetcher) -> None:
    server.publish("/m.tar.gz", MODEL)
    assert get(server.url + "/m.tar.gz", AS_IS).read_bytes() == MODEL


@pytest.mark.parametrize("validator", ["etag", "changed"])
def test_what_has_not_changed_is_not_downloaded_again(
    server: ModelServer, get: Fetcher, progress: Recorder, validator: str
) -> None:
    server.publish("/m.pb", b"one", **{validator: '"v1"'})
    first = get(server.url + "/m.pb")
    assert get(server.url + "/m.pb") == first
    assert progress.titles == ["check m.pb", "download m.pb", "check m.pb"]
    server.publish("/m.pb", b"two", **{validator: '"v2"'})
    second = get(server.url + "/m.pb")
    assert (second.read_bytes(), first.read_bytes()) == (b"two", b"one")


def test_a_server_without_conditional_requests_is_asked_for_headers_only(
    server: ModelServer, get: Fetcher, progress: Recorder
) -> None:
    server.replies["/m.pb"] = lambda handler: handler.answer(200, b"one", ETag='"v1"')
    assert get(server.url + "/m.pb") == get(server.url + "/m.pb")
    assert progress.titles.count("download m.pb") == 1


def test_equal_size_is_no_proof_of_equal_content(server: ModelServer, get: Fetcher) -> None:
    server.publish("/m.pb", b"one")
    assert get(server.url + "/m.pb").read_bytes() == b"one"
    server.publish("/m.pb", b"two")
    assert get(server.url + "/m.pb").read_bytes() == b"two"


def test_old_versions_do_not_pile_up(server: ModelServer, get: Fetcher, cache: Path) -> None:
    for number in range(5):
        server.publish("/m.pb", b"%d" % number, etag=f'"{number}"')
        get(server.url + "/m.pb")
    assert len(downloaded(cache)) == 3


def test_a_password_in_the_url_is_sent(server: ModelServer, get: Fetcher) -> None:
    server.publish("/m.pb", b"x")
    get(server.url.replace("http://", "http://me:p%40ss@") + "/m.pb")
    sent = server.requests[0][1]["Authorization"]
    assert sent == "Basic " + base64.b64encode(b"me:p@ss").decode()


def test_redirects_are_followed_and_loops_are_not(server: ModelServer, get: Fetcher) -> None:
    server.publish("/real.pb", b"x")
    server.replies["/a"] = lambda handler: handler.answer(302, b"", Location="/b")
    server.replies["/b"] = lambda handler: handler.answer(301, b"", Location="/real.pb")
    server.replies["/loop"] = lambda handler: handler.answer(302, b"", Location="/loop")
    server.replies["/file"] = lambda handler: handler.answer(302, b"", Location="file:///etc/hosts")
    path = get(server.url + "/a")
    assert path.read_bytes() == b"x"
    assert path.name == "real.pb"
    for name in ("/loop", "/file"):
        with pytest.raises(ConfigError, match="redirect can not be followed"):
            get(server.url + name)


def test_a_password_does_not_follow_a_redirect_to_another_host(
    server: ModelServer, get: Fetcher
) -> None:
    other = ModelServer()
    try:
        other.publish("/real.pb", b"x")
        target = other.url + "/real.pb"
        server.replies["/a"] = lambda handler: handler.answer(302, b"", Location=target)
        get(server.url.replace("http://", "http://me:secret@") + "/a")
        assert "Authorization" in server.requests[0][1]
        assert "Authorization" not in other.requests[0][1]
    finally:
        other.stop()


def test_without_a_network_the_copy_in_the_cache_is_used_with_a_warning(
    server: ModelServer, get: Fetcher, progress: Recorder
) -> None:
    server.publish("/m.tar.gz", MODEL, etag='"1"')
    folder = get(server.url + "/m.tar.gz")
    server.stop()
    assert get(server.url + "/m.tar.gz") == folder
    assert any("warning" in note and "copy in the cache" in note for note in progress.notes)
    with pytest.raises(StartError, match="can not be reached"):
        get(server.url + "/other.tar.gz")


def test_a_copy_that_was_tampered_with_is_downloaded_again(
    server: ModelServer, get: Fetcher
) -> None:
    server.publish("/m.pb", b"whole", etag='"1"')
    path = get(server.url + "/m.pb")
    path.write_bytes(b"half")
    assert get(server.url + "/m.pb").read_bytes() == b"whole"
    (path.parent.parent / "meta.json").write_bytes(b"{")
    assert get(server.url + "/m.pb").read_bytes() == b"whole"


def test_several_who_ask_at_once_share_one_download(
    server: ModelServer, tmp_path: Path, cache: Path
) -> None:
    server.publish("/m.pb", BIG, etag='"1"')
    bodies: list[bytes] = []
    recorders = [Recorder() for _ in range(6)]

    def run(recorder: Recorder) -> None:
        path = fetch(server.url + "/m.pb", base=tmp_path, cache=cache, progress=recorder,
                     settings=QUICK)  # fmt: skip
        bodies.append(path.read_bytes())

    threads = [threading.Thread(target=run, args=(one,)) for one in recorders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert bodies == [BIG] * 6
    assert sum("download m.pb" in one.titles for one in recorders) == 1


def test_a_process_killed_in_the_middle_leaves_nothing_that_is_used(
    server: ModelServer, tmp_path: Path, cache: Path, get: Fetcher
) -> None:
    half_sent, released = threading.Event(), threading.Event()
    server.publish("/m.pb", BIG, etag='"1"')
    good = server.replies["/m.pb"]

    def reply(handler: Handler) -> None:
        if server.count("/m.pb") > 1:
            good(handler)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BIG)))
        handler.end_headers()
        handler.wfile.write(BIG[:3_000_000])
        half_sent.set()
        released.wait(30)

    server.replies["/m.pb"] = reply
    program = (
        "import sys; from pathlib import Path\n"
        "from eas_processor.store import fetch\n"
        "from eas_processor.observe.progress import NoProgress\n"
        "fetch(sys.argv[1], base=Path('.'), cache=Path(sys.argv[2]), progress=NoProgress())"
    )
    child = subprocess.Popen([sys.executable, "-c", program, server.url + "/m.pb", str(cache)])
    try:
        assert half_sent.wait(30)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        released.set()
    assert get(server.url + "/m.pb").read_bytes() == BIG
    assert len(downloaded(cache)) == 2
