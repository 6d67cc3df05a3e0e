"""The command line of the simulator."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import click

from energyrecorder.errors import ConfigError, EnergyError
from energyrecorder_bmcsim import faults
from energyrecorder_bmcsim.control import Control
from energyrecorder_bmcsim.fleet import Fleet
from energyrecorder_bmcsim.payload import shipped_names
from energyrecorder_bmcsim.spec import FleetSpec, load_spec


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="energyrecorder", prog_name="energy-bmcsim")
def cli() -> None:
    """Run a fleet of simulated BMCs on loopback."""


@cli.command()
@click.option("--spec", "spec_file", required=True, type=click.Path(path_type=Path), help="TOML spec file.")
@click.option("--json", "as_json", is_flag=True, help="Print where the BMCs listen as one JSON object.")
def serve(spec_file: Path, *, as_json: bool) -> None:
    """Serve the BMCs of a spec file.

    Until its standard input closes, or SIGTERM, SIGINT or SIGHUP comes.
    """
    try:
        # The simulated time starts with the process, whatever loading takes.
        spec = load_spec(spec_file, start_ns=time.time_ns())
        asyncio.run(_serve(spec, as_json=as_json))
    except EnergyError as error:
        click.echo(f"energy-bmcsim: {error}", err=True)
        sys.exit(error.exit_code)


@cli.command(name="payloads")
def list_payloads() -> None:
    """List the payloads and traces that come with the simulator."""
    click.echo("\n".join(["payloads:", *(f"  {name}" for name in shipped_names())]))
    click.echo("\n".join(["traces:", *(f"  {name}" for name in shipped_names("traces", ".csv"))]))


@cli.command(name="faults")
def list_faults() -> None:
    """List the faults of HTTP BMCs and their keys."""
    for name, kind in faults.KINDS.items():
        click.echo(f"{name}: {kind.does}")
        for option in kind.options:
            default = "required" if option.required else f"default {option.default}"
            click.echo(f"    {option.name} ({default}): {option.help}")


async def _serve(spec: FleetSpec, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="energy-bmcsim-") as directory:
        fleet = Fleet(spec, Path(directory))
        control = Control(fleet)
        try:
            await fleet.start()
            control_port = await _start_control(control, spec)
            click.echo(_listing(fleet, control_port, as_json=as_json))
            sys.stdout.flush()
            _stop_at_end_of_stdin(loop, stop)
            await stop.wait()
        finally:
            await control.close()
            await fleet.close()


async def _start_control(control: Control, spec: FleetSpec) -> int:
    try:
        return await control.start(spec.control_port)
    except OSError as error:
        raise ConfigError(
            f"[fleet]: key 'control_port' is {spec.control_port}, which cannot be bound ({error.strerror}); "
            "allowed: a free port, or 0 for any"
        ) from None


def _listing(fleet: Fleet, control_port: int, *, as_json: bool) -> str:
    control_url = f"http://127.0.0.1:{control_port}"
    bmcs = [bmc.as_json() for bmc in fleet.bmcs.values()]
    if as_json:
        return json.dumps({"control": control_url, "ca_file": str(fleet.ca_file), "bmcs": bmcs})
    width = max((len(bmc["id"]) for bmc in bmcs), default=0)
    lines = [
        f"{bmc['id']:{width}}  {bmc['protocol']:9}  {bmc['url'] or '{address}:{port}'.format_map(bmc)}"
        for bmc in bmcs
    ]
    return "\n".join([*lines, f"control: {control_url}", f"CA: {fleet.ca_file}"])


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if sys.stdin is None:
        return  # started without a stdin: only a signal ends us
    # In the background of a terminal, reading fails then instead of stopping the process.
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def watch() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            return
        loop.call_soon_threadsafe(stop.set)

    # A thread, as files and terminals cannot be watched by every event loop.
    threading.Thread(target=watch, name="stdin", daemon=True).start()
