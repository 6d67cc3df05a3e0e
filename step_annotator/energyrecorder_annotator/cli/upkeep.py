"""The commands of operators: doctor, recompute, backup, migrate."""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

import click

from energyrecorder.errors import ConfigError, EnergyError
from energyrecorder.log_options import log_options
from energyrecorder_annotator.cli.options import DEFAULT_URL, checked_time, checked_url, service_options


def _config(config: str | None) -> Any:
    from energyrecorder_annotator.config import load_config

    return load_config(config=config, fleet=None, environ=os.environ, flags={})


@click.command()
@click.option("--config", metavar="FILE", help="Settings; default: those of `serve`, if any.")
@click.option(
    "--grafana", metavar="URL", callback=checked_url, help="Look at this Grafana: version and clock."
)
@service_options
@log_options
def doctor(config: str | None, grafana: str | None, url: str, token_env: str) -> int:
    """Look at service, clocks, samples and sinks. Exit 3 if something is not as it should be."""
    from energyrecorder_annotator.config import is_configured
    from energyrecorder_annotator.doctor.examine import examine
    from energyrecorder_annotator.running_service import RunningService

    failed = False
    settings = _config(config) if config or is_configured(os.environ) else None
    token = os.environ.get(token_env)
    if token is None and settings is not None and settings.token is not None and url == DEFAULT_URL:
        # That of the service on this machine; no other gets to see it.
        token = settings.token.reveal()
    for finding in examine(settings, RunningService(url, token), grafana=grafana):
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}: {finding.text}")
        failed = failed or not finding.ok
    return 3 if failed else 0


@click.command()
@click.option("--run", "run_id", metavar="ID", help="Steps of this run.")
@click.option("--step-id", metavar="ID", help="This step.")
@click.option("--env", metavar="NAME", help="Steps in this environment.")
@click.option("--scenario", metavar="NAME", help="Steps of this scenario.")
@click.option(
    "--from",
    "from_",
    metavar="TIME",
    callback=checked_time,
    help="ISO 8601 with zone: steps that end after it.",
)
@click.option("--to", metavar="TIME", callback=checked_time, help="Steps that begin before it.")
@service_options
@log_options
def recompute(url: str, token_env: str, **chosen: str | int | None) -> None:
    """Have results computed anew from the readings there are now.

    At least one option says which steps; a step must fit all that are given.
    """
    from energyrecorder_annotator.running_service import RunningService

    body = {name.rstrip("_"): value for name, value in chosen.items() if value is not None}
    if not body:
        raise click.UsageError("name the steps by --run, --step-id, --env, --scenario, --from or --to")
    status, text = RunningService(url, os.environ.get(token_env)).ask("POST", "/v1/recompute", body)
    answer = json.loads(text) if text.startswith("{") else {}
    if status != HTTPStatus.ACCEPTED:
        error = answer.get("error")
        problem = error["message"] if isinstance(error, dict) and "message" in error else text[:200].strip()
        told = f"the service answers {status}: {problem}"
        raise ConfigError(told) if status == HTTPStatus.UNPROCESSABLE_ENTITY else EnergyError(told)
    click.echo(f"{answer['steps']} steps are computed anew")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--config", metavar="FILE", help="Settings (annotator.toml).")
@click.option("--state", metavar="DIR", help="State directory.")
@log_options
def backup(directory: Path, config: str | None, state: str | None) -> None:
    """Copy journal, samples and tokens into DIRECTORY. The service may run meanwhile."""
    from energyrecorder.state_dir import state_dir
    from energyrecorder_annotator.backup import backup as copy

    store = _config(config).store if config is not None else None
    for path in copy(state_dir(state), store, directory):
        click.echo(str(path))


@click.command()
@click.option("--config", metavar="FILE", help="Settings (annotator.toml).")
@click.option("--state", metavar="DIR", help="State directory.")
@log_options
def migrate(config: str | None, state: str | None) -> None:
    """Bring the databases up to this version. `serve` does so too; stop it first."""
    from energyrecorder.state_dir import StateLock, state_dir
    from energyrecorder_annotator.journal.sqlite import SqliteJournal
    from energyrecorder_annotator.samples.embedded import EmbeddedSamples

    directory = state_dir(state)
    store = _config(config).store if config is not None else None
    lock = StateLock(directory / "annotator.lock")
    lock.acquire()
    try:
        SqliteJournal(store or directory / "annotator.db").close()
        EmbeddedSamples(directory / "samples.db").close()
    finally:
        lock.release()
    click.echo("the databases are of this version")


COMMANDS = (doctor, recompute, backup, migrate)
