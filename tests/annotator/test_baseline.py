"""The baseline at a run's point in a real InfluxDB: which runs it is made of, and when it goes again."""

from __future__ import annotations

import uuid
from statistics import median

import pytest

from annotator.test_influx_sink import T0, Bench
from energyrecorder_annotator.baseline import LAST
from energyrecorder_annotator.journal.base import StepQuery
from support.steps import SECOND, start, stop

FIELDS = ("baseline_wh", "baseline_low_wh", "baseline_high_wh", "baseline_runs")


@pytest.fixture
def bench(tmp_path, influxd):
    one = Bench(tmp_path, influxd.url, f"db{uuid.uuid4().hex}")
    yield one
    one.close()


def run(bench, number, energy_wh, *, outcome="passed", scenario="functest", env="pod1", **result):
    """Let a run take place and have its result."""
    run_id = f"{env}-{scenario}-{number}"
    began = T0 + 100 * number
    bench.take(start(run_id, began, scenario=scenario, env=env), stop(run_id, began + 60, outcome))
    bench.result(run_id, energy_wh * 3600, **result)
    bench.deliver()
    return run_id


def row(bench, run_id):
    (found,) = bench.rows(where=f"WHERE run_id = '{run_id}'")
    return found


def baseline_of(bench, run_id):
    return tuple(row(bench, run_id).get(name) for name in FIELDS)


def recompute(bench, run_id, **result):
    """Look at a result again, with another one to find."""
    bench.journal.submit(lambda t: t.look_again(StepQuery(step_id=run_id), T0 * SECOND)).result(60)
    bench.result(run_id, **result)
    bench.deliver()


def test_a_run_stands_beside_the_median_of_those_before_it(bench):
    """From the sixth on; each by the runs before it, the last twenty of them."""
    energies = [100.0 + number % 7 for number in range(LAST + 4)]
    runs = [run(bench, number, energy_wh) for number, energy_wh in enumerate(energies)]
    assert all(baseline_of(bench, run_id) == (None,) * 4 for run_id in runs[:5])
    for number in (5, 12, len(runs) - 1):
        before = energies[max(0, number - LAST) : number]
        middle, low, high, count = baseline_of(bench, runs[number])
        assert (middle, count) == (pytest.approx(median(before), rel=1e-3), len(before))
        assert low < min(before) + 1
        assert high > max(before) - 1


def test_only_comparable_runs_count(bench):
    """Passed, measured, same servers, environment and scenario, however many failed since."""
    part = {"energy_j": 1.0, "u95_j": 1.0, "avg_w": 1.0}
    for number in range(6):
        run(bench, number, 100.0)
    run(bench, 10, 900.0, outcome="failed")
    run(bench, 11, 900.0, quality="unresolvable", reason="too short")
    run(bench, 12, 900.0, overlap=1)
    run(bench, 13, 900.0, expected=2)
    run(bench, 14, 900.0, per_server={"n2": part})
    run(bench, 15, 900.0, env="pod2")
    run(bench, 16, 900.0, scenario="other")
    for number in range(20, 20 + LAST):
        run(bench, number, 900.0, outcome="failed")
    middle, _, _, count = baseline_of(bench, run(bench, 20 + LAST, 100.0))
    assert (middle, count) == (pytest.approx(100.0), 6)


@pytest.mark.parametrize(
    "unlike", [{"outcome": "failed"}, {"overlap": 1}, {"per_server": {"n2": {}}}, {"scenario": "other"}]
)
def test_what_cannot_be_compared_has_none(bench, unlike):
    for number in range(6):
        run(bench, number, 100.0)
    assert baseline_of(bench, run(bench, 7, 100.0, **unlike)) == (None,) * 4


def test_a_run_that_is_computed_anew_is_held_against_the_runs_before_it(bench):
    """Never against those that came later, however much they took."""
    runs = [run(bench, number, 100.0) for number in range(7)]
    for number in range(10, 20):
        run(bench, number, 500.0)
    recompute(bench, runs[6], energy_j=360_180.0)
    middle, _, _, count = baseline_of(bench, runs[6])
    assert (row(bench, runs[6])["energy_j"], middle, count) == (360_180.0, pytest.approx(100.0), 6)


def test_a_baseline_goes_with_the_energy(bench):
    """Computed anew and not to be resolved any more: nothing of it stays in the point."""
    runs = [run(bench, number, 100.0) for number in range(7)]
    assert baseline_of(bench, runs[6])[3] == 6
    recompute(bench, runs[6], quality="unresolvable", reason="gaps")
    assert baseline_of(bench, runs[6]) == (None,) * 4


def test_steps_have_none(bench):
    for number in range(7):
        run_id = f"r{number}"
        began = T0 + 100 * number
        bench.take(start(run_id, began), start(f"s{number}", began, step="boot", parent=run_id))
        bench.take(stop(f"s{number}", began + 50), stop(run_id, began + 60))
        bench.result(run_id, 360_000.0)
        bench.result(f"s{number}", 180_000.0)
    bench.deliver()
    with_one = bench.rows(columns='"step_id", "baseline_runs"', where="WHERE baseline_runs > 0")
    assert {found["step_id"] for found in with_one} == {"r5", "r6"}
