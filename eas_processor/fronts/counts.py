"""What fronts have counted, on its way to the one page of the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from eas_processor.fronts import messages
from eas_processor.fronts.messages import SeriesCounts
from eas_processor.observe.series import Dialect, Key, Series, Times


def packed(all_series: Iterable[Series]) -> list[SeriesCounts]:
    """Series as they travel."""
    return [
        SeriesCounts(
            series.key.service,
            series.key.version,
            series.key.dialect.name,
            series.key.method,
            series.key.signature,
            {code: _times(times) for code, times in series.whole.items()},
            _times(series.queue),
            _times(series.wire),
            _times(series.run),
            dict(series.batches),
            dict(series.example_counts),
        )
        for series in all_series
    ]


def unpacked(counts: Iterable[SeriesCounts], dialects: dict[str, Dialect]) -> Iterator[Series]:
    """The other way; what is not of these dialects is left out."""
    for one in counts:
        dialect = dialects.get(one.dialect)
        if dialect is None:
            continue
        series = Series(Key(one.service, one.version, dialect, one.method, one.signature))
        series.whole = {code: _read(times) for code, times in one.whole.items()}
        series.queue, series.wire, series.run = map(_read, (one.queue, one.wire, one.run))
        series.batches.update(one.batches)
        series.example_counts.update(one.example_counts)
        yield series


def _times(times: Times) -> messages.Times:
    return messages.Times(list(times.counts), times.seconds)


def _read(sent: messages.Times) -> Times:
    times = Times()
    times.counts, times.seconds = sent.counts, sent.seconds
    return times
