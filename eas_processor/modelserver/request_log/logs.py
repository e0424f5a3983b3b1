"""Which models are logged, and which of their requests."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping

import structlog

from eas_processor.errors import Code, ConfigError
from eas_processor.modelserver.configs import Logging
from eas_processor.modelserver.request_log.files import LogFiles
from eas_processor.modelserver.request_log.records import Exchanged
from eas_processor.modelserver.request_log.writer import Writer

CLOSE_TIMEOUT_S = 2.0
FILES = ("", "file", "tfrecord")  # types of a log_collector_config that mean what is done here

log = structlog.get_logger("request log")


def _check(folder: str) -> None:
    if not folder:
        return
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(f"--request_log_dir: {folder} cannot be made: {why}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"--request_log_dir: {folder} cannot be written")


class RequestLogs:
    """folder: where all logs are, in files and folders of their `filename_prefix`; "" for none.

    Nothing that a configuration says leads out of it: who may reload one may not write anywhere.
    """

    def __init__(self, folder: str) -> None:
        """Raises ConfigError if nothing can be written there. Blocking."""
        _check(folder)
        self._folder = os.path.abspath(folder) if folder else ""
        self._logged: dict[str, Logging] = {}
        self._writers: dict[str, Writer] = {}
        self._counts: Counter[tuple[str, Code]] = Counter()
        self._counting = threading.Lock()

    def follow(self, wanted: Mapping[str, Logging]) -> None:
        """Log these models so from now on; cheap where nothing has changed."""
        if wanted == self._logged:
            return
        for name in [name for name in self._logged if self._logged[name] != wanted.get(name)]:
            writer = self._writers.pop(name, None)
            if writer is not None:
                writer.end()
        for name, logging in wanted.items():
            if logging != self._logged.get(name):
                self._begin(name, logging)
        self._logged = dict(wanted)

    def grpc(self, name: str, version: int, method: str, request: bytes, response: bytes) -> None:
        """Tell of a gRPC method's exchange: both messages as they crossed the network."""
        writer = self._sampling(name)
        if writer is not None:
            writer.offer(Exchanged(version, method, int(time.time()), request, response))

    def rest(self, name: str, version: int, method: str, request: bytes, outputs: bytes) -> None:
        """Tell of predict, classify or regress: the PredictRequest made of it, and the outputs."""
        self.grpc(name, version, method.lower(), request, outputs)

    def counts(self) -> Counter[tuple[str, str]]:
        """How many records came to what: {(model, code's name): records}."""
        with self._counting:
            counts = self._counts.items()
            return Counter({(name, code.name): count for (name, code), count in counts})

    def close(self) -> None:
        """Write what is left, waiting for it no longer than CLOSE_TIMEOUT_S. Blocking."""
        writers, self._writers, self._logged = list(self._writers.values()), {}, {}
        end_s = time.monotonic() + CLOSE_TIMEOUT_S
        for writer in writers:
            writer.end()
        for writer in writers:
            writer.join(max(0.0, end_s - time.monotonic()))

    def _sampling(self, name: str) -> Writer | None:
        """The writer for this request of a model; None if it is not to be logged."""
        writer = self._writers.get(name)
        if writer is None or random.random() >= writer.sampling_rate:
            return None
        return writer

    def _begin(self, name: str, logging: Logging) -> None:
        if not logging.sampling_rate:
            return
        prefix = self._prefix(name, logging)
        if prefix is None:
            return
        if logging.kind.lower() not in FILES:
            log.warning("unknown log_collector_config.type: files", model=name, type=logging.kind)

        def count(code: Code, records: int) -> None:
            with self._counting:
                self._counts[name, code] += records

        self._writers[name] = Writer(name, logging.sampling_rate, LogFiles(prefix), count)
        log.info("requests are logged", model=name, files=f"{prefix}-*", rate=logging.sampling_rate)

    def _prefix(self, name: str, logging: Logging) -> str | None:
        if not self._folder:
            log.warning("logging_config has no effect without --request_log_dir", model=name)
            return None
        given = logging.filename_prefix or name
        if given.endswith("/"):
            given += name
        for part in (given, given.lstrip("/")):  # an absolute one may lead into the folder as it is
            path = os.path.normpath(os.path.join(self._folder, part))
            if path.startswith(self._folder.rstrip("/") + "/"):
                return path
        log.error("filename_prefix leads out of --request_log_dir", model=name, prefix=given)
        return None
