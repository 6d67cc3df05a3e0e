"""`energy-step import`: steps from the JUnit file of a tool that cannot record by itself."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Optional, Tuple
from urllib.parse import urlencode

import click

from energyrecorder.cli.asking import connect
from energyrecorder.cli.job import Job, env_option, servers_option
from energyrecorder.errors import ConfigError
from energyrecorder.transport import TransportError

_TIMEOUT_S = 60.0
_UNUSABLE = (409, 413, 422)


@click.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--scenario", metavar="S", help="Name of the run; default: the file's own.")
@click.option("--tz", "zone", metavar="Z", help="Zone of time stamps without one; default: this machine's.")
@servers_option
@env_option
def import_(
    file: Path, scenario: Optional[str], zone: Optional[str], servers: Tuple[str, ...], env: Optional[str]
) -> None:
    """Import the suites and cases of FILE, a JUnit file, as steps; importing it again changes nothing.

    Cases without time stamps are placed one after another, by their lengths, and flagged.

    \b
    Examples:
      energy-step import build/junit.xml
      energy-step import --tz Europe/Paris --scenario nightly TEST-lab.xml
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env)
    if job.settings.env is None:
        raise ConfigError("the environment is not known; set ENERGY_ENV or give --env")
    try:
        raw, written_s = file.read_bytes(), file.stat().st_mtime
    except OSError as error:
        raise ConfigError(f"{str(file)!r} cannot be read: {error.strerror}") from None
    wanted = {
        "env": job.settings.env,
        "scenario": scenario,
        "tz": zone or _local_offset(written_s),
        "ended_at": str(int(written_s * 1e6) * 1000),
    }
    query: Dict[str, str] = {name: value for name, value in wanted.items() if value}
    named: List[Tuple[str, str]] = [("servers", server) for server in servers or job.settings.servers]
    path = f"/v1/import/junit?{urlencode([*query.items(), *named])}"
    try:
        answer = connect(job).exchange("POST", path, raw, timeout_s=_TIMEOUT_S)
    except TransportError as error:
        if error.status in _UNUSABLE:
            raise ConfigError(f"{str(file)!r}: {error}") from None
        raise
    told = f"{answer.get('steps')} steps, {answer.get('new')} new, run {answer.get('run_id')}"
    click.echo(f"{answer.get('scenario')}: {told}")


def _local_offset(moment_s: float) -> str:
    """Return this machine's offset from UTC at ``moment_s``, such as ``+02:00``."""
    text = datetime.fromtimestamp(moment_s, tz=timezone.utc).astimezone().strftime("%z")  # noqa: UP017  # datetime.UTC is of 3.11
    return f"{text[:3]}:{text[3:5]}"
