"""`energy-step compare` and `gate`: do runs take more energy than others did, or than they may."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import click

from energyrecorder.cli.asking import (
    as_json,
    ask,
    connect,
    output_option,
    put_out,
    query_of,
    rule_options,
    summarise,
    wants_summary,
)
from energyrecorder.cli.compare_table import comparison_text
from energyrecorder.cli.job import Job
from energyrecorder.cli.progress import answer_with_results
from energyrecorder.errors import AnnotatorError
from energyrecorder.figures import counted
from energyrecorder.integrations.budget import parse_energy_j

FORMATS = ("table", "junit", "md", "json")
MANY_FORMATS = ("table", "md", "json")
"""Of several comparisons at once; two JUnit files do not make one."""
VERDICTS = ("regression", "inconclusive", "not-comparable")
EXIT_CODES = {"regression": 4, "budget": 4, "inconclusive": 5, "not-comparable": 6}
FEWEST_RUNS = 2

wait_option = click.option(
    "--wait",
    type=click.FloatRange(0),
    default=0.0,
    metavar="S",
    help="Wait for results of the candidate up to S seconds.",
)


class _Budget(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """An energy with its unit, as joules."""

    name = "energy"

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> float:
        try:
            return parse_energy_j(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _FailOn(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """Verdicts, separated by commas."""

    name = "verdicts"

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> List[str]:
        found = [one.strip() for one in value.split(",")] if isinstance(value, str) else list(value)
        for one in found:
            if one not in VERDICTS:
                self.fail(f"{one!r} is none of {', '.join(VERDICTS)}", param, ctx)
        return found


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@rule_options
@click.option("--format", "kind", type=click.Choice(MANY_FORMATS), default="table", show_default=True)
@output_option
@wait_option
@click.option("--env", metavar="E", help="Only runs of this environment.")
def compare(
    runs: Tuple[str, ...], kind: str, output: Optional[Path], wait: float, env: Optional[str], **rules: Any
) -> None:
    """Compare the energy of each RUN with the first one, as a whole and step by step.

    RUN is the id of a run, or stands for many: group:ID, commit:SHA, branch:main,last=20, tag:key=value.
    Only runs on the same servers, read by the same sensors, are compared. Two single runs show how much
    they differ, but not whether the difference is more than chance.

    \b
    Examples:
      energy-step compare branch:main,last=20 commit:4f1c0de
      energy-step compare 0c0f3d5e-8a5f-4a0e-9d6b-6f0f7a3a0f11 6f2f7d0a-7f0e-4f6e-8f43-0f3f1f1f9a10
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    if len(runs) < FEWEST_RUNS:
        raise click.UsageError("name at least two runs")
    job = Job()
    transport = connect(job)
    query = query_of(
        [
            ("baseline", runs[0]),
            *(("candidate", run) for run in runs[1:]),
            *rules.items(),
            ("env", env),
            *(("documents", document) for document in _documents(kind)),
        ]
    )

    answer = answer_with_results(
        lambda: ask(transport, "GET", f"/v1/compare?{query}"), _missing_results, wait
    )
    found = _comparisons(answer)
    if kind == "json":
        put_out(as_json(answer), output)
    else:
        put_out("\n\n".join(_shown(one, kind) for one in found), output)
    if wants_summary():
        summarise(job, "\n\n".join(_document(one, "md") for one in found))


@click.command()
@click.option("--candidate", required=True, metavar="SEL", help="Runs to judge.")
@click.option("--baseline", metavar="SEL", help="Runs to compare with; not needed with --budget.")
@rule_options
@click.option(
    "--budget", "budget_j", type=_Budget(), metavar="ENERGY", help="Most a run may take: 12Wh, 43kJ."
)
@click.option(
    "--fail-on",
    type=_FailOn(),
    default="regression",
    show_default=True,
    metavar="LIST",
    help="Of regression,inconclusive,not-comparable; a regression always fails.",
)
@click.option("--scenario", metavar="S", help="Only runs of this scenario.")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True)
@output_option
@wait_option
@click.option("--env", metavar="E", help="Only runs of this environment.")
def gate(kind: str, output: Optional[Path], wait: float, **asked_for: Any) -> int:
    """Fail when the candidate takes more energy than the baseline, or than a budget.

    SEL is run:ID, group:ID, commit:SHA, branch:main,last=20 or tag:key=value. Only runs that passed count,
    and only on the same servers, read by the same sensors; runs that are left out are listed.

    Exit code 4: a regression, or the budget is exceeded; 5: inconclusive; 6: not comparable (5 and 6 only
    when --fail-on names them). In a GitHub job the verdict is added to the job's summary, too.

    \b
    Examples:
      energy-step gate --candidate commit:$GITHUB_SHA --baseline branch:main,last=20 --wait 150
      energy-step gate --candidate group:42 --baseline group:41 --budget 12Wh --format junit -o energy.xml
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    if asked_for["baseline"] is None and asked_for["budget_j"] is None:
        raise click.UsageError("give --baseline, --budget or both")
    job = Job()
    transport = connect(job)
    given = {key: value for key, value in asked_for.items() if value is not None}
    body = {**given, "documents": _documents(kind)}
    answer = answer_with_results(lambda: ask(transport, "POST", "/v1/gate", body), _missing_results, wait)
    put_out(as_json(answer) if kind == "json" else _shown(answer, kind), output)
    if wants_summary():
        summarise(job, _document(answer, "md"))
    missing = _missing_results(answer)
    if missing:
        job.warn(f"no result yet of {missing} of the candidate; --wait waits for them")
    failures = answer.get("failures") or []
    return EXIT_CODES.get(str(failures[0]), 4) if failures else 0


def _documents(kind: str) -> List[str]:
    """Return what the annotator is to render: what is printed, and Markdown for a job's summary."""
    wanted = {kind} & {"md", "junit"} | ({"md"} if wants_summary() else set())
    return sorted(wanted)


def _missing_results(answer: Dict[str, Any]) -> str:
    """Return how many candidate runs have no result yet; empty when all have one."""
    pending = sum(int(one.get("pending") or 0) for one in answer.get("comparisons", [answer]))
    return counted(pending, "run") if pending else ""


def _comparisons(answer: Dict[str, Any]) -> List[Dict[str, Any]]:
    found = answer.get("comparisons")
    if not isinstance(found, list) or not found:
        raise AnnotatorError("the annotator answered something that is not a comparison")
    return found


def _shown(answer: Dict[str, Any], kind: str) -> str:
    return comparison_text(answer) if kind == "table" else _document(answer, kind)


def _document(answer: Dict[str, Any], kind: str) -> str:
    try:
        return str(answer["documents"][kind])
    except (KeyError, TypeError):
        raise AnnotatorError("the annotator answered something that is not a comparison") from None
