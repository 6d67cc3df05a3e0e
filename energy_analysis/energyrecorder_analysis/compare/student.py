"""Student's t for whole degrees of freedom in closed form, and what one run tells against several.

Abramowitz and Stegun, 26.7.3 and 26.7.4 (t), 26.4.17 (chi-square). scipy has the same and is what the tests
hold these against; its hundred megabytes are no price for three formulas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from energyrecorder_analysis.compare.ranks import Shift

LEAST_RUNS = 3
"""Fewer runs say nothing useful of how much runs differ."""
_LEAST_LOG_SD = 1e-4
"""Runs are never known to differ by less than 0.01 %: equal ones come from a coarse sensor."""
_NORMAL = NormalDist()


def t_upper(t: float, degrees: int) -> float:
    """Return P(T > t) for Student's t.

    Args:
        t: Any number.
        degrees: Degrees of freedom, at least 1.
    """
    theta = math.atan(abs(t) / math.sqrt(degrees))
    sine, cosine2 = math.sin(theta), math.cos(theta) ** 2
    odd = degrees % 2
    term, total = (math.cos(theta), 0.0) if odd else (1.0, 0.0)
    for k in range(2 + odd, degrees + 1, 2):
        total += term
        term *= cosine2 * (k - 1) / k
    within = 2 / math.pi * (theta + sine * total) if odd else sine * total
    tail = max(0.0, (1 - within) / 2)
    return tail if t >= 0 else 1 - tail


def t_quantile(upper: float, degrees: int) -> float:
    """Return the t that is exceeded with probability ``upper``, 0 < upper < 0.5."""
    low, high = 0.0, 1.0
    while t_upper(high, degrees) > upper:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_upper(middle, degrees) > upper else (low, middle)
    return high


def chi2_quantile(lower: float, degrees: float) -> float:
    """Return the chi-square that is not reached with probability ``lower``.

    By Wilson and Hilferty: within 2 % from 2 degrees of freedom on for lower >= 0.1.
    """
    spread = 2 / (9 * degrees)
    return degrees * max(1 - spread + _NORMAL.inv_cdf(lower) * math.sqrt(spread), 1e-3) ** 3


def log_sd(logs: Sequence[float]) -> float:
    """Return the standard deviation of two or more log energies, never less than is ever known."""
    return max(stdev(logs), _LEAST_LOG_SD)


def one_against(logs: Sequence[float], single: float, alpha: float) -> Shift:
    """Return how far one more run lies above ``logs``, by the prediction interval of a normal distribution.

    A one-sample t-test of the old runs against the new value would take that value for exact, and cry wolf in
    16 to 70 % of cases; the factor sqrt(1 + 1/n) is the difference.

    Args:
        logs: Log energies of `LEAST_RUNS` runs or more.
        single: That of the one run.
        alpha: Error probability of each end of the interval.
    """
    low, high = one_more(logs, alpha)
    estimate = single - fmean(logs)
    p_greater = t_upper(estimate / _scale(logs), len(logs) - 1)
    return Shift(estimate, single - high, single - low, p_greater, 1 - p_greater)


def one_more(logs: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the prediction interval of one more run: between which log energies it lies if nothing changed.

    Args:
        logs: Log energies of `LEAST_RUNS` runs or more.
        alpha: Error probability of each end of the interval.
    """
    middle, half = fmean(logs), t_quantile(alpha, len(logs) - 1) * _scale(logs)
    return middle - half, middle + half


def _scale(logs: Sequence[float]) -> float:
    """Return the standard error of one more run against the mean of these."""
    return log_sd(logs) * math.sqrt(1 + 1 / len(logs))


def mirrored(found: Shift) -> Shift:
    """Return the same seen from the other side."""
    low = None if found.high is None else -found.high
    high = None if found.low is None else -found.low
    return Shift(-found.estimate, low, high, found.p_less, found.p_greater)
