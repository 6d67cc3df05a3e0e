"""The commands of ``energy-annotator``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from energyrecorder.errors import EnergyError, refusal_text
from energyrecorder.log_options import log_options
from energyrecorder_annotator.cli.calibrate import calibrate
from energyrecorder_annotator.cli.grafana_setup import grafana_setup
from energyrecorder_annotator.cli.import_legacy import import_legacy
from energyrecorder_annotator.cli.init_influxdb import init_influxdb
from energyrecorder_annotator.cli.tokens import token
from energyrecorder_annotator.cli.upkeep import COMMANDS

Command = TypeVar("Command", bound=Callable[..., Any])
_log = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        code = cli.main(list(arguments), prog_name="energy-annotator", standalone_mode=False)
    except EnergyError as error:
        click.echo(f"E! {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        click.echo(f"E! {refusal_text(error)}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _settings_options(command: Command) -> Command:
    for option in (
        click.option("--config", metavar="FILE", help="Settings (annotator.toml)."),
        click.option(
            "--fleet", metavar="FILE", help="Run the collector on this fleet file, without settings."
        ),
        click.option("--host", help="Address to listen on."),
        click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0 = any free one."),
        click.option("--insecure", is_flag=True, help="Listen beyond this machine without a token."),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="energyrecorder")
def cli() -> None:
    """What ran when, and how much energy it took."""


@cli.command()
@_settings_options
@click.option("--state", metavar="DIR", help="State directory.")
@log_options
def serve(**options: Any) -> None:
    """Serve the HTTP API until SIGTERM or SIGINT."""
    from energyrecorder.state_dir import StateLock, state_dir
    from energyrecorder_annotator.reload import reload_settings
    from energyrecorder_annotator.serve import serve as serve_until_stopped

    state = state_dir(options["state"])
    config, warnings = _load(options, state)
    for warning in warnings:
        _log.warning("%s", warning)
    lock = StateLock(state / "annotator.lock")
    lock.acquire()
    try:
        serve_until_stopped(
            config,
            state,
            lambda service: reload_settings(
                service, lambda: _load_config(options), insecure=options["insecure"]
            ),
        )
    finally:
        lock.release()


cli.add_command(token)
for _command in COMMANDS:
    cli.add_command(_command)
cli.add_command(init_influxdb)
cli.add_command(calibrate)
cli.add_command(grafana_setup)
cli.add_command(import_legacy)


@cli.command()
@_settings_options
@log_options
def check(**options: Any) -> None:
    """Validate the settings and print those in force. Secrets are masked."""
    config, warnings = _load(options)
    from energyrecorder_annotator.http_server import check_tls
    from energyrecorder_annotator.reload import NEED_RESTART
    from energyrecorder_annotator.settings_text import settings_text

    check_tls(config.tls_certificate, config.tls_key)
    click.echo(settings_text(config), nl=False)
    restarted = ", ".join(NEED_RESTART.values())
    click.echo(f"# after a change these need a restart, the others a SIGHUP: {restarted}")
    for warning in warnings:
        click.echo(f"W! {warning}", err=True)


@cli.command()
@click.option("--power", "power_file", metavar="FILE", required=True, help="Readings: .lp or .csv.")
@click.option("--steps", "steps_file", metavar="FILE.json", required=True, help="Steps: a JSON list.")
@click.option(
    "--window-s", type=click.FloatRange(min=0), help="Averaging window of readings that state none."
)
@click.option("--format", "output_format", type=click.Choice(["json", "table"]), default="json")
@log_options
def integrate(power_file: str, steps_file: str, window_s: float | None, output_format: str) -> None:
    """Joules per step from files, without a service."""
    from energyrecorder_annotator.integrate_files import integrate_files

    click.echo(
        integrate_files(power_file, steps_file, window_s=window_s, as_table=output_format == "table"),
        nl=False,
    )


def _load(options: dict[str, Any], state: Path | None = None) -> tuple[Any, tuple[str, ...]]:
    from energyrecorder_annotator.auth.tokens import FILE_NAME
    from energyrecorder_annotator.config import check_exposure

    config = _load_config(options)
    if state is not None and (state / FILE_NAME).exists():
        return config, config.warnings
    exposed = check_exposure(config, insecure=options["insecure"])
    return config, config.warnings if exposed is None else (*config.warnings, exposed)


def _load_config(options: dict[str, Any]) -> Any:
    from energyrecorder_annotator.config import load_config

    return load_config(
        config=options["config"],
        fleet=options["fleet"],
        environ=os.environ,
        flags={"host": options["host"], "port": options["port"]},
    )
