"""The options of a service's log on its command line: ``--log-level``, ``--log-format``, ``--log-file``."""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

import click

from energyrecorder import logs

_OPTIONS = (
    click.option("--log-level", type=click.Choice(logs.LEVELS), help="Default: $ENERGY_LOG_LEVEL or info."),
    click.option("--log-format", type=click.Choice(logs.FORMATS), default="text", show_default=True),
    click.option("--log-file", metavar="FILE", help="Log to FILE instead of standard error."),
)


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the log, and set it up before the command runs."""

    @functools.wraps(command)
    def logged(
        *args: Any, log_level: Optional[str], log_format: str, log_file: Optional[str], **options: Any
    ) -> Any:
        logs.set_up(level=log_level, log_format=log_format, file=log_file)
        return command(*args, **options)

    for option in reversed(_OPTIONS):
        logged = option(logged)
    return logged
