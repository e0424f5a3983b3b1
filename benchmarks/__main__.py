"""`python -m benchmarks`: makes what is missing, measures, prints the table and the verdicts."""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import environments, report
from benchmarks.contenders import CONTENDERS, Setting
from benchmarks.failure import BenchmarkError
from benchmarks.models import Model, image, softmax
from benchmarks.results import Results
from benchmarks.series import Effort, run_model
from benchmarks.wrk import find_wrk
from eas_processor.errors import ConfigError, ServingError

MODELS = ("softmax", "image")
IMAGE_ALONE = ("bare2",)  # contenders without a purpose for the tiny model
BUSY_LOAD = 0.5  # over the last minute, before the benchmark itself starts anything
EXIT_BAD_USE = 2
EXIT_FAILED = 3
EXIT_INTERRUPTED = 130


def main() -> int:
    """Read the options, make what is missing, measure, report."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        find_wrk()
        with environments.alone():
            _run(options)
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return EXIT_BAD_USE
    except (BenchmarkError, ServingError) as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("interrupted; all servers are ended", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Our host beside the peers, in one run."
    )
    parser.add_argument("--rounds", type=_count, default=4, help="interleaved rounds (4)")
    parser.add_argument("--seconds", type=_count, default=2, help="length of a measurement (2)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*MODELS, *CONTENDERS],
        help="only this model or contender; may be repeated",
    )
    parser.add_argument("--processor", default="tensorflow_cpu_2.21", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    return parser.parse_args()


def _count(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _chosen(only: Sequence[str] | None, among: Sequence[str]) -> list[str]:
    """What `--only` leaves of one kind: all where it names none of that kind."""
    named = [key for key in among if key in (only or ())]
    return named or list(among)


def _run(options: argparse.Namespace) -> None:
    began = time.monotonic()
    if os.getloadavg()[0] > BUSY_LOAD:
        print("warning: other work runs on this machine; figures will be poor", file=sys.stderr)
    keys = _chosen(options.only, list(CONTENDERS))
    if keys[0] != "bare":
        keys.insert(0, "bare")  # its answer is the measure of the others
    models = [_model(name) for name in _chosen(options.only, MODELS)]
    python = environments.processor_python(options.processor)
    peers = environments.peer_python()
    results = Results()
    with tempfile.TemporaryDirectory(prefix="eas-benchmark-") as folder:
        for model in models:
            setting = Setting(
                model, Path(folder), options.processor, python, peers, ending=ExitStack()
            )
            wanted = [key for key in keys if model.name == "image" or key not in IMAGE_ALONE]
            run_model(setting, wanted, Effort(options.rounds, options.seconds), results)
    took_s = time.monotonic() - began
    print(_heading(options, took_s))
    print(report.text(models, results))
    if options.json is not None:
        _write(options.json, options, models, results)


def _model(name: str) -> Model:
    return softmax() if name == "softmax" else image(environments.image_model_folder())


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
        "figures": report.judge(results),
    }
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
