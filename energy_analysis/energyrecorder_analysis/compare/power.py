"""How many runs it takes to see a change, and which change a number of runs would show.

Small numbers are simulated (fixed seed, so that the same question has the same answer): log-normal runs of
which one in twenty takes 20 % more, as test suites do, put through the very test that the gate uses. Larger
ones follow from Noether's formula (JASA 1987, section 2.1) for the same mixture.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from energyrecorder_analysis.compare.ranks import can_be_significant, smallest_significant, upper_tail
from energyrecorder_analysis.compare.student import LEAST_RUNS, t_quantile

DISTURBED_SHARE = 0.05
DISTURBED_LOG = math.log(1.2)
"""Part of runs that something disturbed, and by how much: updates, fans at full speed, retries."""
MOST_RUNS = 200
_SIMULATED_RUNS = 20
_TRIALS = 4000
_SEED = 20260301
_NORMAL = NormalDist()
_LEAST_LEAD = 1e-6
"""A smaller lead of one side over the other takes more runs than anybody counts."""


def cv_of(log_sd: float) -> float:
    """Return the coefficient of variation of energies whose logs vary by ``log_sd``."""
    return math.sqrt(math.expm1(log_sd * log_sd))


def runs_needed(log_sd: float, effect: float, *, alpha: float, power: float) -> int | None:
    """Return the runs on each side that show a change with probability ``power``; None beyond `MOST_RUNS`.

    From 20 on it is rounded up, to 5, from 40 on to 10: no variation is known well enough for more digits.

    Args:
        log_sd: Standard deviation of log energies of undisturbed runs.
        effect: The change, such as 0.05 for 5 % more.
        alpha: Probability of a false alarm.
        power: Probability of seeing the change, below 1 - `DISTURBED_SHARE`.
    """
    # Two digits of a scatter are more than is known of it, and many comparisons share them.
    return _runs_needed(float(f"{log_sd:.1e}"), math.log1p(effect), alpha, power)


@lru_cache(maxsize=1024)
def _runs_needed(log_sd: float, shift: float, alpha: float, power: float) -> int | None:
    by_formula = _noether(log_sd, shift, alpha, power)
    if by_formula <= 1.5 * _SIMULATED_RUNS:
        for runs in range(2, _SIMULATED_RUNS + 1):
            # The formula is at most a third off: far below it nothing needs to be tried.
            if runs < 0.5 * by_formula or not can_be_significant([(runs, runs)], alpha):
                continue
            if simulated_power(runs, runs, log_sd, shift, alpha) >= power:
                return runs
        by_formula = max(by_formula, _SIMULATED_RUNS + 1)
    step = 5 if by_formula <= 2 * _SIMULATED_RUNS else 10
    rounded = math.ceil(by_formula / step) * step
    return rounded if rounded <= MOST_RUNS else None


def simulated_power(baseline: int, candidate: int, log_sd: float, shift: float, alpha: float) -> float:
    """Return how often the one-sided test finds a shift of log energies.

    Args:
        baseline: Runs of the baseline.
        candidate: Runs of the candidate.
        log_sd: Standard deviation of log energies of undisturbed runs.
        shift: True shift on the log scale.
        alpha: Probability of a false alarm.
    """
    random = np.random.default_rng(_SEED)
    size = (_TRIALS, baseline + candidate)
    logs = random.normal(0.0, log_sd, size) + DISTURBED_LOG * (random.random(size) < DISTURBED_SHARE)
    logs[:, baseline:] += shift
    is_candidate = np.argsort(logs, axis=1) >= baseline
    ranks = is_candidate @ np.arange(1, baseline + candidate + 1)
    statistic = ranks - candidate * (candidate + 1) // 2
    needed = smallest_significant(upper_tail(((baseline, candidate),)), alpha)
    return float(np.mean(statistic >= needed))


def detectable(log_sd: float, baseline: int, candidate: int, *, alpha: float, power: float) -> float | None:
    """Return the smallest increase that so many runs show with probability ``power``; None for too few.

    Args:
        log_sd: Standard deviation of log energies.
        baseline: Runs of the baseline.
        candidate: Runs of the candidate.
        alpha: Probability of a false alarm.
        power: Probability of seeing the increase.
    """
    few, many = sorted((baseline, candidate))
    z_power = _NORMAL.inv_cdf(power)
    if few == 1:
        if many < LEAST_RUNS:
            return None
        scale = log_sd * math.sqrt(1 + 1 / many)
        return math.expm1((t_quantile(alpha, many - 1) + z_power) * scale)
    if few == 0 or not can_be_significant([(baseline, candidate)], alpha):
        return None
    z_sum = _NORMAL.inv_cdf(1 - alpha) + z_power
    above = 0.5 + z_sum * math.sqrt((baseline + candidate) / (12 * baseline * candidate))
    return math.expm1(log_sd * math.sqrt(2) * _NORMAL.inv_cdf(min(above, 0.995)))


def _noether(log_sd: float, shift: float, alpha: float, power: float) -> float:
    """Return the runs on each side, not rounded; infinite when the shift is too small to tell."""
    q, spread = DISTURBED_SHARE, log_sd * math.sqrt(2)

    def above(by: float) -> float:
        return _NORMAL.cdf(by / spread)

    likely = ((1 - q) ** 2 + q * q) * above(shift)
    likely += q * (1 - q) * (above(shift + DISTURBED_LOG) + above(shift - DISTURBED_LOG))
    z_sum = _NORMAL.inv_cdf(1 - alpha) + _NORMAL.inv_cdf(power)
    lead = likely - 0.5
    return z_sum**2 / (6 * lead * lead) if lead > _LEAST_LEAD else math.inf
