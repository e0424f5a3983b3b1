"""One run: for each model start everybody, check them, measure them in turn, end them."""

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.contenders import CONTENDERS, Contender, Setting
from benchmarks.results import NO_CONNECTIONS, Results

WARM_UP_CONNECTIONS = 16
WARM_UP_S = 1


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    seconds: int


def run_model(setting: Setting, keys: Sequence[str], effort: Effort, results: Results) -> None:
    """All rounds of one model. `keys` begins with "bare", whose answer the others need."""
    setting.body.write_bytes(setting.model.request())
    with ExitStack() as ending:
        contenders = _start(dataclasses.replace(setting, ending=ending), keys)
        for number in range(1, effort.rounds + 1):
            _say(f"{setting.model.name}: round {number} of {effort.rounds}")
            _round(setting.model.name, contenders, effort.seconds, results)
        _say(f"{setting.model.name}: ending")


def _start(setting: Setting, keys: Sequence[str]) -> dict[str, Contender]:
    contenders: dict[str, Contender] = {}
    _say(f"{setting.model.name}: starting {', '.join(keys)}")
    for key in keys:
        contenders[key] = CONTENDERS[key][1](setting)
        if key == "bare":
            contenders[key].wait_ready()
    for key in keys[1:]:
        contenders[key].wait_ready()
    for contender in contenders.values():
        for program in contender.programs:
            program.settle()  # a second worker may still be loading behind the first
        contender.check()
        if NO_CONNECTIONS not in contender.loads:
            contender.measure(WARM_UP_CONNECTIONS, WARM_UP_S)
    return contenders


def _round(model: str, contenders: dict[str, Contender], seconds: int, results: Results) -> None:
    """Each load in turn and, under each, everybody: those compared run close in time."""
    loads = sorted({load for contender in contenders.values() for load in contender.loads})
    for load in loads:
        for key, contender in contenders.items():
            if load in contender.loads:
                contender.check()
                results.add((model, key, load), contender.measure(load, seconds))


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
