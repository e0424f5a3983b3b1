"""The access log: what a line tells, what it never tells, and that it holds nobody up."""

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
import structlog.testing

from eas_processor.errors import ConfigError
from eas_processor.observe import access
from eas_processor.observe.access import AccessLog
from tests.observe.exchanges import TRACE_ID, exchange


def written(path, *exchanges, **settings):
    log = AccessLog(str(path), **settings)
    for each in exchanges:
        log.write(each)
    log.close()
    return path.read_text().splitlines()


def test_a_line_tells_all_that_is_known_of_a_request(tmp_path):
    (line,) = written(tmp_path / "access", exchange())
    fields = json.loads(line)
    stamp = fields.pop("time")

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert fields == {
        "method": "POST",
        "path": "/api/predict/mnist",
        "status": 200,
        "ms": 50.0,
        "bytes_in": 3165,
        "bytes_out": 66,
        "queue_ms": 20.0,
        "run_ms": 10.0,
        "client": "10.1.2.3",
        "service": "mnist",
        "version": "3",
        "dialect": "eas",
        "request_id": "r-17",
        "trace_id": TRACE_ID,
    }


def test_the_time_is_when_the_request_began(tmp_path):
    started_s = time.monotonic() - 60
    (line,) = written(tmp_path / "access", exchange(started_s=started_s, ended_s=started_s + 1))
    stamp = datetime.fromisoformat(json.loads(line)["time"]).timestamp()

    assert stamp == pytest.approx(time.time() - 60, abs=10)


def test_what_is_not_known_is_left_out(tmp_path):
    bare = exchange(service="", version="", dialect="", request_id="", traceparent="nonsense")
    (line,) = written(tmp_path / "access", bare)

    assert not {"service", "version", "dialect", "request_id", "trace_id"} & set(json.loads(line))


def test_a_query_is_never_written_for_it_may_hold_a_token(tmp_path):
    (line,) = written(tmp_path / "access", exchange(path="/api/predict/mnist?token=s3cret"))

    assert "s3cret" not in line
    assert json.loads(line)["path"] == "/api/predict/mnist"


def test_what_a_client_chose_is_cut_and_cannot_begin_a_line(tmp_path):
    nasty = exchange(path="/" + "x" * 9000, request_id='a\n{"status":200}\x1b[2J"')
    (line,) = written(tmp_path / "json", nasty)
    (text,) = written(tmp_path / "text", nasty, style="text")

    assert json.loads(line)["request_id"] == nasty.request_id
    assert len(line) < 1000 and len(text) < 1000
    assert "\x1b" not in line and "\x1b" not in text


def test_on_a_terminal_a_line_is_readable(tmp_path):
    (line,) = written(tmp_path / "access", exchange(status="OK"), style="text")

    words = r"\d\d:\d\d:\d\d\.\d{3} POST /api/predict/mnist OK 50\.0 ms, 3165 B in, 66 B out "
    assert re.match(words, line)
    assert "service=mnist version=3" in line


def test_a_sample_is_about_as_large_as_asked(tmp_path):
    lines = written(tmp_path / "access", *[exchange()] * 4000, sample=0.25)
    none = written(tmp_path / "none", *[exchange()] * 100, sample=0.0)

    assert 800 < len(lines) < 1200  # six standard deviations either way
    assert none == []


def test_lines_come_in_the_order_in_which_requests_ended(tmp_path):
    path = tmp_path / "access"
    log = AccessLog(str(path))
    for number in range(3000):
        log.write(exchange(request_id=str(number)))
        if number % 100 == 0:
            log.tick()
    log.close()
    ids = [json.loads(line)["request_id"] for line in path.read_text().splitlines()]

    assert ids == [str(number) for number in range(3000)]


def test_a_log_that_was_there_is_continued(tmp_path):
    path = tmp_path / "access"
    written(path, exchange())

    assert len(written(path, exchange())) == 2


def test_after_it_was_moved_away_the_log_goes_on_in_a_new_file(tmp_path):
    path, rotated = tmp_path / "access", tmp_path / "access.1"
    first = AccessLog(str(path))
    first.write(exchange(request_id="before"))
    first.tick()
    _until_written(first)
    path.rename(rotated)
    first.write(exchange(request_id="after"))
    first.close()

    assert [json.loads(line)["request_id"] for line in rotated.read_text().splitlines()] == [
        "before"
    ]
    assert [json.loads(line)["request_id"] for line in path.read_text().splitlines()] == ["after"]


def test_only_its_owner_and_group_can_read_it(tmp_path):
    written(tmp_path / "access", exchange())

    assert not (tmp_path / "access").stat().st_mode & 0o007


def test_a_dash_means_standard_error(capfd):
    log = AccessLog("-", style="json")
    log.write(exchange())
    log.close()

    assert json.loads(capfd.readouterr().err)["path"] == "/api/predict/mnist"


def test_a_file_that_cannot_be_opened_is_said_in_words(tmp_path):
    with pytest.raises(ConfigError, match=r"access log: .*nowhere.* No such file or directory"):
        AccessLog(str(tmp_path / "nowhere" / "access"))


def test_a_reader_that_has_stopped_costs_lines_but_holds_up_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(access, "WAITING_BYTES_MAX", 300_000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(pipe))
    for number in range(5000):  # over a megabyte, far more than a pipe takes
        log.write(exchange(request_id=str(number)))
        log.tick()
    os.set_blocking(reader, True)
    with ThreadPoolExecutor(1) as aside, structlog.testing.capture_logs() as said:
        everything = aside.submit(_read_to_end, reader)
        _until_written(log)
        log.tick()
        log.close()
        lines = everything.result(10).splitlines()
    os.close(reader)
    ids = [int(json.loads(line)["request_id"]) for line in lines]  # each line is whole
    (warning,) = said

    assert ids == sorted(set(ids))
    assert warning["event"] == "access log was too slow: lines dropped"
    assert warning["lines"] == 5000 - len(ids) > 0


def _read_to_end(reader):
    with open(reader, closefd=False) as file:
        return file.read()


def _until_written(log):
    """Wait until the thread has written all that was handed on."""
    while log._waiting_bytes:
        log._waiting_bytes -= log._written.get(timeout=10)


def test_stamps_follow_a_clock_that_is_set(monkeypatch):
    clock, real = access._Clock(local=False), time.time
    before = datetime.fromisoformat(clock.stamp(time.monotonic()))
    monkeypatch.setattr(access.time, "time", lambda: real() + 7200)
    after = datetime.fromisoformat(clock.stamp(time.monotonic() + access.CLOCK_LOOK_S))
    assert 7190 < (after - before).total_seconds() < 7260
