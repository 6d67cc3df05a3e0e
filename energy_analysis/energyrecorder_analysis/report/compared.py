"""What a document about a comparison shows, and its words: the same for Markdown and JUnit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from energyrecorder_analysis.compare.budget import EXCEEDED, BudgetVerdict
from energyrecorder_analysis.compare.family import Compared, ScenarioComparison
from energyrecorder_analysis.compare.judge import INCONCLUSIVE, NOT_COMPARABLE, REGRESSION, Comparison, Rules
from energyrecorder_analysis.report import words

VERDICT_WORDS = {
    "regression": "✗ more energy",
    "improvement": "✓ less energy",
    "no-change": "✓ no change",
    "inconclusive": "? inconclusive",
    "not-comparable": "\u2013 not comparable",
}
BUDGET_WORDS = {"kept": "✓ within", "exceeded": "✗ above", "undecided": "? undecided"}
METHOD_WORDS = {
    "mann-whitney": "runs against runs by their ranks (Mann-Whitney, Hodges-Lehmann)",
    "prediction": "one run against the scatter of the others (prediction interval)",
    "measurement": "errors of measuring alone, as nothing is known of how much runs differ",
}


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """A comparison as a document shows it.

    Args:
        baseline: How the baseline was selected; empty for a budget alone.
        candidate: How the candidate was selected.
        compared: The comparison; None for a budget alone.
        budgets: Verdicts about the budget, by scenario.
        budget_j: The budget; None without one.
        rules: What counts as a change.
        fail_on: Verdicts that count as failures.
    """

    baseline: str
    candidate: str
    compared: Compared | None
    budgets: Sequence[BudgetVerdict]
    budget_j: float | None
    rules: Rules
    fail_on: Collection[str] = (REGRESSION,)

    @property
    def failures(self) -> tuple[str, ...]:
        """What fails: ``regression``, ``budget``, ``inconclusive``, ``not-comparable``; empty if all is well.

        An undecided budget is inconclusive.
        """
        found = [] if self.compared is None else [self.compared.verdict]
        verdicts = {budget.verdict for budget in self.budgets}
        if EXCEEDED in verdicts:
            found.append("budget")
        elif "undecided" in verdicts:
            found.append(INCONCLUSIVE)
        failing = {REGRESSION, "budget", *self.fail_on}
        order = (REGRESSION, "budget", INCONCLUSIVE, NOT_COMPARABLE)
        return tuple(one for one in order if one in found and one in failing)


def scenarios(report: ComparisonReport) -> Sequence[ScenarioComparison]:
    """Return the scenarios that were compared."""
    return () if report.compared is None else report.compared.scenarios


def comparisons(scenario: ScenarioComparison) -> Iterator[Comparison]:
    """Yield the whole, then its steps."""
    yield scenario.whole
    yield from scenario.steps


def name_of(comparison: Comparison) -> str:
    """Return the name of a step with those around it; of the whole, what it is."""
    return " / ".join(words.shorten(one, 60) for one in comparison.step) or "run as a whole"


def energy_of(energy_j: float | None, *, per_work: bool) -> str:
    """Return a median energy."""
    return words.exact_energy(energy_j) + (" per unit" if per_work and energy_j is not None else "")


def rules_in_words(report: ComparisonReport) -> str:
    """Return what the figures mean."""
    rules = report.rules
    sure = 100 * (1 - 2 * rules.alpha)
    return (
        f"A change matters from {100 * rules.min_effect:.3g} % on; false alarms over all of it together: "
        f"at most {100 * rules.alpha:.3g} %. The interval holds the true change in {sure:.3g} % of cases."
    )
