"""The table, the ratios and the goals, from the samples."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.contenders import CONTENDERS
from benchmarks.models import Model
from benchmarks.results import NO_CONNECTIONS, Cell, Results, Sample

TABLE_HEAD = f"{'':46}{'connections':>12}{'per s':>10}{'p50':>11}{'p99':>11}{'errors':>8}"


@dataclass(frozen=True)
class Figure:
    """Something computed from several cells of the same round."""

    words: str
    cells: list[Cell]
    combine: Callable[..., float]
    unit: str
    goal: float | None = None  # None: shown, not judged
    at_most: bool = False  # else at least


def _ratio(ours: Sample, other: Sample) -> float:
    return ours.rate / other.rate if other.rate else float("inf")


def _own_us(ours: Sample, echo: Sample, bare: Sample) -> float:
    return ours.p50_us - echo.p50_us - bare.p50_us


def _cell(model: str, contender: str, connections: int = NO_CONNECTIONS) -> Cell:
    return (model, contender, connections)


FIGURES = [
    Figure(
        "softmax, 64 connections: eas-processor over FastAPI, one worker",
        [_cell("softmax", "ours", 64), _cell("softmax", "fastapi", 64)],
        _ratio,
        "x",
        goal=18,
    ),
    Figure(
        "softmax, lone request: median over the echo host's and the model's own",
        [_cell("softmax", "ours", 1), _cell("softmax", "echo", 1), _cell("softmax", "bare")],
        _own_us,
        "us",
        goal=100,
        at_most=True,
    ),
    Figure(
        "image, 16 connections: eas-processor of two bare processes of one thread",
        [_cell("image", "ours", 16), _cell("image", "bare2")],
        lambda ours, bare: 100 * _ratio(ours, bare),
        "%",
        goal=80,
    ),
    Figure(
        "softmax, 64 connections: eas-processor over FastAPI, two workers",
        [_cell("softmax", "ours", 64), _cell("softmax", "fastapi2", 64)],
        _ratio,
        "x",
    ),
    Figure(
        "softmax, 64 connections: eas-processor of the echo host",
        [_cell("softmax", "ours", 64), _cell("softmax", "echo", 64)],
        lambda ours, echo: 100 * _ratio(ours, echo),
        "%",
    ),
    Figure(
        "image, 16 connections: eas-processor over FastAPI, one worker",
        [_cell("image", "ours", 16), _cell("image", "fastapi", 16)],
        _ratio,
        "x",
    ),
    Figure(
        "image, 16 connections: eas-processor over FastAPI, two workers",
        [_cell("image", "ours", 16), _cell("image", "fastapi2", 16)],
        _ratio,
        "x",
    ),
]


def verdict(figure: Figure, values: list[float]) -> str:
    """`met`, `NOT met`, "not measured", or nothing for a figure without a goal."""
    if not values:
        return "not measured"
    if figure.goal is None:
        return ""
    value = statistics.median(values)
    met = value <= figure.goal if figure.at_most else value >= figure.goal
    return "met" if met else "NOT met"


def judge(results: Results) -> list[dict[str, object]]:
    """Every figure with its median over the rounds, for `--json`."""
    judged: list[dict[str, object]] = []
    for figure in FIGURES:
        values = results.paired(figure.cells, figure.combine)
        judged.append(
            {
                "figure": figure.words,
                "unit": figure.unit,
                "median": statistics.median(values) if values else None,
                "rounds": values,
                "goal": figure.goal,
                "verdict": verdict(figure, values),
            }
        )
    return judged


def text(models: list[Model], results: Results) -> str:
    """What the user reads."""
    lines: list[str] = []
    for model in models:
        lines += ["", f"{model.title}", TABLE_HEAD]
        cells = sorted(
            (cell for cell in results.cells if cell[0] == model.name),
            key=lambda cell: (cell[2], list(CONTENDERS).index(cell[1])),
        )
        lines += [_row(cell, results) for cell in cells]
    lines += ["", "Ratios (of each round; median, lowest … highest)"]
    lines += [_figure_line(figure, results) for figure in FIGURES]
    return "\n".join(lines)


def _row(cell: Cell, results: Results) -> str:
    sample = results.median(cell)
    assert sample is not None
    title = CONTENDERS[cell[1]][0]
    connections = str(cell[2]) if cell[2] != NO_CONNECTIONS else "-"
    return (
        f"  {title:44}{connections:>12}{sample.rate:>10,.0f}{_time(sample.p50_us):>11}"
        f"{_time(sample.p99_us):>11}{sample.errors:>8}"
    )


def _time(value_us: float) -> str:
    return f"{value_us:,.0f} us" if value_us < 10_000 else f"{value_us / 1000:,.1f} ms"


def _figure_line(figure: Figure, results: Results) -> str:
    values = results.paired(figure.cells, figure.combine)
    end = verdict(figure, values)
    if not values:
        return f"  {figure.words}: {end}"
    middle = f"{statistics.median(values):.1f} {figure.unit}"
    line = f"  {figure.words}: {middle} ({min(values):.1f} … {max(values):.1f})"
    if figure.goal is not None:
        side = "at most" if figure.at_most else "at least"
        line += f"; goal {side} {figure.goal:g} {figure.unit}: {end}"
    return line
