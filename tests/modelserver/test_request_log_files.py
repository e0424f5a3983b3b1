"""The files of a request log: rotation, and what a slow, a full or a dying disk does."""

import errno
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from eas_processor.codec import serving, tfrecord
from eas_processor.errors import Code, ServingError
from eas_processor.modelserver.request_log import RequestLogs, writer
from eas_processor.modelserver.request_log.files import LogFiles
from tests.modelserver.logged_requests import WAIT_S, logged, paths, read, records


def test_files_are_begun_anew_when_full_and_sort_by_time(tmp_path: Path) -> None:
    log = LogFiles(str(tmp_path / "m"), bytes_max=100)
    for number in range(10):
        log.append(b"%d" % number * 40)
    log.append(b"X" * 500)  # larger than a file may be: it has one to itself
    log.append(b"last")
    log.close()
    content = [path.read_bytes() for path in paths(tmp_path)]
    assert content[:2] == [b"0" * 40 + b"1" * 40, b"2" * 40 + b"3" * 40]
    assert content[5:] == [b"X" * 500, b"last"]
    assert all(path.stat().st_mode & 0o777 <= 0o640 for path in paths(tmp_path))


def test_a_file_that_is_taken_away_is_not_written_on(tmp_path: Path) -> None:
    log = LogFiles(str(tmp_path / "m"))
    log.append(b"first")
    (path,) = paths(tmp_path)
    path.rename(tmp_path / "taken")
    log.append(b"second")
    log.close()
    assert (tmp_path / "taken").read_bytes() == b"first"
    assert [path.read_bytes() for path in paths(tmp_path)] == [b"second"]


# when the disk does not do its part


class Stalled(LogFiles):
    """A disk that takes nothing until it is let."""

    let = threading.Event()
    came = threading.Event()

    def append(self, data: bytes) -> None:
        self.came.set()
        assert self.let.wait(WAIT_S)
        super().append(data)


def test_a_stalled_disk_holds_nobody_up_and_what_is_left_out_is_counted(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(writer, "WAITING_BYTES_MAX", 1000)
    monkeypatch.setattr("eas_processor.modelserver.request_log.logs.LogFiles", Stalled)
    logs = RequestLogs(str(tmp_path))
    logs.follow(logged())
    body = b"\xfa\x07\x61" + bytes(97)  # a field of 100 bytes, whatever it means
    logs.grpc("m", 0, "Predict", body, b"")
    assert Stalled.came.wait(WAIT_S)
    for number in range(1, 50):
        logs.grpc("m", number, "Predict", body, b"")
    assert logs.counts() == {("m", "RESOURCE_EXHAUSTED"): 40}
    Stalled.let.set()
    logs.close()
    assert [log.log_metadata.model_spec.version.value for log in records(tmp_path)] == [*range(10)]
    assert logs.counts() == {("m", "RESOURCE_EXHAUSTED"): 40, ("m", "OK"): 10}


def test_a_request_larger_than_all_that_may_wait_is_taken_by_itself(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(writer, "WAITING_BYTES_MAX", 1000)
    logs = RequestLogs(str(tmp_path))
    logs.follow(logged())
    body = serving.message("PredictRequest")()
    body.inputs["x"].tensor_content = bytes(5000)
    logs.grpc("m", 1, "Predict", body.SerializeToString(), b"")
    logs.close()
    assert logs.counts() == {("m", "OK"): 1}


def test_a_disk_that_refuses_is_counted_and_is_tried_again(
    tmp_path: Path, monkeypatch: Any
) -> None:
    logs = RequestLogs(str(tmp_path / "logs"))
    (tmp_path / "logs").rmdir()
    (tmp_path / "logs").write_text("a file where the folder should be")
    logs.follow(logged())
    logs.grpc("m", 1, "Predict", b"", b"")
    end_s = time.monotonic() + WAIT_S
    while logs.counts() != {("m", "UNAVAILABLE"): 1}:
        assert time.monotonic() < end_s
        time.sleep(0.01)
    (tmp_path / "logs").unlink()
    logs.grpc("m", 2, "Predict", b"", b"")
    logs.close()
    assert [log.log_metadata.model_spec.version.value for log in records(tmp_path)] == [2]


FULL = """
import resource, sys
from eas_processor.modelserver.request_log.files import LogFiles
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log = LogFiles(sys.argv[1])
for _ in range(5):
    try:
        log.append(b"a" * 300)
    except OSError as error:
        print(error.errno)
log.close()
"""


def test_a_write_that_fails_half_way_leaves_no_half_behind(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "m")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout.split() == [str(errno.EFBIG)]  # the fourth: 900 bytes are there
    assert [path.stat().st_size for path in paths(tmp_path)] == [900, 300]


ENDLESS = """
import sys
from eas_processor.modelserver.configs import Logging
from eas_processor.modelserver.request_log import RequestLogs
logs = RequestLogs(sys.argv[1])
logs.follow({"m": Logging(sampling_rate=1.0)})
while True:
    logs.grpc("m", 1, "Predict", b"\\xfa\\x07\\xe8\\x07" + bytes(1000), b"")
"""


def test_an_end_in_the_middle_cuts_the_last_record_at_most(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)])
    try:
        end_s = time.monotonic() + WAIT_S
        while sum(path.stat().st_size for path in paths(tmp_path)) < 20_000_000:
            assert time.monotonic() < end_s and process.poll() is None
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(WAIT_S)
    *whole, last = paths(tmp_path)
    for path in whole:
        assert sum(1 for _ in read(path))
    kept = 0
    try:
        for record in read(last):
            kept += len(tfrecord.encode(record))
    except ServingError as error:
        assert error.code == Code.DATA_LOSS
    assert last.stat().st_size - kept < 1100
