"""The commands of ``energy-execd``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from energyrecorder import logs
from energyrecorder.errors import ConfigError
from energyrecorder.state_dir import state_dir
from energyrecorder_execd.readers.registry import Registry
from energyrecorder_execd.selection import Selection

DEFAULT_FLEET = "/etc/energyrecorder/fleet.toml"
_SHARD = re.compile(r"(\d{1,4})/(\d{1,4})")


def _log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--log-file", metavar="FILE", help="Log to FILE instead of standard error."),
        click.option("--log-format", type=click.Choice(logs.FORMATS), default="text", show_default=True),
        click.option(
            "--log-level", type=click.Choice(logs.LEVELS), help="Default: $ENERGY_LOG_LEVEL or info."
        ),
    ):
        command = option(command)
    return command


def _fleet_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--fleet",
        envvar="ENERGY_FLEET",
        default=DEFAULT_FLEET,
        show_default=True,
        metavar="FILE",
        help="The fleet file.",
    )(command)


def _state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--state", metavar="DIR", help="State directory; default: $ENERGY_STATE_DIR.")(
        command
    )


def _shard(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = _SHARD.fullmatch(value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter(f"{value!r} is not I/N with 1 <= I <= N")
    return int(match[1]), int(match[2])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="energyrecorder")
def cli() -> None:
    """Read power from BMCs and print it as InfluxDB line protocol."""


@cli.command()
@_fleet_option
@click.option(
    "--protocol", type=click.Choice(("redfish", "ilo", "ipmi")), help="Only servers of this protocol."
)
@click.option("--shard", metavar="I/N", callback=_shard, help="Only part I of N of the fleet.")
@_state_option
@_log_options
@click.pass_obj
def run(
    registry: Registry | None,
    fleet: str,
    protocol: str | None,
    shard: tuple[int, int] | None,
    state: str | None,
    log_level: str | None,
    log_format: str,
    log_file: str | None,
) -> None:
    """Poll the fleet on its schedule until standard input ends: the plugin that Telegraf runs."""
    logs.set_up(level=log_level, log_format=log_format, file=log_file)
    selection = Selection(Path(fleet), protocol, shard)
    loaded = selection.load()
    folder = _folder(state)
    from energyrecorder_execd import process  # noqa: PLC0415  # asyncio and the loops, which help does not need

    process.run(selection, loaded, folder, registry or Registry())


@cli.command()
@_fleet_option
@click.option("--server", "servers", multiple=True, metavar="ID", help="Only this server; may be repeated.")
@_state_option
@_log_options
@click.pass_obj
def once(
    registry: Registry | None,
    fleet: str,
    servers: tuple[str, ...],
    state: str | None,
    log_level: str | None,
    log_format: str,
    log_file: str | None,
) -> None:
    """Poll everything once.

    Exit code: 0 all BMCs up, 3 some down, 4 all down, 2 a mistake in the configuration.
    """
    logs.set_up(level=log_level, log_format=log_format, file=log_file)
    loaded = Selection(Path(fleet)).load()
    if servers:
        loaded = loaded.only(servers)
    folder = _folder(state)
    from energyrecorder_execd import process  # noqa: PLC0415  # as above

    sys.exit(process.once(loaded, folder, registry or Registry()))


@cli.command()
@_fleet_option
@_log_options
def check(fleet: str, log_level: str | None, log_format: str, log_file: str | None) -> None:
    """Validate the fleet file and print it expanded, secrets masked."""
    logs.set_up(level=log_level, log_format=log_format, file=log_file)
    from energyrecorder_execd.check import fleet_table  # noqa: PLC0415  # only this command needs it

    click.echo(fleet_table(Selection(Path(fleet)).load()))


def _folder(state: str | None) -> Path:
    folder = state_dir(state) / "execd"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"state directory {str(folder)!r} cannot be made: {error.strerror}") from None
    return folder
