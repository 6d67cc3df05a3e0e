"""What is said of two selections of runs, and that nothing is said where nothing can be."""

import math
from dataclasses import replace

import pytest

from energyrecorder_analysis.compare.budget import judge_budget
from energyrecorder_analysis.compare.family import compare, shares
from energyrecorder_analysis.compare.judge import Rules
from energyrecorder_analysis.compare.observe import WHOLE, observe
from support.runs import result, run, step

RULES = Rules()
SCATTER = (0.0, 0.012, -0.012, 0.005, -0.007, 0.009, -0.004, 0.002, -0.01, 0.007)


def runs(count, energy_j=1000.0, *, first=0, by=2, **more):
    """Return runs that scatter by about 1 %, by turns with another selection."""
    return [
        observe(run(first + by * index, energy_j * math.exp(SCATTER[index % len(SCATTER)]), **more))
        for index in range(count)
    ]


def whole(baseline, candidate, **rules):
    (scenario,) = compare(baseline, candidate, replace(RULES, **rules)).scenarios
    return scenario.whole


@pytest.mark.parametrize(
    ("counts", "factor", "verdict", "method"),
    [
        ((10, 10), 1.08, "regression", "mann-whitney"),
        ((10, 10), 0.92, "improvement", "mann-whitney"),
        ((10, 10), 1.0, "no-change", "mann-whitney"),
        ((10, 10), 1.02, "no-change", "mann-whitney"),
        ((4, 4), 1.2, "regression", "mann-whitney"),
        ((3, 3), 1.2, "inconclusive", "measurement"),
        ((2, 2), 3.0, "inconclusive", "measurement"),
        ((1, 1), 3.0, "inconclusive", "measurement"),
        ((2, 1), 3.0, "inconclusive", "measurement"),
        ((5, 1), 1.2, "regression", "prediction"),
        ((10, 1), 1.0, "no-change", "prediction"),
        ((1, 10), 0.8, "improvement", "prediction"),
    ],
)
def test_number_of_runs_and_size_of_the_change_decide_verdict_and_method(counts, factor, verdict, method):
    found = whole(runs(counts[0]), runs(counts[1], 1000.0 * factor, first=1))
    assert (found.verdict, found.method) == (verdict, method)
    assert found.ratio == pytest.approx(factor, rel=0.02)
    assert (found.baseline.runs, found.candidate.runs) == counts
    if method != "measurement":
        assert found.low <= found.ratio <= found.high


def test_a_change_that_is_real_but_smaller_than_matters_is_none():
    found = whole(runs(10), runs(10, 1025.0, first=1))
    assert found.p < 0.05
    assert (found.verdict, "less than matters" in found.reason) == ("no-change", True)
    assert whole(runs(10), runs(10, 1025.0, first=1), min_effect=0.01).verdict == "regression"


def test_too_few_runs_say_how_many_it_takes():
    found = whole(runs(1), runs(1, 3000.0, first=1))
    assert "at least 4 runs on each side are needed, there are 1 and 1" in found.reason
    assert (found.runs_needed, found.detectable) == (None, None)
    assert found.low == pytest.approx(3 * math.exp(-math.hypot(0.01, 0.01)))
    found = whole(runs(3), runs(3, 1020.0, first=1))
    assert found.runs_needed >= 4
    assert f"about {found.runs_needed} runs on each side" in found.reason


def test_scattered_runs_are_inconclusive_and_say_what_they_would_show():
    baseline = [observe(run(2 * n, 1000.0 * (1 + 0.3 * (n % 3)))) for n in range(6)]
    candidate = [observe(run(2 * n + 1, 1050.0 * (1 + 0.3 * (n % 3)))) for n in range(6)]
    found = whole(baseline, candidate)
    assert found.verdict == "inconclusive"
    assert found.detectable > 0.2
    assert found.baseline.cv == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"state": "failed"}, "ended as failed"),
        ({"state": "running"}, "still runs"),
        ({"tags": {"warmup": "true"}}, "warm-up"),
        ({"quality": "unresolvable"}, "not resolvable: a reason"),
        ({"overlap": 2}, "shared its servers"),
        ({"expected": 2, "reason": "no readings of n2"}, "no readings of n2"),
    ],
)
def test_what_cannot_be_compared_is_left_out_with_its_reason(change, told):
    spoilt = runs(5, first=1, **change)
    found = compare(runs(5), spoilt, RULES)
    assert (found.verdict, told in found.reason) == ("not-comparable", True)
    assert (found.scenarios[0].whole.ratio, found.scenarios[0].whole.candidate.runs) == (None, 0)
    mixed = whole(runs(5), [*runs(5, first=1), spoilt[0]])
    assert mixed.verdict == "no-change"
    assert [out.run_id for out in mixed.candidate.left_out] == ["run-1"]
    assert told in mixed.candidate.left_out[0].reason


def test_a_run_without_a_result_yet_is_left_out():
    waiting = observe(run(1, None))
    assert waiting.left_out[WHOLE].reason == "no result yet"


SIDE = {"n1": {"sources": ["power_control"], "side": "dc", "by": "bmc"}}
METER = {"n1": {"sources": ["meter"], "side": "ac", "by": "meter"}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"servers": ("n2",)}, "other servers: n1 in the baseline, n2 in the candidate"),
        ({"servers": ("n1", "n2")}, "other servers: n1 in the baseline, n1, n2 in the candidate"),
        ({"env": "pod2"}, "ran in 'pod1', the candidate in 'pod2'"),
        ({"per_server": SIDE}, "n1 by power_control (ac) before, n1 by power_control (dc) now"),
        ({"per_server": METER}, "n1 by meter: meter (ac) now"),
    ],
)
def test_other_servers_or_sensors_are_not_compared(change, told):
    found = compare(runs(6), runs(6, 2000.0, first=1, **change), RULES)
    assert (found.verdict, told in found.reason) == ("not-comparable", True)


def test_runs_of_two_places_are_compared_within_each():
    """One pod takes three times the energy of the other: only the common change is seen."""
    other = {"servers": ("n7",)}
    found = whole(
        [*runs(3), *runs(3, 3000.0, first=100, **other)],
        [*runs(3, 1100.0, first=1), *runs(3, 3300.0, first=101, **other)],
    )
    assert (found.verdict, found.method) == ("regression", "mann-whitney")
    assert found.ratio == pytest.approx(1.1, rel=0.02)


STEPS = {"boot": 100.0, "traffic": 700.0, "tail": 200.0}


def test_a_step_that_got_worse_is_found_within_a_run_that_did_not():
    def noisy(count, first, boot=100.0):
        return [
            observe(
                run(
                    first + 2 * n,
                    1000.0 * math.exp(SCATTER[n]),
                    {name: j * math.exp(SCATTER[-n - 1]) for name, j in {**STEPS, "boot": boot}.items()},
                )
            )
            for n in range(count)
        ]

    (found,) = compare(noisy(10, 0), noisy(10, 1, boot=120.0), RULES).scenarios
    assert (found.verdict, found.reason) == ("regression", "steps that got worse: boot")
    assert found.whole.verdict == "no-change"
    assert {one.step: one.verdict for one in found.steps} == {
        ("boot",): "regression",
        ("traffic",): "no-change",
        ("tail",): "no-change",
    }
    (found,) = compare(noisy(10, 0), noisy(10, 1, boot=120.0), RULES, with_steps=False).scenarios
    assert (found.verdict, found.steps) == ("no-change", ())


def test_what_is_enough_alone_is_not_enough_among_many():
    """4 and 4 runs reach p = 1/70 at best: a 21st of 5 % is less."""
    steps = {f"s{n}": 50.0 for n in range(20)}
    baseline = [observe(run(2 * n, 1000.0 + n, steps)) for n in range(4)]
    candidate = [observe(run(2 * n + 1, 1003.5 + n, {**steps, "s3": 60.0 + n})) for n in range(4)]
    (found,) = compare(baseline, candidate, RULES).scenarios
    (third,) = [one for one in found.steps if one.step == ("s3",)]
    assert third.p == pytest.approx(1 / 70)
    assert third.p_adjusted > 0.05
    assert third.verdict == "inconclusive"
    assert "not beyond chance among so many" in third.reason


def test_steps_are_told_apart_by_those_around_them_and_instances_are_added_up():
    body = run(1, 1000.0)
    outer = step("o", 500.0, name="outer", parent="run-1")
    inner = {**step("i", 200.0, name="ping", parent="run-1"), "parent_id": "o"}
    body["steps"] = [
        outer,
        inner,
        step("p", 50.0, name="ping", parent="run-1"),
        step("q", 70.0, name="ping", parent="run-1"),
    ]
    energies = observe(body).energies
    assert {key: one.energy_j for key, one in energies.items()} == {
        (): 1000.0,
        ("outer",): 500.0,
        ("outer", "ping"): 200.0,
        ("ping",): 120.0,
    }
    assert energies["ping",].place.times == 2
    assert energies["ping",].duration_s == 120.0


def test_a_step_that_ran_another_number_of_times_or_not_at_all_is_not_comparable():
    def body(number, names):
        one = run(number, 1000.0)
        one["steps"] = [
            step(f"{number}-{i}", 100.0, name=name, parent=f"run-{number}") for i, name in enumerate(names)
        ]
        return observe(one)

    baseline = [body(2 * n, ["ping", "ping", "gone"]) for n in range(5)]
    candidate = [body(2 * n + 1, ["ping", "new"]) for n in range(5)]
    (found,) = compare(baseline, candidate, RULES).scenarios
    reasons = {one.step: (one.verdict, one.reason) for one in found.steps}
    assert reasons == {
        ("ping",): ("not-comparable", "it ran 2 times in the baseline, 1 times in the candidate"),
        ("gone",): ("not-comparable", "it did not run in the candidate"),
        ("new",): ("not-comparable", "it did not run in the baseline"),
    }
    assert found.verdict == "no-change"


def test_energy_per_unit_of_work_where_both_sides_tell_it():
    """Twice the work at twice the energy is no change; where only one side tells, energies are compared."""
    twice = runs(6, 2000.0, first=1, work=20.0)
    found = whole(runs(6, work=10.0), twice)
    assert (found.verdict, found.per_work) == ("no-change", True)
    assert found.candidate.energy_j == pytest.approx(100.0, rel=0.02)
    assert whole(runs(6), twice).verdict == "regression"


def test_the_ratio_is_taken_apart_into_time_and_power():
    found = whole(runs(5), runs(5, 1210.0, first=1, duration_s=66.0))
    assert found.duration_ratio == pytest.approx(1.1)
    assert found.power_ratio == pytest.approx(1.1, rel=0.02)


def test_a_baseline_that_is_not_there_is_not_comparable():
    found = compare([], runs(5), RULES)
    assert (found.verdict, found.reason) == ("not-comparable", "the baseline has no run of it")
    assert compare(runs(5), [], RULES).verdict == "not-comparable"


def test_the_worst_scenario_decides():
    good, bad = {"scenario": "a"}, {"scenario": "b"}
    found = compare(
        [*runs(8, **good), *runs(8, **bad)],
        [*runs(8, first=1, **good), *runs(8, 1300.0, first=1, **bad)],
        RULES,
    )
    assert (found.verdict, found.reason[:2]) == ("regression", "b:")
    assert [one.verdict for one in found.scenarios] == ["no-change", "regression"]


def test_selections_that_lie_apart_in_time_are_warned_of():
    assert compare(runs(5), runs(5, first=1), RULES).warnings == ()
    (warning,) = compare(runs(5), runs(5, first=1000), RULES).warnings
    assert warning["code"] == "not-interleaved"


def test_a_verdict_that_rests_on_one_run_is_warned_of():
    """It may be the one in twenty that something disturbed."""
    codes = [one["code"] for one in compare(runs(5), runs(1, 1300.0, first=1), RULES).warnings]
    assert codes == ["single-run"]
    assert compare(runs(5), runs(1, first=1), RULES).warnings == ()


def test_a_step_that_is_not_resolvable_says_how_long_it_would_have_to_be():
    """60 s with an interval of 40 % are 20 % at 120 s."""
    spoilt = observe(run(1, 1000.0, quality="unresolvable", u95=0.4))
    assert spoilt.left_out[WHOLE].reason == "not resolvable: a reason; about 120 s would do"


def test_alpha_is_shared_by_scenarios_and_by_run_and_steps():
    assert shares({"a": 0}) == {"a": (1.0, 0.0)}
    assert shares({"a": 4, "b": 0}) == {"a": (0.25, 0.0625), "b": (0.5, 0.0)}
    assert sum(share[0] + 4 * share[1] for share in [shares({"a": 4})["a"]]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("count", "budget_j", "more", "verdict"),
    [
        (1, 1020.0, {}, "kept"),
        (1, 980.0, {}, "exceeded"),
        (1, 1005.0, {}, "undecided"),
        (1, 1020.0, {"u95_gain_j": 50.0}, "undecided"),
        (6, 1020.0, {}, "kept"),
        (6, 970.0, {}, "exceeded"),
        (2, 1050.0, {}, "undecided"),
    ],
)
def test_a_budget_is_exceeded_or_kept_by_the_whole_interval(count, budget_j, more, verdict):
    """The gain of the sensors counts here; two runs say little of how much runs differ."""
    (found,) = judge_budget(runs(count, **more), budget_j)
    assert (found.verdict, found.runs) == (verdict, count)
    assert ("no accuracy" in found.reason) == ("u95_gain_j" not in more)


def test_a_budget_of_runs_that_cannot_be_used_is_undecided():
    (found,) = judge_budget(runs(2, state="failed"), 10.0)
    assert (found.verdict, found.energy_j, "ended as failed" in found.reason) == ("undecided", None, True)


def test_results_from_before_sensors_were_stored_are_comparable_among_themselves():
    old = {"per_server": {"n1": {"energy_j": 1000.0}}}
    assert whole(runs(5, **old), runs(5, first=1, **old)).verdict == "no-change"
    assert result(5.0)["per_server"]["n1"]["energy_j"] == 5.0
