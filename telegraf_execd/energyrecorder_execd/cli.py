"""The commands of ``energy-execd``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from energyrecorder.errors import ConfigError
from energyrecorder.log_options import log_options
from energyrecorder_execd.fleet import interval
from energyrecorder_execd.options import fleet_option, state_folder, state_option
from energyrecorder_execd.readers.registry import Registry
from energyrecorder_execd.selection import Selection
from energyrecorder_execd.setup.commands import COMMANDS

_SHARD = re.compile(r"(\d{1,4})/(\d{1,4})")


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return interval(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}; allowed: {error}") from None


_servers_option = click.option(
    "--server", "servers", multiple=True, metavar="ID", help="Only this server; may be repeated."
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
@fleet_option
@click.option(
    "--protocol", type=click.Choice(("redfish", "ilo", "ipmi")), help="Only servers of this protocol."
)
@click.option("--shard", metavar="I/N", callback=_shard, help="Only part I of N of the fleet.")
@_servers_option
@click.option(
    "--interval",
    "interval_s",
    metavar="DURATION",
    callback=_seconds,
    help="Time between polls, whatever the file says.",
)
@state_option
@log_options
@click.pass_obj
def run(
    registry: Registry | None,
    fleet: str,
    protocol: str | None,
    shard: tuple[int, int] | None,
    servers: tuple[str, ...],
    interval_s: float | None,
    state: str | None,
) -> None:
    """Poll the fleet on its schedule, as Telegraf's plugin. It ends with its standard input."""
    selection = Selection(Path(fleet), protocol, shard, servers, interval_s)
    loaded = selection.load()
    folder = state_folder(state)
    from energyrecorder_execd import process  # asyncio and the loops, which help does not need

    process.run(selection, loaded, folder, registry or Registry())


@cli.command()
@fleet_option
@_servers_option
@state_option
@log_options
@click.pass_obj
def once(
    registry: Registry | None,
    fleet: str,
    servers: tuple[str, ...],
    state: str | None,
) -> None:
    """Poll everything once.

    Exit code: 0 all BMCs up, 3 some down, 4 all down, 1 the lines could not be written, 2 a mistake in the
    configuration.
    """
    loaded = Selection(Path(fleet), servers=servers).load()
    if not loaded.servers:
        raise ConfigError(f"{fleet}: no enabled server")
    folder = state_folder(state)
    from energyrecorder_execd import process

    sys.exit(process.once(loaded, folder, registry or Registry()))


@cli.command()
@fleet_option
@log_options
def check(fleet: str) -> None:
    """Validate the fleet file and print it expanded. Secrets are masked."""
    from energyrecorder_execd.check import fleet_table

    click.echo(fleet_table(Selection(Path(fleet)).load()))


for _command in COMMANDS:
    cli.add_command(_command)
