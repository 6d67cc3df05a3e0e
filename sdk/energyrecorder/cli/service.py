"""`energy-step status`, `flush` and `doctor`: what is open, what waits, and whether the service is well."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import urlencode

import click

from energyrecorder.cli.asking import connect
from energyrecorder.cli.job import STRICT_EXIT, Job, env_option, strict_option
from energyrecorder.delivery import Delivery, spool_of
from energyrecorder.errors import AnnotatorError
from energyrecorder.figures import counted, duration, local_time, one_line, table
from energyrecorder.transport import Transport

_TIMEOUT_S = 2.0
_LOOK_BACK_NS = 120 * 10**9
_FLAGGED_NS = 600 * 10**9


@click.command()
@click.option("--utc", is_flag=True, help="Show times in UTC.")
@env_option
@strict_option
def status(env: Optional[str], *, utc: bool, strict: bool) -> int:
    """Show what this job has open, what waits in the spool, and what runs in the environment.

    \b
    Example:
      energy-step status --env pod1
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env)
    state = job.state()
    if not state.open:
        click.echo("this job has nothing open")
    for item in state.open:
        step = f" / {one_line(item.implicit.step)}" if item.implicit else ""
        stale = "" if job.is_alive(item) else " (before a reboot or too long ago: lost)"
        begun = local_time(item.started_ns, utc=utc)
        click.echo(f"open since {begun}: {one_line(item.scenario)}{step}, run {item.run_id}{stale}")
    waiting = spool_of(job.settings, job.notices).count()
    click.echo(f"{counted(waiting, 'event')} in the spool" if waiting else "nothing waits in the spool")
    query = {"state": "running", "limit": "100"}
    if job.settings.env is not None:
        query["env"] = job.settings.env
    try:
        steps = connect(job).exchange("GET", f"/v1/steps?{urlencode(query)}", timeout_s=_TIMEOUT_S)["steps"]
        rows = [
            [
                one_line(step["env"]),
                one_line(step["scenario"]),
                one_line(step["step"] or ""),
                duration(step["duration_s"]),
            ]
            for step in steps
        ]
    except (AnnotatorError, KeyError, TypeError) as error:
        job.warn(str(error))
        return STRICT_EXIT if strict else 0
    if rows:
        click.echo("\n" + table(("environment", "scenario", "step", "for"), rows))
    else:
        click.echo(f"nothing runs on {job.settings.env or 'any environment'} at {job.settings.url}")
    return 0


@click.command()
@click.option("--all", "everything", is_flag=True, help="Send what is older than a week, too.")
@env_option
@strict_option
def flush(env: Optional[str], *, everything: bool, strict: bool) -> int:
    """Send the events that wait in the spool.

    With --env, steps of jobs that did not know their environment are sent too, as steps of E.

    \b
    Examples:
      energy-step flush
      energy-step flush --all --env pod1
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env, forgiving=not strict)
    adopt_env = env or job.settings.env
    folders = [spool_of(job.settings, job.notices)]
    if not job.settings.url_is_default:
        # Kept before anybody had set ENERGY_URL: meant for the annotator that is configured now.
        folders.append(spool_of(job.settings.without_url(), job.notices))
    sent = left = 0
    failed = busy = False
    for spool in folders:
        delivery = Delivery(job.settings, job.now, job.notices, spool=spool)
        waiting = spool.count()
        try:
            replay = delivery.replay(include_old=everything, adopt_env=adopt_env, timeout_s=10.0)
        except AnnotatorError as error:
            failed = True
            sent += max(0, waiting - spool.count())  # others may have added to it meanwhile
            job.warn(str(error))
        else:
            sent += replay.sent
            busy = busy or replay.busy
        left += spool.count()
    if busy:
        job.warn("another process is sending the spool already")
    elif left and not failed:
        job.warn(
            "left is what names no environment (see --env), is older than a week (see --all) or was put off"
        )
    click.echo(f"{counted(sent, 'event')} sent, {left} left")
    return STRICT_EXIT if strict and (failed or left) else 0


@click.command()
@env_option
def doctor(env: Optional[str]) -> int:
    """Check the service, its sinks (InfluxDB, Grafana), the clock, the age of the last sample and the spool.

    Exit 3 when something is wrong.

    \b
    Example:
      energy-step doctor --env pod1
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env)
    transport = connect(job)
    try:
        checks = [_service(job, transport), *_ready(transport), _clock(transport), _samples(job, transport)]
    except AnnotatorError as error:  # nobody answers: the other questions would end the same
        checks = [("service", False, str(error))]
    spool = spool_of(job.settings, job.notices)
    obstacle = spool.obstacle()
    if obstacle is not None:
        checks.append(("spool", False, obstacle))
    for name, good, text in checks:
        verdict = click.style("ok   ", fg="green") if good else click.style("WRONG", fg="red", bold=True)
        click.echo(f"{verdict}  {name}: {text}")  # colours reach terminals only
    if obstacle is None:
        waiting = spool.count()
        kept = f"{counted(waiting, 'event')}; `energy-step flush` sends them" if waiting else "nothing waits"
        click.echo(f"{'note ' if waiting else 'ok   '}  spool: {kept}")
    return 0 if all(good for _, good, _ in checks) else AnnotatorError.exit_code


Check = Tuple[str, bool, str]


def _service(job: Job, transport: Transport) -> Check:
    before_ns = job.now().boot_ns
    health = transport.exchange("GET", "/healthz", timeout_s=_TIMEOUT_S)
    took_ms = (job.now().boot_ns - before_ns) / 1e6
    stopped = [
        str(plugin.get("name")) for plugin in _dicts(health.get("plugins")) if not plugin.get("running")
    ]
    if stopped:
        return (
            "service",
            False,
            f"{job.settings.url}: plugins not running: {', '.join(map(one_line, stopped))}",
        )
    return (
        "service",
        health.get("status") == "ok",
        f"{job.settings.url} {one_line(health.get('status'))}, {took_ms:.0f} ms",
    )


def _ready(transport: Transport) -> List[Check]:
    try:
        ready = transport.exchange("GET", "/readyz", timeout_s=_TIMEOUT_S)
    except AnnotatorError as error:
        return [("journal", False, str(error))]
    names = ready.get("away")
    away = [one_line(name) for name in names] if isinstance(names, list) else []
    told = f"away, and told later: {', '.join(away)}" if away else "none is away"
    return [("journal", True, "steps can be recorded"), ("sinks", not away, told)]


def _clock(transport: Transport) -> Check:
    try:
        transport.exchange("GET", "/v1/steps?limit=1", timeout_s=_TIMEOUT_S)
    except AnnotatorError as error:
        return "access", False, str(error)
    offset = transport.offset
    if offset is None:
        return "clock", False, "the service does not tell its time"
    off_ms, error_ms = offset.offset_ns / 1e6, offset.error_ns / 1e6
    text = f"the service's clock is {off_ms:+.1f} ms off ours (± {error_ms:.1f} ms)"
    # Steps are placed on the service's clock whatever the offset, but it flags clients further off than this.
    return "clock", abs(offset.offset_ns) < _FLAGGED_NS, text


def _samples(job: Job, transport: Transport) -> Check:
    env = job.settings.env
    if env is None:
        return "samples", False, "the environment is not known: set ENERGY_ENV or give --env"
    now_ns = job.now().wall_ns + (transport.offset.offset_ns if transport.offset else 0)
    query = urlencode({"env": env, "from": now_ns - _LOOK_BACK_NS, "to": now_ns + 10**9, "max_points": 100})
    try:
        answer = transport.exchange("GET", f"/v1/power?{query}", timeout_s=_TIMEOUT_S)
    except AnnotatorError as error:
        return "samples", False, str(error)
    totals = [series for series in _dicts(answer.get("series")) if series.get("scope") == "server"]
    newest = [points[-1][0] for series in totals if (points := series.get("points"))]
    if not newest:
        return "samples", False, f"no reading from {env!r} for {_LOOK_BACK_NS // 10**9} s"
    servers = counted(len({series.get("server") for series in totals}), "server")
    return "samples", True, f"{servers} of {env!r}, last reading {(now_ns - max(newest)) / 1e9:.1f} s ago"


def _dicts(value: Any) -> List[Dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
