"""How far two sets of runs differ, by ranks: the exact Mann-Whitney test and the Hodges-Lehmann shift.

Ranks, because one run in twenty is disturbed (an update, a fan, a retry) and would spoil a mean. Runs of
different places (sets of servers) are compared within their place only and counted together: the sum of
Mann-Whitney statistics over strata, whose exact distribution under "no change" is the convolution of theirs.
The interval inverts the same test (Lehmann, Nonparametrics, section 2.6), so it and p never disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Stratum = tuple[Sequence[float], Sequence[float]]
"""Log energies of baseline and candidate runs of one place."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Candidate minus baseline on a log scale.

    Args:
        estimate: Median of all differences (Hodges-Lehmann).
        low: Lower end of the interval whose ends are each missed with probability alpha at most; None where
            so few runs bound nothing.
        high: Its upper end.
        p_greater: Probability of at least this much increase when nothing changed.
        p_less: The same of a decrease.
    """

    estimate: float
    low: float | None
    high: float | None
    p_greater: float
    p_less: float


def shift(strata: Sequence[Stratum], alpha: float) -> Shift:
    """Return how far the candidate lies above the baseline.

    Args:
        strata: At least one, none empty on either side.
        alpha: Error probability of each end of the interval, 0..0.5.
    """
    differences = np.sort(np.concatenate([_differences(stratum) for stratum in strata]))
    pairs = differences.size
    above = float(np.sum(differences > 0) + 0.5 * np.sum(differences == 0))
    tail = upper_tail(tuple((len(baseline), len(candidate)) for baseline, candidate in strata))
    # Ties count half; rounding the statistic down keeps the test on the safe side.
    p_greater = float(tail[int(above)])
    p_less = float(tail[int(pairs - above)])
    cut = pairs - smallest_significant(tail, alpha)
    return Shift(
        estimate=float(np.median(differences)),
        low=float(differences[cut]) if cut >= 0 else None,
        high=float(differences[pairs - 1 - cut]) if cut >= 0 else None,
        p_greater=p_greater,
        p_less=p_less,
    )


def smallest_significant(tail: Floats, alpha: float) -> int:
    """Return the smallest statistic whose tail probability is below ``alpha``; beyond the largest if none."""
    return int(np.sum(tail >= alpha))


def can_be_significant(sizes: Sequence[tuple[int, int]], alpha: float) -> bool:
    """Tell whether any outcome at all of so many runs would have a probability below ``alpha``."""
    return bool(upper_tail(tuple(sizes))[-1] < alpha)


@lru_cache(maxsize=64)
def upper_tail(sizes: tuple[tuple[int, int], ...]) -> Floats:
    """Return P(U >= u) for u = 0, 1, … when nothing changed.

    Args:
        sizes: Runs of baseline and candidate in each stratum.
    """
    pmf = np.ones(1)
    for baseline, candidate in sizes:
        pmf = np.convolve(pmf, _pmf(baseline, candidate))
    tail = np.cumsum(pmf[::-1])[::-1]
    tail.flags.writeable = False
    return tail


def _differences(stratum: Stratum) -> Floats:
    baseline, candidate = (np.asarray(side, dtype=np.float64) for side in stratum)
    return np.subtract.outer(candidate, baseline).ravel()


def _pmf(baseline: int, candidate: int) -> Floats:
    """Return the probabilities of U: coefficients of the Gaussian binomial (Mann and Whitney 1947).

    They are the product of (1 - q^(n+i)) / (1 - q^i) over i = 1..m. Coefficient u depends on lower ones only,
    so that the small numbers of the tail are exact; the upper half mirrors the lower.
    """
    few, many = sorted((baseline, candidate))
    pairs = few * many
    counts = np.zeros(pairs // 2 + 1)
    counts[0] = 1.0
    for i in range(1, few + 1):
        step = many + i
        if step < counts.size:
            counts[step:] -= counts[:-step].copy()
        for first in range(min(i, counts.size)):
            counts[first::i] = np.cumsum(counts[first::i])
    whole = np.concatenate([counts, counts[: (pairs + 1) // 2][::-1]])
    return np.asarray(whole / whole.sum())
