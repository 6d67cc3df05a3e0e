"""What may be said of two measured sides, and what is missing where nothing may."""

from __future__ import annotations

import math
from dataclasses import dataclass

from energyrecorder.figures import change
from energyrecorder_analysis.compare.measure import Measured
from energyrecorder_analysis.compare.observe import LeftOut
from energyrecorder_analysis.compare.power import cv_of, detectable, runs_needed
from energyrecorder_analysis.compare.ranks import Shift

REGRESSION, IMPROVEMENT, NO_CHANGE = "regression", "improvement", "no-change"
INCONCLUSIVE, NOT_COMPARABLE = "inconclusive", "not-comparable"
VERDICTS = (REGRESSION, NOT_COMPARABLE, INCONCLUSIVE, IMPROVEMENT, NO_CHANGE)
"""From what matters most to what matters least."""

LeftOuts = tuple[tuple[LeftOut, ...], tuple[LeftOut, ...]]
"""Of baseline and candidate."""
_LEAST_CHANCE = 1e-4
"""Smaller probabilities are told as being smaller, not by a figure that no number of runs supports."""
LEAST_FOR_RANKS = 4
"""Runs on each side from which ranks can tell anything at 5 %."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as a change.

    Args:
        alpha: Probability of a false alarm, over everything that is compared at once.
        min_effect: Change that matters, such as 0.05 for 5 %.
        power: Probability with which a change of that size is to be seen; for the advice how many runs.
    """

    alpha: float = 0.05
    min_effect: float = 0.05
    power: float = 0.8


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Args:
        runs: How many were compared.
        energy_j: Their median energy (per unit of work where both sides tell it); None without any.
        cv: Their coefficient of variation; None for fewer than two.
        left_out: Runs that could not be compared.
    """

    runs: int = 0
    energy_j: float | None = None
    cv: float | None = None
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One step, or the whole of a run, compared; its fields are the API's.

    Args:
        step: Names from the outermost step on; empty for the whole.
        baseline: What it is compared with.
        candidate: What is judged.
        verdict: One of `VERDICTS`.
        reason: Why, in words; what is missing where nothing could be told.
        method: How the interval was found; empty where nothing could be compared.
        ratio: Candidate over baseline; None where nothing could be compared.
        low: Lower end of the ratio's interval, missed with probability alpha; None where nothing bounds it.
        high: Its upper end.
        p: Probability of such an increase when nothing changed.
        p_adjusted: The same in view of everything that is compared at once: what is held against alpha.
        duration_ratio: Of the lengths.
        power_ratio: Of the mean powers.
        runs_needed: Runs on each side that would show a change of the size that matters.
        detectable: Smallest increase that the present number of runs shows.
        per_work: Energies were divided by the units of work.
    """

    step: tuple[str, ...]
    baseline: Side
    candidate: Side
    verdict: str = NOT_COMPARABLE
    reason: str = ""
    method: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    duration_ratio: float | None = None
    power_ratio: float | None = None
    runs_needed: int | None = None
    detectable: float | None = None
    per_work: bool = False


def judge(
    step: tuple[str, ...],
    measured: Measured,
    left_out: LeftOuts,
    rules: Rules,
    *,
    adjusted: tuple[float, float],
    share: float,
) -> Comparison:
    """Return the verdict.

    Args:
        step: Names of the step.
        measured: What the runs say.
        left_out: Runs that could not be compared.
        rules: What counts as a change.
        adjusted: Probability of such an increase, and of such a decrease, by chance, in view of everything
            that is compared at once.
        share: Part of alpha that this comparison has to itself, for the advice how many runs.
    """
    alpha = rules.alpha * share
    sd, sizes = measured.log_sd, measured.sizes
    needed = None if sd is None else runs_needed(sd, rules.min_effect, alpha=alpha, power=rules.power)
    verdict, reason = _verdict(measured.shift, adjusted, rules)
    if verdict == INCONCLUSIVE:
        reason = f"{reason}; {_advice(sizes, needed, scatter_known=sd is not None)}"
    baseline, candidate = (
        Side(sizes[index], measured.medians_j[index], None if one is None else cv_of(one), left_out[index])
        for index, one in enumerate(measured.log_sds)
    )
    return Comparison(
        step=step,
        baseline=baseline,
        candidate=candidate,
        verdict=verdict,
        reason=reason,
        method=measured.method,
        ratio=measured.ratio,
        low=measured.low,
        high=measured.high,
        p=None if measured.shift is None else measured.shift.p_greater,
        p_adjusted=None if measured.shift is None else adjusted[0],
        duration_ratio=measured.duration_ratio,
        power_ratio=measured.power_ratio,
        runs_needed=needed,
        detectable=None if sd is None else detectable(sd, *sizes, alpha=alpha, power=rules.power),
        per_work=measured.per_work,
    )


def _verdict(found: Shift | None, adjusted: tuple[float, float], rules: Rules) -> tuple[str, str]:
    """Return verdict and reason.

    A change is one when chance does not explain it and it is not shown to be smaller than what matters.
    (Asking for an estimate beyond what matters as well would miss every second change of just that size.)
    """
    if found is None:
        return INCONCLUSIVE, "so few runs do not tell how much runs differ by themselves"
    limit = math.log1p(rules.min_effect)
    between = f"the change lies between {_end(found.low)} and {_end(found.high)}"
    if found.low is not None and found.high is not None and -limit < found.low and found.high < limit:
        return NO_CHANGE, f"{between}, less than matters"
    for verdict, probability in ((REGRESSION, adjusted[0]), (IMPROVEMENT, adjusted[1])):
        if probability < rules.alpha:
            return verdict, f"{between}; chance alone does this in {_chance(probability)}"
    if min(found.p_greater, found.p_less) < rules.alpha:
        return INCONCLUSIVE, f"{between}, which is not beyond chance among so many comparisons"
    return INCONCLUSIVE, between


def _end(log_change: float | None) -> str:
    return "anything" if log_change is None else change(math.exp(log_change))


def _chance(probability: float) -> str:
    if probability < _LEAST_CHANCE:
        return f"less than {100 * _LEAST_CHANCE:g} % of cases"
    return f"{100 * probability:.2g} % of cases"


def _advice(sizes: tuple[int, int], needed: int | None, *, scatter_known: bool) -> str:
    there = f"there are {sizes[0]} and {sizes[1]}"
    if not scatter_known:
        return f"at least {LEAST_FOR_RANKS} runs on each side are needed, {there}"
    if needed is None:
        return "the runs differ so much that more than 200 on each side would be needed"
    if needed > min(sizes):
        return f"about {needed} runs on each side would show a change that matters, {there}"
    return f"more runs would tell, {there}"
