"""What a run should take by the runs before it: their median, and where one more of them would lie."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from energyrecorder_analysis.compare.observe import Observation
from energyrecorder_analysis.compare.student import one_more

LEAST_FOR_BASELINE = 5
"""Fewer bound little: of four the interval reaches 3.6 standard deviations to each side, of twenty 2.1."""
ALPHA = 0.025
"""Error probability of each end of the interval."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What earlier runs took.

    Args:
        energy_j: Median; one disturbed run in twenty does not move it.
        low_j: Lower end of the 95 % prediction interval of one more run (normal on a log scale).
        high_j: Its upper end.
        runs: How many runs there were.
    """

    energy_j: float
    low_j: float
    high_j: float
    runs: int


def baseline(run: Observation, earlier: Iterable[Observation]) -> Baseline | None:
    """Return the baseline of a run; None for too few comparable runs.

    Args:
        run: The run.
        earlier: Runs of its scenario before it; those of another place or amount of work are left out.
    """
    same = [one for one in earlier if (one.place, one.work) == (run.place, run.work)]
    if len(same) < LEAST_FOR_BASELINE:
        return None
    logs = [math.log(one.energy_j) for one in same]
    low, high = one_more(logs, ALPHA)
    return Baseline(math.exp(median(logs)), math.exp(low), math.exp(high), len(same))
