"""What a person at a terminal is told by a server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from eas_processor.serving.plan import ServicePlan


class Speaker:
    """Says on standard error what a person at a terminal wants to know."""

    def __init__(self, plans: list[ServicePlan], host: str, scheme: str) -> None:
        self._plans = plans
        self._base = f"{scheme}://{host}"

    def listening(self, port: int) -> None:
        """The port is open; nothing is ready yet."""
        self._base += f":{port}"
        for plan in self._plans:
            if plan.generated_token:
                say(f"{plan.name}: generated token {plan.token}")
        say(f"listening on {self._base}")

    def ready(self) -> None:
        """All services are."""
        for plan in self._plans:
            say(f"{plan.name}: ready at {self._base}/api/predict/{plan.name}")


def say(text: str) -> None:
    """A line on standard error for a person at a terminal."""
    with contextlib.suppress(OSError):  # nobody listens: no reason not to serve
        click.echo(text, err=True)
