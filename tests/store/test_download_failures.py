"""Downloads that go wrong: refused, cut short, damaged, endless, too large."""

import base64
import hashlib
import os
import threading
from pathlib import Path

import pytest
from conftest import QUICK, Fetcher, Recorder
from model_server import Handler, ModelServer, Reply
from msgspec.structs import replace

from eas_processor.errors import ConfigError, StartError

BIG = os.urandom(3_500_000)


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "there is no such file"), (403, "a signed link"), (401, "access denied"), (400, "400")],
)
def test_a_refusal_is_told_at_once_and_without_secrets(
    server: ModelServer, get: Fetcher, status: int, words: str
) -> None:
    server.replies["/m.tar.gz"] = lambda handler: handler.answer(status, b"no")
    with pytest.raises(ConfigError, match=words) as caught:
        get(server.url.replace("http://", "http://user:hush@") + "/m.tar.gz?Signature=hush")
    assert "hush" not in caught.value.message
    assert f"/m.tar.gz: the server answers {status}" in caught.value.message
    assert server.count("/m.tar.gz") == 1


def test_a_busy_server_is_asked_again(
    server: ModelServer, get: Fetcher, progress: Recorder
) -> None:
    server.publish("/m.pb", b"x")
    good = server.replies["/m.pb"]

    def reply(handler: Handler) -> None:
        if server.count("/m.pb") < 3:
            handler.answer(503, b"busy")
        else:
            good(handler)

    server.replies["/m.pb"] = reply
    assert get(server.url + "/m.pb").read_bytes() == b"x"
    assert "503; trying again" in progress.notes[0]


def test_a_server_that_stays_busy_is_given_up(server: ModelServer, get: Fetcher) -> None:
    server.replies["/m.pb"] = lambda handler: handler.answer(500, b"no")
    with pytest.raises(StartError, match="answers 500; check the network"):
        get(server.url + "/m.pb")
    assert server.count("/m.pb") == QUICK.attempts_max


def cut_at(size: int, body: bytes, **headers: str) -> Reply:
    def reply(handler: Handler) -> None:
        handler.send_response(200)
        for name, text in headers.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:size])
        handler.close_connection = True

    return reply


def test_a_download_that_is_cut_short_is_never_used(
    server: ModelServer, get: Fetcher, cache: Path
) -> None:
    server.replies["/m.pb"] = cut_at(1000, BIG)
    with pytest.raises(StartError, match="cut short, 1000 of 3500000 bytes"):
        get(server.url + "/m.pb")
    assert server.count("/m.pb") == QUICK.attempts_max
    assert not list(cache.glob("downloads/*/*"))


def test_a_download_that_is_cut_short_goes_on_where_it_stopped(
    server: ModelServer, get: Fetcher
) -> None:
    server.publish("/m.pb", BIG, etag='"v1"')
    good = server.replies["/m.pb"]
    broken = cut_at(2_000_000, BIG, ETag='"v1"', Accept_Ranges="bytes")

    def reply(handler: Handler) -> None:
        (good if server.count("/m.pb") > 1 else broken)(handler)

    server.replies["/m.pb"] = reply
    assert get(server.url + "/m.pb").read_bytes() == BIG
    assert server.requests[1][1]["Range"] == "bytes=2000000-"
    assert server.requests[1][1]["If-Range"] == '"v1"'


def test_a_file_that_changes_in_the_middle_is_not_glued_together(
    server: ModelServer, get: Fetcher
) -> None:
    other = os.urandom(len(BIG))
    server.publish("/m.pb", other, etag='"v2"')
    good = server.replies["/m.pb"]
    broken = cut_at(2_000_000, BIG, ETag='"v1"', Accept_Ranges="bytes")

    def reply(handler: Handler) -> None:
        (good if server.count("/m.pb") > 1 else broken)(handler)

    server.replies["/m.pb"] = reply
    assert get(server.url + "/m.pb").read_bytes() == other


def test_a_server_that_resumes_at_another_place_is_not_believed(
    server: ModelServer, get: Fetcher
) -> None:
    server.publish("/m.pb", BIG, etag='"v1"')
    good = server.replies["/m.pb"]
    broken = cut_at(2_000_000, BIG, ETag='"v1"', Accept_Ranges="bytes")

    def reply(handler: Handler) -> None:
        if "Range" in handler.headers:
            part = f"bytes 1000000-{len(BIG) - 1}/{len(BIG)}"
            handler.answer(206, BIG[2_000_000:], Content_Range=part, ETag='"v1"')
        else:
            (good if server.count("/m.pb") > 1 else broken)(handler)

    server.replies["/m.pb"] = reply
    assert get(server.url + "/m.pb").read_bytes() == BIG
    assert server.count("/m.pb") == 3


def test_a_chunked_download_that_breaks_off_is_noticed(server: ModelServer, get: Fetcher) -> None:
    def reply(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nhello\r\n")
        handler.close_connection = True

    server.replies["/m.pb"] = reply
    with pytest.raises(StartError, match="ended too early"):
        get(server.url + "/m.pb")


def test_a_body_that_does_not_match_its_checksum_is_fetched_again(
    server: ModelServer, get: Fetcher
) -> None:
    wanted = base64.b64encode(hashlib.md5(b"good").digest()).decode()

    def reply(handler: Handler) -> None:
        body = b"good" if server.count("/m.pb") > 1 else b"evil"
        handler.answer(200, body, Content_MD5=wanted)

    server.replies["/m.pb"] = reply
    assert get(server.url + "/m.pb").read_bytes() == b"good"


def test_a_server_that_falls_silent_is_not_waited_for(server: ModelServer, get: Fetcher) -> None:
    released = threading.Event()

    def reply(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.wfile.flush()
        released.wait(20)

    server.replies["/m.pb"] = reply
    try:
        with pytest.raises(StartError, match=r"the connection broke \(it fell silent\)"):
            get(
                server.url + "/m.pb",
                replace(QUICK, connect_timeout_s=60, read_timeout_s=0.2, attempts_max=2),
            )
    finally:
        released.set()


def test_a_server_that_drips_for_ever_is_stopped_by_the_clock(
    server: ModelServer, get: Fetcher
) -> None:
    stop = threading.Event()

    def reply(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x")
            if stop.wait(0.02):
                return

    server.replies["/m.pb"] = reply
    try:
        with pytest.raises(StartError, match=r"not done in 0\.5 s"):
            get(server.url + "/m.pb", replace(QUICK, download_timeout_s=0.5))
    finally:
        stop.set()


@pytest.mark.parametrize("says_so", [True, False])
def test_a_download_that_is_too_large_is_refused(
    server: ModelServer, get: Fetcher, says_so: bool
) -> None:
    def reply(handler: Handler) -> None:
        handler.send_response(200)
        if says_so:
            handler.send_header("Content-Length", str(len(BIG)))
        handler.end_headers()
        handler.wfile.write(BIG)
        handler.close_connection = True

    server.replies["/m.pb"] = reply
    with pytest.raises(ConfigError, match="larger than 1000 bytes"):
        get(server.url + "/m.pb", replace(QUICK, download_bytes_max=1000))


def test_an_error_page_in_place_of_an_archive_is_named(server: ModelServer, get: Fetcher) -> None:
    server.publish("/m.tar.gz", b"<html>please log in</html>")
    with pytest.raises(ConfigError, match="web page or an error page"):
        get(server.url + "/m.tar.gz")


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1/m", "http://host:port/m", "http://a\nb/m", "http:///m"]
)
def test_a_url_that_is_none_is_a_mistake_of_the_user(get: Fetcher, url: str) -> None:
    with pytest.raises(ConfigError):
        get(url)
