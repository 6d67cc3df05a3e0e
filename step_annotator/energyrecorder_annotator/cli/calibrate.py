"""The command that finds out how a BMC averages its power."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import click

from energyrecorder.log_options import log_options


@click.command("calibrate")
@click.option("--fleet", metavar="FILE", required=True, help="The fleet file with the server.")
@click.option("--server", metavar="ID", required=True, help="Which one; ID/NODE for a node of several.")
@click.option("--load", metavar="COMMAND", required=True, help="Loads the server for {seconds} seconds.")
@click.option("--seconds", type=click.IntRange(10, 3600), default=60, show_default=True, help="Of each load.")
@click.option("--loads", type=click.IntRange(3, 50), default=5, show_default=True, help="How often.")
@click.option("--interval", default="1s", show_default=True, help="Between two polls.")
@click.option("--state", metavar="DIR", help="State directory of the collector.")
@log_options
def calibrate(
    fleet: str, server: str, load: str, seconds: int, loads: int, interval: str, state: str | None
) -> None:
    """Find out over how long a BMC averages.

    Puts a load on the server, on and off, and looks how the BMC shows it. Prints the entry for the fleet file
    that says so; energies of its steps are then surer. Example:

    energy-annotator calibrate --fleet fleet.toml --server node-01
    --load 'ssh node-01 stress-ng --cpu 0 --timeout {seconds}'
    """
    from energyrecorder_annotator import calibrating  # loads numpy
    from energyrecorder_annotator.config import collector_command

    plan = calibrating.Plan(server, load, seconds, loads)
    collector = [
        *collector_command(Path(fleet)),
        "--server",
        server.partition("/")[0],
        "--interval",
        interval,
    ]
    if state is not None:
        collector += ["--state", state]
    click.echo(f"this takes {plan.lasts_s / 60:.1f} min; nothing else should load {server}", err=True)
    found, series = asyncio.run(
        calibrating.run_plan(plan, collector, os.environ, partial(click.echo, err=True))
    )
    click.echo(calibrating.words(found, series), nl=False)
