"""`python -m benchmarks`: makes what is missing, measures, prints the table and the verdicts."""

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import environments, footprint, report, soak
from benchmarks.contenders import CONTENDERS
from benchmarks.failure import BenchmarkError
from benchmarks.models import MODELS, Model, softmax
from benchmarks.results import Results
from benchmarks.series import Effort, run_model
from benchmarks.setting import Setting
from benchmarks.wrk import find_wrk
from eas_processor.errors import ConfigError, ServingError

START = "start"  # time to ready and idle memory
BUSY_LOAD = 0.5  # over the last minute, before the benchmark itself starts anything
EXIT_BAD_USE = 2
EXIT_FAILED = 3
EXIT_INTERRUPTED = 130


def main() -> int:
    """Read the options, make what is missing, measure, report."""
    options = _options()
    try:
        find_wrk()
        with environments.alone():
            return _soak(options) if options.what == "soak" else _run(options)
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return EXIT_BAD_USE
    except (BenchmarkError, ServingError) as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("interrupted; all servers are ended", file=sys.stderr)
        return EXIT_INTERRUPTED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Our host beside the peers, in one run."
    )
    parser.add_argument(
        "what", nargs="?", choices=["table", "soak"], default="table", help="table, by default"
    )
    parser.add_argument("--rounds", type=_count, default=4, help="interleaved rounds (4)")
    parser.add_argument("--seconds", type=_count, default=2, help="length of a measurement (2)")
    parser.add_argument("--quick", action="store_true", help="one round of one second each")
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        choices=[*MODELS, START, *CONTENDERS],
        metavar="NAME",
        help=f"only these of {', '.join([*MODELS, START])} and of {', '.join(CONTENDERS)}",
    )
    parser.add_argument("--processor", default="tensorflow_cpu_2.21", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the soak (10)")
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.seconds = 1
    return options


def _count(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _chosen(only: Sequence[str] | None, among: Sequence[str]) -> list[str]:
    """What `--only` leaves of one kind: all where it names none of that kind."""
    named = [key for key in among if key in (only or ())]
    return named or list(among)


def _run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    if os.getloadavg()[0] > BUSY_LOAD:
        print("warning: other work runs on this machine; figures will be poor", file=sys.stderr)
    keys = _chosen(options.only, list(CONTENDERS))
    chosen = _chosen(options.only, [*MODELS, START])
    models = [MODELS[name]() for name in chosen if name != START]
    results = Results()
    with tempfile.TemporaryDirectory(prefix="eas-benchmark-") as folder:
        for model in models:
            # The answer of "bare" is the measure of the others.
            wanted = [key for key in model.contenders if key in keys or key == "bare"]
            effort = Effort(options.rounds, options.seconds)
            run_model(_setting(options, model, folder), wanted, effort, results)
        if START in chosen:
            footprint.measure(_setting(options, softmax(), folder), options.rounds, results)
    print(_heading(options, time.monotonic() - began))
    print(report.text(models, results))
    if options.json is not None:
        _write(options.json, options, models, results)
    return 0


def _soak(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="eas-benchmark-") as folder, ExitStack() as ending:
        setting = dataclasses.replace(_setting(options, softmax(), folder), ending=ending)
        return 0 if soak.run(setting, options.minutes) else EXIT_FAILED


def _setting(options: argparse.Namespace, model: Model, folder: str) -> Setting:
    python = environments.processor_python(options.processor)
    return Setting(model, Path(folder), options.processor, python, ending=ExitStack())


def _heading(options: argparse.Namespace, took_s: float) -> str:
    return (
        f"{options.processor} on {os.cpu_count()} cores, {platform.machine()}, wrk on the same "
        f"cores; medians of {options.rounds} interleaved rounds of {options.seconds} s; "
        f"{took_s:.0f} s in all"
    )


def _write(file: Path, options: argparse.Namespace, models: list[Model], results: Results) -> None:
    document = {
        "eas_processor": version("eas-processor"),
        "processor": options.processor,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "models": [model.title for model in models],
        "samples": results.as_json(),
        "footprints": {
            name: [dataclasses.asdict(one) for one in found]
            for name, found in results.footprints.items()
        },
        "notes": results.notes,
        "figures": report.judge(results),
    }
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
