"""The test of ranks, its interval, and Student's t, held against scipy and against their own definitions."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder_analysis.compare.holm import adjusted
from energyrecorder_analysis.compare.power import DISTURBED_LOG
from energyrecorder_analysis.compare.ranks import can_be_significant, shift, upper_tail
from energyrecorder_analysis.compare.student import chi2_quantile, mirrored, one_against, t_quantile, t_upper
from support.runs import log_sd_of

UNHURRIED = settings(max_examples=100, deadline=None)

logs = st.lists(st.floats(-3, 3), min_size=1, max_size=9, unique=True)


@UNHURRIED
@given(logs, logs)
def test_the_probabilities_are_those_of_scipy(baseline, candidate):
    """Without ties they are exact and equal; with ties scipy's exact method does not apply."""
    if len({*baseline, *candidate}) < len(baseline) + len(candidate):
        return
    found = shift([(baseline, candidate)], 0.05)
    for alternative, p in (("greater", found.p_greater), ("less", found.p_less)):
        oracle = scipy.stats.mannwhitneyu(candidate, baseline, alternative=alternative, method="exact")
        assert p == pytest.approx(oracle.pvalue, abs=1e-12)


@pytest.mark.parametrize(("baseline", "candidate"), [(3, 4), (60, 70), (200, 200), (1, 200)])
def test_the_tail_is_exact_where_it_matters(baseline, candidate):
    """The two most extreme outcomes have one arrangement each: 1 and 2 of C(n+m, m)."""
    tail = upper_tail(((baseline, candidate),))
    arrangements = math.comb(baseline + candidate, candidate)
    assert tail[-1] == pytest.approx(1 / arrangements, rel=1e-9)
    assert tail[-2] == pytest.approx(2 / arrangements, rel=1e-9)
    assert tail[0] == pytest.approx(1)
    assert len(tail) == baseline * candidate + 1


def test_strata_are_counted_together_as_all_arrangements_within_them_say():
    """Brute force: every way to call runs "candidate" within each place is equally likely."""
    places = [([1.0, 2.5, 4.0], [3.0, 5.0]), ([10.0, 12.0], [11.0, 13.0])]

    def statistic(split):
        return sum(c > b for baseline, candidate in split for b in baseline for c in candidate)

    def splits(baseline, candidate):
        runs = [*baseline, *candidate]
        for chosen in itertools.combinations(range(len(runs)), len(candidate)):
            yield [run for i, run in enumerate(runs) if i not in chosen], [runs[i] for i in chosen]

    everything = list(itertools.product(*(splits(*place) for place in places)))
    as_extreme = sum(statistic(split) >= statistic(places) for split in everything)
    assert shift(places, 0.05).p_greater == pytest.approx(as_extreme / len(everything))


@UNHURRIED
@given(
    st.lists(st.integers(0, 4), min_size=4, max_size=8), st.lists(st.integers(0, 4), min_size=4, max_size=8)
)
def test_ties_are_never_taken_for_evidence(baseline, candidate):
    """Equal values count half, rounded down: p is at least what breaking the ties gives at best."""
    found = shift([(baseline, candidate)], 0.05)
    broken = shift([(baseline, [one + 0.5 for one in candidate])], 0.05)
    assert found.p_greater >= broken.p_greater
    if set(baseline) == set(candidate) and len(set(baseline)) == 1:
        assert found.p_greater > 0.5
        assert found.p_less > 0.5


@UNHURRIED
@given(logs, logs, st.sampled_from([0.01, 0.05, 0.1]))
def test_interval_and_probability_never_disagree(baseline, candidate, alpha):
    found = shift([(baseline, candidate)], alpha)
    if 0 in np.subtract.outer(candidate, baseline):
        return
    assert (found.p_greater < alpha) == (found.low is not None and found.low > 0)
    assert (found.p_less < alpha) == (found.high is not None and found.high < 0)
    if found.low is not None:
        assert found.low <= found.estimate <= found.high
    assert (found.low is None) == (not can_be_significant([(len(baseline), len(candidate))], alpha))


@UNHURRIED
@given(logs, logs)
def test_the_other_side_sees_the_same(baseline, candidate):
    one, other = shift([(baseline, candidate)], 0.05), mirrored(shift([(candidate, baseline)], 0.05))
    assert one.p_greater == pytest.approx(other.p_greater, abs=1e-12)
    assert one.estimate == pytest.approx(other.estimate, abs=1e-12)
    assert (one.low is None) == (other.low is None)
    if one.low is not None:
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


@pytest.mark.parametrize(
    ("sizes", "possible"),
    [((3, 3), False), ((3, 4), True), ((4, 4), True), ((2, 5), True), ((2, 4), False), ((1, 19), False)],
)
def test_fewer_than_about_four_runs_a_side_can_tell_nothing(sizes, possible):
    assert can_be_significant([sizes], 0.05) is possible


@pytest.mark.parametrize("disturbed", [0.0, 0.05])
@pytest.mark.parametrize("runs", [5, 12])
def test_the_interval_holds_the_truth_as_often_as_it_says(runs, disturbed):
    """Both ends at 2.5 %: at least 93 % of 2,000 simulated intervals hold the true shift."""
    random = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        sides = random.normal(0, 0.03, (2, runs)) + DISTURBED_LOG * (random.random((2, runs)) < disturbed)
        found = shift([(sides[0], sides[1] + 0.04)], 0.025)
        held += found.low <= 0.04 <= found.high
    assert held / 2000 >= 0.93


def test_students_t_is_that_of_scipy():
    for degrees in range(1, 60):
        for t in np.linspace(-8, 8, 33):
            assert t_upper(t, degrees) == pytest.approx(scipy.stats.t.sf(t, degrees), abs=1e-13)
        for upper in (0.2, 0.05, 0.025, 0.001):
            assert t_quantile(upper, degrees) == pytest.approx(scipy.stats.t.isf(upper, degrees), rel=1e-9)


def test_chi_square_is_near_that_of_scipy():
    for degrees in (2.6, 3, 5, 9.5, 40):
        oracle = scipy.stats.chi2.ppf(0.1, degrees)
        assert chi2_quantile(0.1, degrees) == pytest.approx(oracle, rel=0.03)


@pytest.mark.parametrize("runs", [3, 5, 10, 29])
def test_one_run_against_several_cries_wolf_as_rarely_as_it_says(runs):
    """4,000 trials without a change: 5 % within four standard errors (a one-sample t-test: 16 to 70 %)."""
    random = np.random.default_rng(11)
    trials = random.normal(0, log_sd_of(0.03), (4000, runs + 1))
    alarms = sum(one_against(list(trial[1:]), trial[0], 0.05).p_greater < 0.05 for trial in trials)
    assert alarms / 4000 == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 4000))


def test_equal_runs_do_not_divide_by_zero():
    found = one_against([5.0, 5.0, 5.0], 5.06, 0.05)
    assert found.p_greater < 0.05
    assert one_against([5.0, 5.0, 5.0], 5.0, 0.05).p_greater == pytest.approx(0.5)


def test_holm_is_that_of_its_paper():
    """Equal weights: the plain procedure, by hand; a heavier hypothesis is rejected sooner."""
    assert adjusted([0.01, 0.04, 0.03], [1, 1, 1]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted([0.02, 0.02], [3, 1]) == pytest.approx([0.02 * 4 / 3, 0.02 * 4 / 3])
    assert adjusted([], []) == []


@UNHURRIED
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=12))
def test_holm_never_makes_a_probability_smaller_and_keeps_their_order(pairs):
    p, weights = [one for one, _ in pairs], [one for _, one in pairs]
    found = adjusted(p, weights)
    assert all(before <= after + 1e-12 for before, after in zip(p, found, strict=True))
    assert all(0 <= one <= 1 for one in found)
    order = sorted(range(len(p)), key=lambda index: p[index] / weights[index])
    assert all(found[one] <= found[two] for one, two in itertools.pairwise(order))
