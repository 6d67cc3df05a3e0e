"""Runs of both sides measured against each other, place by place: the shift, its kind, the scatter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from energyrecorder_analysis.compare.observe import Observation
from energyrecorder_analysis.compare.ranks import Shift, can_be_significant, shift
from energyrecorder_analysis.compare.student import LEAST_RUNS, log_sd, mirrored, one_against

RANKS, PREDICTION, MEASUREMENT = "mann-whitney", "prediction", "measurement"
"""How a shift was found; `MEASUREMENT` knows nothing of how much runs differ by themselves."""

Pair = tuple[Sequence[Observation], Sequence[Observation]]
"""Baseline and candidate runs of one place, none empty."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the runs say, before anything is made of it.

    Args:
        sizes: Runs of baseline and candidate.
        medians_j: Their median energies, per unit of work where ``per_work``.
        log_sds: Scatter of their log energies within places; None where no place has two runs.
        log_sd: The same of both sides together.
        shift: How far the candidate lies above the baseline, on a log scale; None for too few runs.
        method: One of `RANKS`, `PREDICTION`, `MEASUREMENT`.
        ratio: Candidate over baseline.
        low: Lower end of its interval; None where nothing bounds it.
        high: Upper end.
        duration_ratio: Of the lengths.
        power_ratio: Of the mean powers.
        per_work: Energies were divided by the units of work.
    """

    sizes: tuple[int, int]
    medians_j: tuple[float, float]
    log_sds: tuple[float | None, float | None]
    log_sd: float | None
    shift: Shift | None
    method: str
    ratio: float
    low: float | None
    high: float | None
    duration_ratio: float
    power_ratio: float
    per_work: bool


def measure(pairs: Sequence[Pair], alpha: float) -> Measured:
    """Return what the runs say.

    Args:
        pairs: One per place, at least one.
        alpha: Error probability of each end of the interval.
    """
    per_work = all(run.work for pair in pairs for side in pair for run in side)

    def log_energy(run: Observation) -> float:
        return math.log(run.energy_j / run.work if per_work and run.work else run.energy_j)

    baseline, candidate = ([[log_energy(run) for run in pair[side]] for pair in pairs] for side in (0, 1))
    found = _shift(baseline, candidate, alpha)
    if found is None:
        middle = _middle_shift(pairs, log_energy)
        half = _measured_half(pairs)
        ends = (None if half is None else middle - half, None if half is None else middle + half)
        method = MEASUREMENT
    else:
        middle, ends = found.estimate, (found.low, found.high)
        method = PREDICTION if 1 in (_count(baseline), _count(candidate)) else RANKS
    low, high = (None if end is None else math.exp(end) for end in ends)
    return Measured(
        sizes=(_count(baseline), _count(candidate)),
        medians_j=(_median_j(baseline), _median_j(candidate)),
        log_sds=(pooled_log_sd(baseline), pooled_log_sd(candidate)),
        log_sd=pooled_log_sd([*baseline, *candidate]),
        shift=found,
        method=method,
        ratio=math.exp(middle),
        low=low,
        high=high,
        duration_ratio=math.exp(_middle_shift(pairs, lambda run: math.log(run.duration_s))),
        power_ratio=math.exp(_middle_shift(pairs, lambda run: math.log(run.energy_j / run.duration_s))),
        per_work=per_work,
    )


def pooled_log_sd(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the scatter within groups of log energies; None when none has two members."""
    told = [group for group in groups if len(group) > 1]
    degrees = sum(len(group) - 1 for group in told)
    squares = sum(log_sd(group) ** 2 * (len(group) - 1) for group in told)
    return math.sqrt(squares / degrees) if degrees else None


def _shift(
    baseline: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]], alpha: float
) -> Shift | None:
    """Return the shift, None where so few runs can tell nothing whatever they say."""
    few, many = sorted((_count(baseline), _count(candidate)))
    if few == 1:
        # Both sides of a pair have runs, so that one run means one pair.
        if many < LEAST_RUNS:
            return None
        if _count(candidate) == 1:
            return one_against(baseline[0], candidate[0][0], alpha)
        return mirrored(one_against(candidate[0], baseline[0][0], alpha))
    strata = list(zip(baseline, candidate, strict=True))
    if not can_be_significant([(len(one), len(other)) for one, other in strata], alpha):
        return None
    return shift(strata, alpha)


def _middle_shift(pairs: Sequence[Pair], log_of: Callable[[Observation], float]) -> float:
    """Return the median of all differences between candidate and baseline runs of one place."""
    sides = [[np.array([log_of(run) for run in side]) for side in pair] for pair in pairs]
    differences = [np.subtract.outer(candidate, baseline).ravel() for baseline, candidate in sides]
    return float(np.median(np.concatenate(differences)))


def _measured_half(pairs: Sequence[Pair]) -> float | None:
    """Return the half width that measuring alone gives the ratio of two single runs; None for more.

    The sensors' gain is the same on both sides and is no part of it.
    """
    if any(len(side) != 1 for pair in pairs for side in pair) or len(pairs) != 1:
        return None
    return math.hypot(*(run.u95_j / run.energy_j for (run,) in pairs[0]))


def _count(groups: Sequence[Sequence[float]]) -> int:
    return sum(map(len, groups))


def _median_j(groups: Sequence[Sequence[float]]) -> float:
    return math.exp(median(log for group in groups for log in group))
