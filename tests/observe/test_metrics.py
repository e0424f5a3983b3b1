"""Counting requests, and the pages: read back with the reference parsers of both formats."""

import random
from collections import Counter

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from eas_processor.errors import Code
from eas_processor.observe import metrics as metrics_module
from eas_processor.observe.metrics import Dialect, Metrics
from eas_processor.observe.report import RESTART_REASONS, STATES
from eas_processor.observe.series import BOUNDS_S
from eas_processor.serving.lifecycle import State
from tests.observe.exchanges import service, version

EAS = Dialect("eas", {Code.OK: 200, Code.INVALID_ARGUMENT: 400, Code.OUT_OF_RANGE: 400,
                      Code.RATE_LIMITED: 429, Code.QUEUE_FULL: 450})  # fmt: skip
GRPC = Dialect("grpc", {Code.OK: "OK", Code.NOT_FOUND: "NOT_FOUND"})

READERS = {
    b"": read_text,
    b"text/plain;version=0.0.4;q=0.5": read_text,
    b"application/openmetrics-text;version=1.0.0,text/plain;q=0.5": read_openmetrics,
}


def new(*reports, connections=()):
    return Metrics(lambda: list(reports), lambda: dict(connections))


def samples(metrics, accept=b""):
    """{(name, labels): value} of the whole page, as the parser for `accept` understands it."""
    _, page = metrics.page(accept)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in READERS[accept](page.decode())
        for sample in family.samples
    }


def value(metrics, name, accept=b"", **labels):
    return samples(metrics, accept).get((name, frozenset(labels.items())))


@pytest.mark.parametrize("accept", READERS)
def test_both_formats_tell_the_same_numbers(accept):
    metrics = new(service(), connections={"http": 2, "grpc": 1})
    series = metrics.series("mnist", "3", EAS)
    for _ in range(7):
        series.observe(Code.OK, 0.004, 0.001, 2000, 1)
    mnist = {"service": "mnist", "version": "3", "dialect": "eas"}

    assert value(metrics, "eas_requests_total", accept, **mnist, code="200") == 7
    assert value(metrics, "eas_request_seconds_count", accept, **mnist, code="200") == 7
    assert value(metrics, "eas_run_seconds_sum", accept, **mnist) == pytest.approx(0.014)
    assert value(metrics, "eas_queue_seconds_sum", accept, **mnist) == pytest.approx(0.007)
    assert value(metrics, "eas_wire_seconds_sum", accept, **mnist) == pytest.approx(0.007)
    assert value(metrics, "eas_connections", accept, listener="grpc") == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (b"", b"text/plain; version=0.0.4"),
        (b"*/*", b"text/plain; version=0.0.4"),
        (b"application/openmetrics-text", b"application/openmetrics-text; version=1.0.0"),
    ],
)
def test_a_scraper_gets_the_format_it_asks_for(accept, content_type):
    answered, page = new(service()).page(accept)

    assert answered.startswith(content_type)
    assert page.endswith(b"\n")
    assert (b"# EOF\n" in page) == (b"openmetrics" in content_type)


def test_every_bucket_holds_exactly_the_times_up_to_its_bound():
    chance = random.Random(5)
    times = [10 ** chance.uniform(-5.5, 2) for _ in range(2000)] + list(BOUNDS_S)
    metrics = new()
    series = metrics.series("mnist", "1", EAS)
    for seconds in times:
        series.observe(Code.OK, seconds, 0.0, 0, 0)
    found = samples(metrics)

    for bound in (*BOUNDS_S, float("inf")):
        le = "+Inf" if bound == float("inf") else str(bound)
        labels = {"service": "mnist", "version": "1", "dialect": "eas", "code": "200", "le": le}
        key = ("eas_request_seconds_bucket", frozenset(labels.items()))
        assert found[key] == sum(seconds <= bound for seconds in times), le


def test_whole_time_is_queue_and_wire_and_run_together():
    chance = random.Random(6)
    metrics = new()
    series = metrics.series("mnist", "1", EAS)
    whole_s = 0.0
    for _ in range(500):
        queue_s, run_us = chance.random(), chance.randrange(1, 10**6)
        request_s = queue_s + run_us / 1e6 + chance.random()
        series.observe(Code.OK, request_s, queue_s, run_us, 1)
        whole_s += request_s
    labels = {"service": "mnist", "version": "1", "dialect": "eas"}
    parts = [value(metrics, f"eas_{part}_seconds_sum", **labels) for part in
             ("queue", "wire", "run")]  # fmt: skip

    assert sum(parts) == pytest.approx(whole_s)


def test_a_request_that_never_ran_is_counted_but_not_as_a_run():
    metrics = new()
    series = metrics.series("mnist", "1", EAS)
    series.observe(Code.QUEUE_FULL, 0.001, 0.0, 0, 0)  # refused at once
    series.observe(Code.DEADLINE_EXCEEDED, 5.0, 4.99, 0, 0)  # waited in vain
    names = Counter(name for name, _ in samples(metrics))
    labels = {"service": "mnist", "version": "1", "dialect": "eas"}

    assert value(metrics, "eas_requests_total", **labels, code="450") == 1
    assert value(metrics, "eas_queue_seconds_count", **labels) == 1
    assert not names["eas_run_seconds_count"] and not names["eas_wire_seconds_count"]
    assert not names["eas_batch_size_count"]


def test_a_run_of_less_than_a_microsecond_is_a_run():
    metrics = new()
    metrics.series("echo", "1", EAS).observe(Code.OK, 0.0001, 0.0, 0, 1)

    labels = {"service": "echo", "version": "1", "dialect": "eas"}
    assert value(metrics, "eas_run_seconds_count", **labels) == 1


def test_clocks_that_disagree_by_a_hair_give_no_negative_time():
    metrics = new()
    metrics.series("m", "1", EAS).observe(Code.OK, 0.001, 0.0, 1001, 1)

    labels = {"service": "m", "version": "1", "dialect": "eas"}
    assert value(metrics, "eas_wire_seconds_sum", **labels) == 0
    assert value(metrics, "eas_wire_seconds_count", **labels) == 1


def test_codes_that_clients_cannot_tell_apart_are_one_row():
    metrics = new()
    series = metrics.series("m", "1", EAS)
    series.observe(Code.INVALID_ARGUMENT, 0.01, 0.0, 0, 0)
    series.observe(Code.OUT_OF_RANGE, 0.02, 0.0, 0, 0)

    labels = {"service": "m", "version": "1", "dialect": "eas", "code": "400"}
    assert value(metrics, "eas_requests_total", **labels) == 2
    assert value(metrics, "eas_request_seconds_sum", **labels) == pytest.approx(0.03)


def test_batches_are_counted_by_run_whatever_dialects_met_in_them():
    metrics = new()
    by_eas, by_grpc = metrics.series("m", "1", EAS), metrics.series("m", "1", GRPC, "Predict")
    for _ in range(5):
        by_eas.observe(Code.OK, 0.01, 0.0, 900, 8)
    for _ in range(3):
        by_grpc.observe(Code.OK, 0.01, 0.0, 900, 8)  # with the five above: one run
    by_eas.observe(Code.OK, 0.01, 0.0, 900, 1)

    labels = {"service": "m", "version": "1"}
    assert value(metrics, "eas_batch_size_count", **labels) == 2
    assert value(metrics, "eas_batch_size_sum", **labels) == 9
    assert value(metrics, "eas_batch_size_bucket", **labels, le="4.0") == 1
    assert value(metrics, "eas_batch_size_bucket", **labels, le="8.0") == 2


def test_a_caller_who_left_does_not_lose_the_run_it_was_in():
    metrics = new()
    series = metrics.series("m", "1", EAS)
    for _ in range(7):  # the eighth is gone
        series.observe(Code.OK, 0.01, 0.0, 900, 8)

    assert value(metrics, "eas_batch_size_count", service="m", version="1") == 1


def test_methods_and_signatures_are_told_apart_and_empty_ones_left_out():
    metrics = new()
    metrics.series("m", "1", EAS).observe(Code.OK, 0.1, 0, 0, 0)
    metrics.series("m", "1", GRPC, "Predict", "serving_default").observe(Code.OK, 0.1, 0, 0, 0)
    rows = [dict(labels) for name, labels in samples(metrics) if name == "eas_requests_total"]

    assert {"service": "m", "version": "1", "dialect": "eas", "code": "200"} in rows
    assert {"service": "m", "version": "1", "dialect": "grpc", "method": "Predict",
            "signature": "serving_default", "code": "OK"} in rows  # fmt: skip


def test_the_same_requests_share_a_series():
    metrics = new()

    assert metrics.series("m", "1", EAS) is metrics.series("m", "1", EAS)
    assert metrics.series("m", "1", EAS) is not metrics.series("m", "2", EAS)


def test_however_many_names_come_the_page_stays_bounded(monkeypatch):
    monkeypatch.setattr(metrics_module, "SERIES_MAX", 20)
    metrics = new()
    for number in range(500):
        metrics.series("m", str(number), EAS).observe(Code.OK, 0.01, 0.0, 0, 0)
        metrics.series("m", str(number), GRPC).observe(Code.OK, 0.01, 0.0, 0, 0)
    rows = {dict(labels)["service"] + dict(labels)["dialect"]: count
            for (name, labels), count in samples(metrics).items()
            if name == "eas_requests_total"}  # fmt: skip

    assert len(metrics.all_series()) == 22
    assert rows["othereas"] == 490 and rows["othergrpc"] == 490


def test_what_versions_that_are_gone_have_counted_stays_with_their_service(monkeypatch):
    monkeypatch.setattr(metrics_module, "SERIES_MAX", 3)
    metrics = new()
    for number in range(5):
        metrics.series("m", str(number), EAS).observe(Code.OK, 0.01, 0.0, 0, 0)
        metrics.keep_only({"m": {number}, "n": ()})
    metrics.series("n", "1", EAS).observe(Code.OK, 0.01, 0.0, 0, 0)

    counted = {series.key[:2]: sum(series.whole[0].counts) for series in metrics.all_series()}
    assert counted == {("m", ""): 4, ("m", "4"): 1, ("n", "1"): 1}
    metrics.keep_only({"n": {1}})
    assert [series.key[:2] for series in metrics.all_series()] == [("n", "1")]


@pytest.mark.parametrize("accept", READERS)
def test_names_with_every_awkward_character_survive_the_page(accept):
    name = 'a "quoted"\\ back\\nslash\nnew line {x="1"} ü漢,='
    metrics = new(service(name))
    metrics.series(name, "1", EAS).observe(Code.OK, 0.01, 0.0, 0, 0)

    labels = {"service": name, "version": "1", "dialect": "eas", "code": "200"}
    assert value(metrics, "eas_requests_total", accept, **labels) == 1
    assert value(metrics, "eas_ready", accept, service=name) == 1


def test_rate_limited_requests_are_counted_by_service():
    metrics = new()
    metrics.series("m", "1", EAS).observe(Code.RATE_LIMITED, 0.001, 0.0, 0, 0)
    metrics.series("m", "2", GRPC).observe(Code.RATE_LIMITED, 0.001, 0.0, 0, 0)
    metrics.series("n", "1", EAS).observe(Code.OK, 0.001, 0.0, 0, 0)

    assert value(metrics, "eas_rate_limited_total", service="m") == 2
    assert value(metrics, "eas_rate_limited_total", service="n") == 0


def test_gauges_say_what_the_services_report_at_that_moment():
    report = service("m", version(3), version(4, state="warming", workers=[], restarts={}))
    metrics = new(report)
    three = {"service": "m", "version": "3"}

    assert value(metrics, "eas_queue_requests", **three) == 2
    assert value(metrics, "eas_queue_requests_max", **three) == 64
    assert value(metrics, "eas_in_flight_requests", **three) == 4
    assert value(metrics, "eas_workers_ready", **three) == 2
    assert value(metrics, "eas_worker_memory_bytes", **three, worker="0") == 500 << 20
    assert value(metrics, "eas_worker_memory_bytes", **three, worker="1") is None
    assert value(metrics, "eas_workers_ready", service="m", version="4") == 0
    report["versions"][0]["queue"] = 0
    assert value(metrics, "eas_queue_requests", **three) == 0


def test_a_version_is_in_exactly_one_state():
    found = samples(new(service("m", version(3, state="degraded"))))
    states = {dict(labels)["state"]: count for (name, labels), count in found.items()
              if name == "eas_version_state"}  # fmt: skip

    assert set(states) == set(STATES)
    assert [state for state, count in states.items() if count] == ["degraded"]


def test_restarts_are_there_before_the_first_so_that_a_rate_can_be_taken():
    found = samples(new(service("m", version(3, restarts={"memory": 2}))))
    restarts = {dict(labels)["reason"]: count for (name, labels), count in found.items()
                if name == "eas_worker_restarts_total"}  # fmt: skip

    assert restarts == {reason: 2.0 * (reason == "memory") for reason in RESTART_REASONS}


def test_the_states_are_those_that_a_version_can_be_in():
    assert set(STATES) == {state.name.lower() for state in State}
