"""What earlier runs say a run should take."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import scipy.stats

from energyrecorder_analysis.compare.baseline import LEAST_FOR_BASELINE, baseline
from energyrecorder_analysis.compare.observe import Observation, Place

PLACE = Place("pod1", ("n1", "n2"), ("n1 by dcmi (ac)", "n2 by dcmi (ac)"), 1)


def observation(energy_j, **changes):
    plain = Observation("r", 0, PLACE, energy_j, 1.0, None, 60.0, None)
    return replace(plain, **changes)


def test_the_middle_and_the_interval_are_those_of_scipy():
    """A run that something disturbed widens the interval and leaves the median where it was."""
    energies = [1000.0, 1010.0, 990.0, 1005.0, 2000.0, 995.0]
    found = baseline(observation(1.0), map(observation, energies))
    logs = np.log(energies)
    scale = logs.std(ddof=1) * math.sqrt(1 + 1 / len(logs))
    low, high = scipy.stats.t.interval(0.95, len(logs) - 1, loc=logs.mean(), scale=scale)
    assert (found.low_j, found.high_j) == pytest.approx((math.exp(low), math.exp(high)))
    assert found.energy_j == pytest.approx(math.exp(median(logs)))
    assert found.runs == 6


def test_few_runs_are_no_baseline():
    energies = [1000.0 + number for number in range(LEAST_FOR_BASELINE)]
    assert baseline(observation(1.0), map(observation, energies)) is not None
    assert baseline(observation(1.0), map(observation, energies[1:])) is None


@pytest.mark.parametrize(
    "other",
    [
        {"place": PLACE._replace(servers=("n1", "n3"))},
        {"place": PLACE._replace(sensors=("n1 by dcmi (ac)", "n2 by dcmi (dc)"))},
        {"place": PLACE._replace(env="pod2")},
        {"work": 10.0},
    ],
)
def test_what_cannot_be_compared_is_no_part_of_it(other):
    """Other servers, sensors, sides, environment or amount of work: as `compare` has it."""
    same = [observation(1000.0 + number) for number in range(6)]
    found = baseline(observation(1.0), [*same, *(observation(5000.0, **other) for _ in range(6))])
    assert (found.runs, found.energy_j) == (6, pytest.approx(1002.5, rel=1e-5))
    assert baseline(observation(1.0, **other), same) is None


def test_one_more_run_lies_within_as_often_as_it_says():
    """4,000 trials of ten runs and one more: 95 % within four standard errors."""
    random = np.random.default_rng(5)
    trials = np.exp(random.normal(7, 0.03, (4000, 11)))
    within = 0
    for *earlier, energy_j in trials.tolist():
        found = baseline(observation(energy_j), map(observation, earlier))
        within += found.low_j <= energy_j <= found.high_j
    assert within / 4000 == pytest.approx(0.95, abs=4 * math.sqrt(0.05 * 0.95 / 4000))
