"""Options that several commands of ``energy-execd`` share."""

from __future__ import annotations

from pathlib import Path

import click

from energyrecorder.state_dir import own_folder, state_dir

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


def state_folder(state: str | None) -> Path:
    """Return our part of the state directory, made if need be.

    Raises:
        ConfigError: It cannot be made or written.
    """
    return own_folder(state_dir(state) / "execd")
