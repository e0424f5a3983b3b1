"""Counters of the hot path, and their Prometheus face. The only importer of prometheus_client.

A request costs two dictionary steps here; all formatting happens when somebody scrapes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as render_openmetrics
from prometheus_client.registry import CollectorRegistry

BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()

Gauge = tuple[str, str, Callable[[], Iterable[tuple[dict[str, str], float]]]]


class Histogram:
    """Durations in fixed buckets."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus buckets."""
        total, rows = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows


class Metrics:
    """What one host counts. `gauges` are asked for at each scrape: (name, help, rows)."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges
        self._requests: dict[tuple[str, int], int] = {}
        self._request_s: dict[str, Histogram] = {}
        self._run_s: dict[str, Histogram] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def observe(self, service: str, status: int, started_s: float, run_us: int) -> None:
        """Count one answered request. service: "" if it named none that is known."""
        key = (service, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        whole = self._request_s.get(service)
        if whole is None:
            whole = self._request_s[service] = Histogram()
            self._run_s[service] = Histogram()
        whole.add(time.monotonic() - started_s)
        if run_us:
            self._run_s[service].add(run_us / 1e6)

    def render(self) -> bytes:
        """The page a scraper reads."""
        page: bytes = render_openmetrics(self._registry)
        return page

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client."""
        requests = CounterMetricFamily(
            "eas_requests", "Answered requests", labels=("service", "dialect", "code")
        )
        for (service, status), count in sorted(self._requests.items()):
            requests.add_metric((service, "eas", str(status)), count)
        yield requests
        yield _histogram(
            "eas_request_seconds", "From a request's first byte to its answer", self._request_s
        )
        yield _histogram("eas_run_seconds", "Time inside the processor", self._run_s)
        for name, words, rows in self._gauges:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family: Metric | None = None
            for labels, value in rows():
                if family is None:
                    family = kind(name, words, labels=tuple(labels))
                family.add_metric(tuple(labels.values()), value)  # type: ignore[attr-defined]
            if family is not None:
                yield family


def _histogram(name: str, words: str, parts: dict[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, words, labels=("service",))
    for service, part in sorted(parts.items()):
        family.add_metric((service,), part.cumulative(), part.total_s)
    return family
