"""The host's bounds on the command line: `--set NAME=VALUE`, and `--show-config`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from eas_processor.config import Limits
from eas_processor.errors import ConfigError

if TYPE_CHECKING:
    from eas_processor.serving.plan import ServicePlan


def changed(settings: Iterable[str]) -> Limits:
    """The limits with some set otherwise. Raises ConfigError for a wrong name or value."""
    known = {bound.name: bound.value for bound in Limits().bounds()}
    values: dict[str, int | float] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if name in known and not equals:
            raise ConfigError(f"--set {setting}: a value is missing: --set {name}=VALUE")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; --show-config lists them"
            raise ConfigError(f"--set {setting}: there is no bound {name!r}{hint}")
        kind = type(known[name])
        try:
            value = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise ConfigError(f"--set {setting}: {text!r} is not {wanted}") from None
        if not 0 <= value < float("inf"):
            raise ConfigError(f"--set {setting}: it must not be negative or without end")
        values[name] = value
    return Limits(**values)  # type: ignore[arg-type]


def shown(limits: Limits, plans: Iterable[ServicePlan]) -> Iterator[str]:
    """All that is in force, a line each: the services' settings, then the host's bounds."""
    for plan in plans:
        yield f"service {plan.name} ({plan.source})"
        for name, value, meaning in plan.settings():
            yield f"  {name:<28} {value!s:<24} {meaning}"
    yield "host (change one with --set NAME=VALUE)"
    for bound in limits.bounds():
        value = f"{bound.value:g}" if isinstance(bound.value, float) else str(bound.value)
        yield f"  {bound.name:<28} {value + ' ' + bound.unit:<24} {bound.meaning}"
