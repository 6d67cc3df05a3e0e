"""A comparison in Markdown, for merge requests and job summaries."""

from __future__ import annotations

from energyrecorder import figures
from energyrecorder_analysis.compare.budget import BudgetVerdict
from energyrecorder_analysis.compare.judge import Comparison, Side
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.compared import (
    BUDGET_WORDS,
    METHOD_WORDS,
    VERDICT_WORDS,
    ComparisonReport,
    comparisons,
    energy_of,
    name_of,
    rules_in_words,
    scenarios,
)
from energyrecorder_analysis.report.markdown import escape, escape_all

_LONGEST = 500
_HEAD = ["", "What", "Change", "Interval", "Time", "Power", "Baseline", "Candidate", "Runs", "Why"]
_ALIGN = ["---", "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---"]
_MOST_NAMED = 3


def render_comparison_markdown(report: ComparisonReport) -> str:
    """Return the comparison as Markdown: verdict first, a table per scenario, then what was left out."""
    lines = [_heading(report), ""]
    for scenario in scenarios(report):
        rows = [_HEAD, _ALIGN, *(_row(one) for one in comparisons(scenario))]
        lines += [f"### {escape(scenario.scenario)}", ""]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines += ["", *_notes(scenario.whole)]
    lines += [line for budget in report.budgets for line in (_budget(budget, report), "")]
    if report.compared is not None:
        lines += [line for one in report.compared.warnings for line in (f"⚠ {_told(one['message'])}", "")]
        lines += [rules_in_words(report), ""]
    return "\n".join(lines)


def _heading(report: ComparisonReport) -> str:
    if report.compared is None:
        return f"## Energy of {escape(report.candidate)}"
    verdict = VERDICT_WORDS[report.compared.verdict]
    return f"## Energy: {verdict}\n\n{escape(report.candidate)} against {escape(report.baseline)}"


def _row(one: Comparison) -> list[str]:
    name = escape(name_of(one))
    return [
        VERDICT_WORDS[one.verdict],
        name if one.step else f"**{name}**",
        figures.change(one.ratio),
        figures.change_interval(one.low, one.high),
        figures.change(one.duration_ratio),
        figures.change(one.power_ratio),
        energy_of(one.baseline.energy_j, per_work=one.per_work),
        energy_of(one.candidate.energy_j, per_work=one.per_work),
        f"{one.baseline.runs} / {one.candidate.runs}",
        _told(one.reason),
    ]


def _notes(whole: Comparison) -> list[str]:
    told = [f"Interval: {METHOD_WORDS[whole.method]}."] if whole.method else []
    for name, side in (("baseline", whole.baseline), ("candidate", whole.candidate)):
        if side.left_out:
            told.append(f"Left out of the {name}: {_left_out(side)}.")
    return [line for one in told for line in (one, "")]


def _left_out(side: Side) -> str:
    counts: dict[str, int] = {}
    for one in side.left_out:
        counts[one.reason] = counts.get(one.reason, 0) + 1
    shown = [f"{_told(reason)} ({count})" for reason, count in list(counts.items())[:_MOST_NAMED]]
    more = len(counts) - _MOST_NAMED
    return "; ".join([*shown, f"and {more} other reasons"] if more > 0 else shown)


def _budget(budget: BudgetVerdict, report: ComparisonReport) -> str:
    energy = words.energy(budget.energy_j, budget.u95_j, "resolved")
    verdict = BUDGET_WORDS[budget.verdict]
    told = f" ({_told(budget.reason)})" if budget.reason else ""
    limit = words.exact_energy(report.budget_j)
    return (
        f"**Budget** of {limit}, {escape(budget.scenario)}: {verdict}: {energy} over {budget.runs} runs{told}"
    )


def _told(text: str) -> str:
    return escape_all(words.shorten(text, _LONGEST))
