"""A comparison as a JUnit file: a suite for each scenario, a case for the run, each step and the budget."""

from __future__ import annotations

from collections.abc import Sequence

from energyrecorder_analysis.compare.budget import EXCEEDED, KEPT, BudgetVerdict
from energyrecorder_analysis.compare.family import Compared, ScenarioComparison
from energyrecorder_analysis.compare.judge import INCONCLUSIVE, NOT_COMPARABLE, REGRESSION, Comparison
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.compared import (
    ComparisonReport,
    comparisons,
    name_of,
    rules_in_words,
    scenarios,
)
from energyrecorder_analysis.report.junit import document, properties
from energyrecorder_analysis.report.markup import Markup, element, join, text

_UNTOLD = (INCONCLUSIVE, NOT_COMPARABLE)
_NOTHING = "comparison"


def render_comparison_junit(report: ComparisonReport) -> str:
    """Return the comparison as JUnit XML.

    Failures are regressions and a budget that is exceeded, and of the run as a whole what ``fail_on`` names;
    what else could not be told is skipped with its reason.
    """
    cases = {one.scenario: _cases(one, report) for one in scenarios(report)}
    for budget in report.budgets:
        cases.setdefault(budget.scenario, []).append(_budget_case(budget, report))
    if not cases and report.compared is not None:
        # A file without a case would look like one in which all is well.
        cases[_NOTHING] = [_nothing_case(report.compared, report)]
    suites = join(_suite(scenario, found, report) for scenario, found in cases.items())
    return document(element("testsuites", suites, name="energy"))


Case = tuple[str, Markup]
"""What it ended as (``failure``, ``skipped`` or empty), and the element."""


def _suite(scenario: str, cases: Sequence[Case], report: ComparisonReport) -> Markup:
    ended = [kind for kind, _ in cases]
    selected = [("energy_baseline", report.baseline), ("energy_candidate", report.candidate)]
    return element(
        "testsuite",
        properties([*selected, ("energy_rules", rules_in_words(report))]),
        *(case for _, case in cases),
        name=scenario,
        tests=str(len(cases)),
        failures=str(ended.count("failure")),
        errors="0",
        skipped=str(ended.count("skipped")),
    )


def _cases(scenario: ScenarioComparison, report: ComparisonReport) -> list[Case]:
    found = []
    for one in comparisons(scenario):
        fails = one.verdict == REGRESSION or (not one.step and one.verdict in report.fail_on)
        kind = "failure" if fails else "skipped" if one.verdict in _UNTOLD else ""
        found.append(
            _case(scenario.scenario, name_of(one), kind, f"{one.verdict}: {one.reason}", _figures(one))
        )
    return found


def _nothing_case(compared: Compared, report: ComparisonReport) -> Case:
    kind = "failure" if compared.verdict in report.fail_on else "skipped"
    return _case(_NOTHING, "candidate", kind, f"{compared.verdict}: {compared.reason}", [])


def _budget_case(budget: BudgetVerdict, report: ComparisonReport) -> Case:
    energy = words.energy(budget.energy_j, budget.u95_j, "resolved")
    told = f"{budget.verdict}: {energy} against {words.exact_energy(report.budget_j)}"
    fails = budget.verdict == EXCEEDED or (budget.verdict != KEPT and INCONCLUSIVE in report.fail_on)
    kind = "failure" if fails else "" if budget.verdict == KEPT else "skipped"
    figures = [
        ("energy_budget_j", report.budget_j),
        ("energy_j", budget.energy_j),
        ("energy_u95_j", budget.u95_j),
    ]
    message = f"{told}; {budget.reason}" if budget.reason else told
    return _case(budget.scenario, "budget", kind, message, figures)


def _case(scenario: str, name: str, kind: str, message: str, figures: Sequence[tuple[str, object]]) -> Case:
    ended = element(kind, message=message) if kind else Markup("")
    case = element(
        "testcase",
        properties(figures),
        ended,
        element("system-out", text(message)),
        classname=f"energy.{scenario}",
        name=name,
    )
    return kind, case


def _figures(one: Comparison) -> list[tuple[str, object]]:
    return [
        ("energy_verdict", one.verdict),
        ("energy_ratio", one.ratio),
        ("energy_ratio_low", one.low),
        ("energy_ratio_high", one.high),
        ("energy_p_adjusted", one.p_adjusted),
        ("energy_baseline_j", one.baseline.energy_j),
        ("energy_candidate_j", one.candidate.energy_j),
        ("energy_baseline_runs", one.baseline.runs),
        ("energy_candidate_runs", one.candidate.runs),
    ]
