"""Energy held against an absolute limit: here the sensors' gain counts, as nothing cancels it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from energyrecorder_analysis.compare.observe import WHOLE, Observation, Seen
from energyrecorder_analysis.compare.student import t_quantile

KEPT, EXCEEDED, UNDECIDED = "kept", "exceeded", "undecided"


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """The energy of a run of one scenario against a budget; its fields are the API's.

    Args:
        scenario: The scenario.
        verdict: ``exceeded`` when the whole 95 % interval lies above the budget, ``kept`` when it lies
            within, else ``undecided``.
        reason: What the interval knows nothing of, or why there is none; may be empty.
        runs: Runs that were used.
        energy_j: Their mean energy; None without any.
        u95_j: Half width of its 95 % interval.
    """

    scenario: str
    verdict: str
    reason: str
    runs: int
    energy_j: float | None
    u95_j: float | None


def judge_budget(runs: Iterable[Seen], budget_j: float) -> list[BudgetVerdict]:
    """Return the verdict for each scenario of ``runs``; without any, one that is undecided.

    Args:
        runs: The candidate's.
        budget_j: Most that one run as a whole may take.
    """
    by_scenario: dict[str, list[Seen]] = {}
    for run in runs:
        by_scenario.setdefault(run.scenario, []).append(run)
    if not by_scenario:
        return [BudgetVerdict("", UNDECIDED, "the candidate has no run", 0, None, None)]
    return [_scenario(scenario, found, budget_j) for scenario, found in by_scenario.items()]


def _scenario(scenario: str, runs: Sequence[Seen], budget_j: float) -> BudgetVerdict:
    measured = [run.energies[WHOLE] for run in runs if WHOLE in run.energies]
    if not measured:
        why = runs[0].left_out[WHOLE].reason
        return BudgetVerdict(scenario, UNDECIDED, f"no run can be used: {why}", 0, None, None)
    energy_j, u95_j = _mean(measured)
    verdict = UNDECIDED
    if energy_j - u95_j > budget_j:
        verdict = EXCEEDED
    elif energy_j + u95_j <= budget_j:
        verdict = KEPT
    unknown = any(run.u95_gain_j is None for run in measured)
    reason = "the sensors state no accuracy: a constant factor by which they err is not in the interval"
    return BudgetVerdict(scenario, verdict, reason if unknown else "", len(measured), energy_j, u95_j)


def _mean(runs: Sequence[Observation]) -> tuple[float, float]:
    """Return the mean energy and its interval: scatter of the runs, errors of measuring, gain.

    Errors of measuring partly repeat from run to run: they are not taken to average out.
    """
    energies_j = [run.energy_j for run in runs]
    measuring_j = fmean(run.u95_j for run in runs)
    gain_j = fmean(run.u95_gain_j or 0.0 for run in runs)
    scatter_j = 0.0
    if len(runs) > 1:
        scatter_j = t_quantile(0.025, len(runs) - 1) * stdev(energies_j) / math.sqrt(len(runs))
    return fmean(energies_j), math.hypot(measuring_j, gain_j, scatter_j)
