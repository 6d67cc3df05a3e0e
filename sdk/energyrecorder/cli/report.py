"""`energy-step report`: the energy of a run and its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional
from urllib.parse import quote, urlencode

import click

from energyrecorder.cli.asking import connect, output_option, put_out, summarise, wants_summary
from energyrecorder.cli.job import Job, env_option
from energyrecorder.cli.progress import answer_with_results
from energyrecorder.cli.run_table import run_table
from energyrecorder.errors import AnnotatorError
from energyrecorder.figures import counted
from energyrecorder.transport import Transport

FORMATS = ("table", "md", "json", "html", "junit", "svg")
_ENDINGS = {"junit": "xml"}
"""How a route calls a format, where it is not the same."""
_TIMEOUT_S = 10.0


@click.command()
@click.argument("run", required=False)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True)
@output_option
@click.option(
    "--wait", type=click.FloatRange(0), default=0.0, metavar="S", help="Wait for results up to S seconds."
)
@click.option("--utc", is_flag=True, help="Show times in UTC.")
@env_option
def report(
    run: Optional[str], kind: str, output: Optional[Path], wait: float, env: Optional[str], *, utc: bool
) -> None:
    """Show the energy of RUN and its steps; default: this job's last run.

    In a GitHub job it is added to the job's summary, too.

    \b
    Examples:
      energy-step report --wait 60
      energy-step report --format html -o energy.html
      energy-step report --format junit -o energy.xml
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env)
    transport = connect(job)
    run_id = run or _last_run(job, transport)
    answer = wait_for_results(transport, run_id, wait_s=wait)
    _summarise(job, transport, run_id)
    text = run_table(answer, utc=utc) if kind == "table" else _document(transport, run_id, kind)
    put_out(text, output)


def print_report(job: Job, run_id: str, *, wait_s: float, err: bool) -> None:
    """Print the table of a run.

    Args:
        job: This call.
        run_id: The run.
        wait_s: How long to wait for results.
        err: Print to stderr: stdout belongs to a wrapped command.

    Raises:
        AnnotatorError: The annotator does not answer or does not know the run.
    """
    transport = connect(job)
    click.echo(run_table(wait_for_results(transport, run_id, wait_s=wait_s), utc=False), err=err)
    _summarise(job, transport, run_id)


def _document(transport: Transport, run_id: str, kind: str) -> str:
    ending = _ENDINGS.get(kind, kind)
    return transport.text(f"/v1/runs/{quote(run_id, safe='')}/report.{ending}", timeout_s=_TIMEOUT_S)


def _summarise(job: Job, transport: Transport, run_id: str) -> None:
    """Add the report to the summary of a GitHub job; a summary that cannot be written is told, no more."""
    if not wants_summary():
        return
    try:
        summarise(job, _document(transport, run_id, "md"))
    except AnnotatorError as error:
        job.warn(f"GITHUB_STEP_SUMMARY: {error}")


def wait_for_results(transport: Transport, run_id: str, *, wait_s: float) -> Dict[str, Any]:
    """Return a run, once all of its steps have a result or ``wait_s`` has passed.

    Raises:
        AnnotatorError: The annotator does not answer or does not know the run.
    """
    path = f"/v1/runs/{quote(run_id, safe='')}"
    return answer_with_results(
        lambda: transport.exchange("GET", path, timeout_s=_TIMEOUT_S), _missing_results, wait_s
    )


def _missing_results(answer: Mapping[str, Any]) -> str:
    """Return how many steps of a run have no result yet; empty when all have one.

    Raises:
        AnnotatorError: The answer is not a run.
    """
    try:
        items = [answer["run"], *answer["steps"]]
        pending = sum((item.get("result") or {}).get("quality", "pending") == "pending" for item in items)
        return f"{pending} of {counted(len(items), 'step')}" if pending else ""
    except (KeyError, TypeError, AttributeError):
        raise AnnotatorError("the annotator answered something that is not a run") from None


def _last_run(job: Job, transport: Transport) -> str:
    known = job.state().last_run_id
    if known:
        return known
    query = {"limit": "1"} if job.settings.env is None else {"limit": "1", "env": job.settings.env}
    runs = transport.exchange("GET", f"/v1/runs?{urlencode(query)}", timeout_s=_TIMEOUT_S).get("runs")
    if not isinstance(runs, list) or not runs:
        raise AnnotatorError(
            f"the annotator at {job.settings.url} knows no run of {job.settings.env or 'any environment'}"
        )
    return str(runs[0]["run_id"])
