"""The benchmark's arithmetic: medians, ratios of the same round, verdicts."""

from benchmarks import report
from benchmarks.results import Results, Sample

OURS = ("softmax", "ours", 64)
FASTAPI = ("softmax", "fastapi", 64)


def sample(rate: float, p50_us: float = 100.0, errors: int = 0) -> Sample:
    return Sample(rate=rate, p50_us=p50_us, p99_us=2 * p50_us, errors=errors)


def run_of(ours: list[float], fastapi: list[float]) -> Results:
    results = Results()
    for one, other in zip(ours, fastapi, strict=True):
        results.add(OURS, sample(one))
        results.add(FASTAPI, sample(other))
    return results


def goal_line(results: Results) -> dict[str, object]:
    return report.judge(results)[0]


def test_a_median_is_of_the_rounds_and_errors_are_summed() -> None:
    results = Results()
    for rate, errors in ((10.0, 0), (30.0, 2), (20.0, 1)):
        results.add(OURS, sample(rate, errors=errors))
    assert results.median(OURS) == Sample(rate=20.0, p50_us=100.0, p99_us=200.0, errors=3)


def test_a_ratio_is_taken_inside_each_round_so_that_drift_falls_out() -> None:
    line = goal_line(run_of(ours=[2000, 20000, 200], fastapi=[100, 1000, 10]))
    assert line["rounds"] == [20, 20, 20]
    assert line["verdict"] == "met"


def test_a_goal_is_not_met_when_the_median_ratio_is_under_it() -> None:
    line = goal_line(run_of(ours=[1790, 1790, 9000], fastapi=[100, 100, 100]))
    assert line["median"] == 17.9
    assert line["verdict"] == "NOT met"


def test_an_upper_goal_is_met_from_below() -> None:
    results = Results()
    for contender, connections, p50_us in (("ours", 1, 160), ("echo", 1, 30), ("bare", 0, 25)):
        results.add(("softmax", contender, connections), sample(1.0, p50_us))
    line = report.judge(results)[1]
    assert line["median"] == 105
    assert line["verdict"] == "NOT met"


def test_what_was_left_out_is_said_not_to_be_measured() -> None:
    results = Results()
    results.add(OURS, sample(1.0))
    assert goal_line(results)["verdict"] == "not measured"
    assert "not measured" in report.text([], results)
