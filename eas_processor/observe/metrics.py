"""What one host counts, and the page a scraper reads: `/metrics`.

A request costs one call of `Series.observe`; all adding up and all formatting happen when somebody
scrapes. What the services know of themselves is asked of them then, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from eas_processor.errors import Code
from eas_processor.observe import exposition, gauges
from eas_processor.observe.exposition import Family
from eas_processor.observe.report import ServiceReport
from eas_processor.observe.series import BOUNDS_S, Dialect, Key, Series, Times, places, runs

__all__ = ["Dialect", "Metrics", "Series"]

SERIES_MAX = 1000  # what comes later is counted together, as service "other"
OTHER = "other"
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_BOUNDS = [str(bound) for bound in BOUNDS_S]
_PLACES = places(BOUNDS_S)


class Metrics:
    """The counts of all requests, and whom to ask about the rest.

    reports: one for each service. connections: how many are open, by listener. Both are called at
    each scrape.
    """

    def __init__(
        self,
        reports: Callable[[], Iterable[ServiceReport]],
        connections: Callable[[], Mapping[str, int]],
    ) -> None:
        self._reports = reports
        self._connections = connections
        self._series: dict[Key, Series] = {}
        # Of the host's other processes, where it has some
        self.elsewhere: Callable[[], Iterable[Series]] = tuple
        self.processes: Callable[[], int] = lambda: 1
        # {(service, code's name): records}
        self.request_log_counts: Callable[[], Mapping[tuple[str, str], int]] = dict

    def series(
        self, service: str, version: str, dialect: Dialect, method: str = "", signature: str = ""
    ) -> Series:
        """Where such requests are counted: to be looked up once, and then kept.

        Texts must come from what the host serves, never from what a client made up.
        """
        key = Key(service, version, dialect, method, signature)
        series = self._series.get(key)
        if series is not None:
            return series
        if len(self._series) >= SERIES_MAX:
            key = Key(OTHER, "", dialect, "", "")
        return self._series.setdefault(key, Series(key))

    def keep_only(self, services: Mapping[str, Collection[int]]) -> None:
        """There are these services, with these versions: what others have counted moves on.

        Of a version that is gone it goes to its service, under no version, so that no sum over
        versions ever falls; of a service that is gone it is dropped.
        """
        for key, series in list(self._series.items()):
            if key.service not in services:
                if key.service not in ("", OTHER):
                    del self._series[key]
            elif key.version and int(key.version) not in services[key.service]:
                del self._series[key]
                of_service = key._replace(version="")
                self._series.setdefault(of_service, Series(of_service)).add(series)

    def all_series(self) -> list[Series]:
        """All there is, in all processes, sorted by service and version."""
        found: Iterable[Series] = self._series.values()
        elsewhere = list(self.elsewhere())
        if elsewhere:
            found = Series.merged([*found, *elsewhere])
        return sorted(found, key=lambda series: _sort_key(series.key))

    def page(self, accept: bytes) -> tuple[bytes, bytes]:
        """The page and, first, its content type. accept: what the scraper takes."""
        openmetrics = b"application/openmetrics-text" in accept
        content_type = exposition.OPENMETRICS if openmetrics else exposition.TEXT
        return content_type, exposition.render(self._families(), openmetrics)

    def _families(self) -> Iterator[Family]:
        series = self.all_series()
        yield from _of_requests(series)
        yield _of_request_logs(self.request_log_counts())
        yield from gauges.families(self._reports(), self._connections(), self.processes())


def _sort_key(key: Key) -> tuple[str, ...]:
    return (key.service, key.version, key.dialect.name, key.method, key.signature)


def _labels(key: Key) -> str:
    return exposition.labels(
        {
            "service": key.service,
            "version": key.version,
            "dialect": key.dialect.name,
            "method": key.method,
            "signature": key.signature,
        }
    )


def _of_requests(all_series: list[Series]) -> Iterator[Family]:
    counts: list[tuple[str, str, float]] = []
    whole: list[tuple[str, str, float]] = []
    parts: dict[str, list[tuple[str, str, float]]] = {"queue": [], "wire": [], "run": []}
    for series in all_series:
        written = _labels(series.key)
        for shown, times in _by_code(series):
            with_code = f'{written},code="{shown}"'
            counts.append(("", with_code, sum(times.counts)))
            whole.extend(_rows(with_code, times))
        for part, rows in parts.items():
            times = getattr(series, part)
            if any(times.counts):
                rows.extend(_rows(written, times))
    yield Family("eas_requests_total", "counter", "Requests answered", counts)
    words = "From a request's first byte to its answer"
    yield Family("eas_request_seconds", "histogram", words, whole)
    words = "Waiting for a worker"
    yield Family("eas_queue_seconds", "histogram", words, parts["queue"])
    words = "Neither waiting nor running: reading, crossing to the worker and back"
    yield Family("eas_wire_seconds", "histogram", words, parts["wire"])
    yield Family("eas_run_seconds", "histogram", "Inside the processor", parts["run"])
    words = "How many requests shared a run of the processor"
    yield Family("eas_batch_size", "histogram", words, _batches(all_series))
    words = "Requests refused because the service's rate limit was reached"
    yield Family("eas_rate_limited_total", "counter", words, _rate_limited(all_series))


def _of_request_logs(counts: Mapping[tuple[str, str], int]) -> Family:
    rows = [
        ("", exposition.labels({"service": service, "code": code}), count)
        for (service, code), count in sorted(counts.items())
    ]
    return Family("eas_request_log_records_total", "counter", "Requests sampled for a log", rows)


def _by_code(series: Series) -> list[tuple[str, Times]]:
    """Times by what the client saw, which several codes may share."""
    shown: dict[str, list[Times]] = {}
    for code, times in series.whole.items():
        shown.setdefault(str(series.key.dialect.shown.get(code, code)), []).append(times)
    return [(code, Times.joined(parts)) for code, parts in sorted(shown.items())]


def _rows(written: str, times: Times) -> list[tuple[str, str, float]]:
    return exposition.histogram(written, _BOUNDS, times.up_to(_PLACES), times.seconds)


def _batches(all_series: list[Series]) -> list[tuple[str, str, float]]:
    """By service and version: a run may hold requests of several dialects."""
    together: dict[tuple[str, str], list[Mapping[int, int]]] = {}
    for series in all_series:
        if series.batches:
            key = (series.key.service, series.key.version)
            together.setdefault(key, []).append(series.batches)
    rows: list[tuple[str, str, float]] = []
    bounds = [str(float(bound)) for bound in BATCH_BOUNDS]
    for (service, version), batches in together.items():
        sizes = runs(batches)
        counts = [sum(n for size, n in sizes.items() if size <= bound) for bound in BATCH_BOUNDS]
        total = sum(size * count for size, count in sizes.items())
        written = exposition.labels({"service": service, "version": version})
        rows.extend(exposition.histogram(written, bounds, [*counts, sum(sizes.values())], total))
    return rows


def _rate_limited(all_series: list[Series]) -> list[tuple[str, str, float]]:
    refused: dict[str, int] = {}
    for series in all_series:
        times = series.whole.get(Code.RATE_LIMITED)
        count = sum(times.counts) if times else 0
        refused[series.key.service] = refused.get(series.key.service, 0) + count
    return [
        ("", exposition.labels({"service": service}), count) for service, count in refused.items()
    ]
