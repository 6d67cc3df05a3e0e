"""Options that several commands of ``energy-execd`` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from energyrecorder import logs
from energyrecorder.errors import ConfigError
from energyrecorder.state_dir import state_dir

DEFAULT_FLEET = "/etc/energyrecorder/fleet.toml"

fleet_option = click.option(
    "--fleet",
    envvar="ENERGY_FLEET",
    default=DEFAULT_FLEET,
    show_default=True,
    metavar="FILE",
    help="The fleet file.",
)
state_option = click.option("--state", metavar="DIR", help="State directory; default: $ENERGY_STATE_DIR.")


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the log, and set it up before the command runs."""

    @functools.wraps(command)
    def logged(
        *args: Any, log_level: str | None, log_format: str, log_file: str | None, **options: Any
    ) -> Any:
        logs.set_up(level=log_level, log_format=log_format, file=log_file)
        return command(*args, **options)

    for option in (
        click.option("--log-file", metavar="FILE", help="Log to FILE instead of standard error."),
        click.option("--log-format", type=click.Choice(logs.FORMATS), default="text", show_default=True),
        click.option(
            "--log-level", type=click.Choice(logs.LEVELS), help="Default: $ENERGY_LOG_LEVEL or info."
        ),
    ):
        logged = option(logged)
    return logged


def state_folder(state: str | None) -> Path:
    """Return our part of the state directory, made if need be.

    Raises:
        ConfigError: It cannot be made.
    """
    folder = state_dir(state) / "execd"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"state directory {str(folder)!r} cannot be made: {error.strerror}") from None
    return folder
