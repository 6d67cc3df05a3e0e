"""Options that several commands of ``energy-annotator`` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from energyrecorder.errors import ConfigError
from energyrecorder_analysis.timestamp import FileTimes

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT_URL = "http://127.0.0.1:8742"


def checked_url(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return the base URL that an option holds, or the variable that stands in for it.

    Raises:
        ConfigError: It is none.
    """
    from energyrecorder_annotator.influx.settings import http_url

    if value is None:
        return None
    try:
        return http_url(value)
    except ValueError as error:
        name = option.opts[0] if option.envvar is None else f"{option.opts[0]} or {option.envvar}"
        raise ConfigError(f"{name} is {value!r}; allowed: {error}") from None


def checked_time(_context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Return the moment that an option holds, nanoseconds since the Unix epoch, UTC.

    Raises:
        ConfigError: It is none.
    """
    if value is None:
        return None
    times = FileTimes()
    time_ns = times.read(value, option.opts[0])
    times.check()
    return time_ns


def service_options(command: Command) -> Command:
    """Add the options that say which running service is meant."""
    for option in (
        click.option(
            "--url",
            envvar="ENERGY_URL",
            default=DEFAULT_URL,
            callback=checked_url,
            help="Where the service listens.",
        ),
        click.option(
            "--token", "token_env", metavar="NAME", help="Variable with the token.", default="ENERGY_TOKEN"
        ),
    ):
        command = option(command)
    return command
