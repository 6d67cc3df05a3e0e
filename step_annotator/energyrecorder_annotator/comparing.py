"""Selected runs from the journal, compared; importing this loads numpy, so routes do it when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from energyrecorder_analysis.compare.budget import judge_budget
from energyrecorder_analysis.compare.family import Compared, compare
from energyrecorder_analysis.compare.judge import Rules
from energyrecorder_analysis.compare.observe import PENDING, Seen, observe
from energyrecorder_analysis.compare.plan import plan
from energyrecorder_analysis.report.compare_junit import render_comparison_junit
from energyrecorder_analysis.report.compare_markdown import render_comparison_markdown
from energyrecorder_analysis.report.compared import ComparisonReport
from energyrecorder_annotator.api.answers import step_detail
from energyrecorder_annotator.journal.base import Journal, StepQuery, StepWithResult
from energyrecorder_annotator.selectors import Selector

_RENDER: Mapping[str, Callable[[ComparisonReport], str]] = {
    "md": render_comparison_markdown,
    "junit": render_comparison_junit,
}
_NOTHING_COMPARED: Mapping[str, Any] = {"verdict": None, "reason": "", "scenarios": [], "warnings": []}


class UnknownRunError(LookupError):
    """A run that was named by its id is not there."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be compared, and how.

    Args:
        candidate: Runs to judge.
        baseline: Runs to compare with; None for a budget alone.
        rules: What counts as a change.
        with_steps: Judge each step, too.
        budget_j: Most that a run may take; None without a budget.
        fail_on: Verdicts that documents show as failures.
        documents: Which documents to make: ``md``, ``junit``.
        scenario: Only this one; None for all of the candidate.
        env: Only this environment; None for all.
    """

    candidate: Selector
    baseline: Selector | None
    rules: Rules
    with_steps: bool = True
    budget_j: float | None = None
    fail_on: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    scenario: str | None = None
    env: str | None = None


class Comparing:
    """Compares runs of the journal.

    Args:
        journal: Where they are.
        envs: Globs of the environments that the caller may see; None for all.
        now_ns: Our wall clock.
    """

    def __init__(self, journal: Journal, *, envs: tuple[str, ...] | None, now_ns: int) -> None:
        self._journal = journal
        self._envs = envs
        self._now_ns = now_ns

    def compare(self, task: Task) -> dict[str, Any]:
        """Return the comparison, ready for JSON.

        Raises:
            UnknownRunError: A run that is named by its id is not there.
        """
        roots = self._roots(task.candidate, task)
        candidate = self._seen(roots)
        compared: Compared | None = None
        baseline: list[Seen] = []
        if task.baseline is not None:
            baseline = self._seen(self._baseline_roots(task.baseline, roots, task))
            compared = compare(baseline, candidate, task.rules, with_steps=task.with_steps)
        budgets = [] if task.budget_j is None else judge_budget(candidate, task.budget_j)
        report = ComparisonReport(
            baseline="" if task.baseline is None else task.baseline.text,
            candidate=task.candidate.text,
            compared=compared,
            budgets=budgets,
            budget_j=task.budget_j,
            rules=task.rules,
            fail_on=task.fail_on,
        )
        return {
            **(_NOTHING_COMPARED if compared is None else asdict(compared)),
            "failures": list(report.failures),
            "baseline": None if task.baseline is None else _side(task.baseline, baseline),
            "candidate": _side(task.candidate, candidate),
            "pending": sum(any(out.reason == PENDING for out in run.left_out.values()) for run in candidate),
            "rules": asdict(task.rules),
            "budget_j": task.budget_j,
            "budgets": [asdict(budget) for budget in budgets],
            "documents": {kind: _RENDER[kind](report) for kind in task.documents},
        }

    def plan(self, query: StepQuery, rules: Rules, *, with_steps: bool) -> dict[str, Any]:
        """Return how many runs it takes to see a change, ready for JSON.

        Args:
            query: Which runs to learn from.
            rules: The change, and how surely it is to be seen.
            with_steps: Plan for the steps, too.
        """
        found = plan(self._seen(self._journal.list_steps(query)), rules, with_steps=with_steps)
        return {"rules": asdict(rules), **asdict(found)}

    def _roots(self, selector: Selector, task: Task) -> list[StepWithResult]:
        query = replace(selector.query(envs=self._envs, scenario=task.scenario), env=task.env)
        roots = self._journal.list_steps(query)
        if selector.run_id is not None and not roots:
            raise UnknownRunError(selector.run_id)
        return roots

    def _baseline_roots(
        self, selector: Selector, candidate: Sequence[StepWithResult], task: Task
    ) -> list[StepWithResult]:
        """Return the runs to compare with: of the candidate's scenarios, without its own runs."""
        own = {step.run_id for step, _ in candidate}
        if selector.run_id is not None:
            return [pair for pair in self._roots(selector, task) if pair[0].run_id not in own]
        found = []
        for scenario in dict.fromkeys(step.scenario for step, _ in candidate):
            query = replace(selector.query(envs=self._envs, scenario=scenario), env=task.env)
            others = self._journal.list_steps(replace(query, limit=query.limit + len(own)))
            found += [pair for pair in others if pair[0].run_id not in own][: query.limit]
        return found

    def _seen(self, roots: Iterable[StepWithResult]) -> list[Seen]:
        found = []
        for root, result in roots:
            steps = self._journal.run_steps(root.run_id)
            body = {
                "run": step_detail((root, result), self._now_ns),
                "steps": [
                    step_detail(pair, self._now_ns) for pair in steps if pair[0].step_id != root.step_id
                ],
            }
            found.append(observe(body))
        return found


def _side(selector: Selector, runs: Sequence[Seen]) -> dict[str, Any]:
    return {"selector": selector.text, "runs": [run.run_id for run in runs]}
