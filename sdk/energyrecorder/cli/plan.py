"""`energy-step plan`: how many runs it takes to see a change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Optional

import click

from energyrecorder.cli.asking import (
    as_json,
    ask,
    connect,
    output_option,
    put_out,
    query_of,
    rule_options,
)
from energyrecorder.cli.compare_table import plain_wh
from energyrecorder.cli.job import Job, env_option
from energyrecorder.errors import AnnotatorError
from energyrecorder.figures import UNKNOWN, duration, one_line, table

_HEAD = (
    "what",
    "energy",
    "duration",
    "resolved from",
    "scatter",
    "runs seen",
    "runs needed",
    "1 run shows",
    "10 show",
)
_LONGEST = 200
_MOST_LAST = 200


@click.command()
@click.option("--scenario", required=True, metavar="S", help="Scenario whose runs are to be compared.")
@rule_options
@click.option(
    "--last",
    type=click.IntRange(3, _MOST_LAST),
    default=50,
    show_default=True,
    metavar="N",
    help="Learn from the last N runs that passed.",
)
@click.option("--format", "kind", type=click.Choice(("table", "json")), default="table", show_default=True)
@output_option
@env_option
def plan(
    scenario: str, last: int, kind: str, output: Optional[Path], env: Optional[str], **rules: Any
) -> None:
    """Say how many runs on each side it takes to see a change, learned from earlier runs.

    With that many runs the gate finds a change of that size in 4 of 5 cases. The scatter is that of
    undisturbed runs; few runs show it only roughly, hence the range.

    \b
    Examples:
      energy-step plan --scenario functest
      energy-step plan --scenario functest --min-effect 2% --no-steps
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    job = Job(env)
    query = query_of([("scenario", scenario), ("env", job.settings.env), *rules.items(), ("last", last)])
    answer = ask(connect(job), "GET", f"/v1/plan?{query}")
    put_out(as_json(answer) if kind == "json" else plan_text(answer), output)


def plan_text(answer: Mapping[str, Any]) -> str:
    """Return what ``GET /v1/plan`` answers as text for people.

    Raises:
        AnnotatorError: It is not a plan.
    """
    try:
        found = [answer["whole"], *answer["steps"]]
        rules = answer["rules"]
        servers = ", ".join(one_line(server) for server in answer["servers"]) or "no server yet"
        title = (
            f"{one_line(answer['scenario'])} on {servers}: to see {100 * rules['min_effect']:.3g} % more in "
            f"{100 * rules['power']:.3g} % of cases, with {100 * rules['alpha']:.3g} % false alarms"
        )
        lines = [title, "", table(_HEAD, [_row(one) for one in found])]
        lines += [f"  {_name(one)}: {one_line(one['reason'], _LONGEST)}" for one in found if one["reason"]]
        return "\n".join(lines)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise AnnotatorError("the annotator answered something that is not a plan") from None


def _row(one: Mapping[str, Any]) -> List[str]:
    needed, upper = (_count(one[key]) for key in ("runs_needed", "runs_needed_upper"))
    if one["cv"] is None:
        needed = upper = UNKNOWN
    shown = one["detectable"]
    return [
        "  " * len(one["step"]) + (one_line(one["step"][-1]) if one["step"] else "run as a whole"),
        plain_wh(one["energy_j"]),
        duration(one["duration_s"]),
        duration(one["shortest_s"]),
        UNKNOWN if one["cv"] is None else f"{100 * one['cv']:.2g} to {100 * one['cv_upper']:.2g} %",
        str(one["runs"]),
        needed if needed == upper else f"{needed} to {upper}",
        _effect(shown.get("1")),
        _effect(shown.get("10")),
    ]


def _count(runs: Optional[int]) -> str:
    return "> 200" if runs is None else str(runs)


def _effect(effect: Optional[float]) -> str:
    return UNKNOWN if effect is None else f"{100 * effect:.2g} %"


def _name(one: Mapping[str, Any]) -> str:
    return " / ".join(map(one_line, one["step"])) or "run as a whole"
