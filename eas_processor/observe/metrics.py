"""Counters of the hot path, and their Prometheus face. The only importer of prometheus_client.

A request costs two dictionary steps here; all formatting happens when somebody scrapes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

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


class Series:
    """What is counted of the requests of one service with one status."""

    __slots__ = ("count", "request_counts", "request_s", "run_counts", "run_s")

    def __init__(self) -> None:
        self.count = 0
        self.request_counts = [0] * (len(BUCKETS_S) + 1)
        self.request_s = 0.0
        self.run_counts = [0] * (len(BUCKETS_S) + 1)
        self.run_s = 0.0


class Metrics:
    """What one host counts. `gauges` are asked for at each scrape: (name, help, rows)."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges
        self._series: dict[tuple[str, int], Series] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def observe(self, service: str, status: int, started_s: float, run_us: int) -> None:
        """Count one answered request. service: "" if it named none that is known."""
        series = self._series.get((service, status))
        if series is None:
            series = self._series[service, status] = Series()
        seconds = time.monotonic() - started_s
        series.count += 1
        series.request_s += seconds
        series.request_counts[bisect_left(BUCKETS_S, seconds)] += 1
        if run_us:
            seconds = run_us / 1e6
            series.run_s += seconds
            series.run_counts[bisect_left(BUCKETS_S, seconds)] += 1

    def render(self) -> bytes:
        """The page a scraper reads."""
        page: bytes = render_openmetrics(self._registry)
        return page

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client."""
        names = ("service", "dialect", "code")
        counts = CounterMetricFamily("eas_requests", "Answered requests", labels=names)
        whole = HistogramMetricFamily(
            "eas_request_seconds", "From a request's first byte to its answer", labels=names
        )
        run = HistogramMetricFamily("eas_run_seconds", "Time inside the processor", labels=names)
        for (service, status), series in sorted(self._series.items()):
            values = (service, "eas", str(status))
            counts.add_metric(values, series.count)
            whole.add_metric(values, _cumulative(series.request_counts), series.request_s)
            run.add_metric(values, _cumulative(series.run_counts), series.run_s)
        yield from (counts, whole, run)
        for name, words, rows in self._gauges:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family: Metric | None = None
            for labels, value in rows():
                if family is None:
                    family = kind(name, words, labels=tuple(labels))
                family.add_metric(tuple(labels.values()), value)  # type: ignore[attr-defined]
            if family is not None:
                yield family


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    """Prometheus buckets: each holds those before it."""
    bounds = (*map(str, BUCKETS_S), "+Inf")
    return list(zip(bounds, map(float, accumulate(counts)), strict=True))
