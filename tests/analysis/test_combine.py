"""Servers add up to a step: what is random in quadrature, what is common linearly, what is missing named."""

import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder_analysis.combine import combine, step_energy
from energyrecorder_analysis.curve import power_curve
from energyrecorder_analysis.estimate import ServerEnergy
from energyrecorder_analysis.series import PowerRow, PowerSeries

T0_NS = 1_700_000_000_000_000_000


def part(server="n1", energy_j=1000.0, random_j=30.0, common_j=40.0, **changed):
    values = {
        "server": server,
        "energy_j": energy_j,
        "u95_j": None if energy_j is None else (random_j**2 + common_j**2) ** 0.5,
        "u95_random_j": random_j,
        "u95_common_j": common_j,
        "u95_gain_j": None,
        "avg_w": 100.0,
        "max_w": 150.0,
        "coverage": 0.0 if energy_j is None else 1.0,
        "samples": 10,
        "gaps_ns": (),
        "quality": "resolved",
        "reason": "",
        "method": "poll times",
        "side": "ac",
        "shortest_s": 2.0,
        "too_short": False,
    }
    return ServerEnergy(**{**values, **changed})


def four(**changed):
    return [part(f"n{number}", **changed) for number in range(4)]


def test_random_parts_add_in_quadrature_and_common_ones_linearly():
    step = combine(four(), duration_s=10.0)
    assert step.energy_j == 4000.0
    assert step.u95_j == pytest.approx(((2 * 30.0) ** 2 + (4 * 40.0) ** 2) ** 0.5)
    assert step.avg_w == 400.0


@pytest.mark.parametrize(
    ("random_j", "quality"), [(100.0, "resolved"), (399.0, "coarse"), (401.0, "unresolvable")]
)
def test_quality_is_judged_on_the_sum(random_j, quality):
    """Each server alone is worse: 100 J of 1000 J would be coarse."""
    step = combine(four(random_j=random_j, common_j=0.0, quality="unresolvable"), duration_s=10.0)
    assert step.quality == quality
    assert bool(step.reason) == (quality != "resolved")


def test_a_missing_server_is_named_and_never_resolved():
    step = combine([*four(random_j=1.0, common_j=1.0), part("rack-7", None, 0, 0)], duration_s=10.0)
    assert step.quality == "coarse"
    assert "rack-7" in step.reason
    assert step.energy_j == 4000.0
    assert step.coverage == pytest.approx(0.8)


def test_many_missing_servers_are_counted():
    step = combine([part(f"m{number}", None) for number in range(9)], duration_s=10.0)
    assert (step.energy_j, step.u95_j, step.quality) == (None, None, "unresolvable")
    assert "m0, m1, m2 and 6 more" in step.reason


def test_no_server_at_all_is_said():
    step = combine([], duration_s=10.0)
    assert (step.energy_j, step.quality, step.reason) == (None, "unresolvable", "no server to measure")


@pytest.mark.parametrize(("short_j", "quality"), [(900.0, "resolved"), (1100.0, "unresolvable")])
def test_too_short_counts_where_most_of_the_energy_is(short_j, quality):
    parts = [
        part("fast", 1000.0, 1.0, 1.0),
        part("slow", short_j, 1.0, 1.0, too_short=True, shortest_s=20.0),
    ]
    step = combine(parts, duration_s=12.0)
    assert step.quality == quality
    assert step.energy_j == 1000.0 + short_j
    assert step.u95_j is not None


def test_gain_is_stated_only_when_known_of_all():
    assert combine(four(u95_gain_j=5.0), duration_s=1.0).u95_gain_j == 20.0
    assert combine([part(u95_gain_j=5.0), part("n2")], duration_s=1.0).u95_gain_j is None


def test_side_of_a_mixture_is_mixed():
    assert combine([part(), part("n2", side="dc")], duration_s=1.0).side == "mixed"
    assert combine([part(), part("n2", side=None)], duration_s=1.0).side is None


def test_unknown_delays_do_not_average_out_over_servers():
    """Sixteen servers of declared timing are four times as sure as one; what is assumed is wrong for all."""

    def step(servers, **fields):
        rows = {
            f"n{server}": [
                PowerRow(T0_NS + k * 10**10, 300.0 if 20 <= k < 30 else 200.0, quantum_w=1.0, **fields)
                for k in range(60)
            ]
            for server in range(servers)
        }
        curves = {name: power_curve(PowerSeries.from_rows(name, found)) for name, found in rows.items()}
        return step_energy(curves.items(), T0_NS + 195 * 10**9, T0_NS + 295 * 10**9, clock_error_s=0.0)

    def relative(step):
        return step.u95_j / step.energy_j

    known = {"window_s": 10.0, "refresh_s": 10.0}
    assert relative(step(16, **known)) == pytest.approx(relative(step(1, **known)) / 4, rel=0.01)
    (server,) = step(1).servers.values()
    assert server.u95_common_j > 0.4 * server.u95_j
    assert relative(step(16)) > server.u95_common_j / server.energy_j


def test_largest_sum_is_that_of_the_sum_not_of_the_parts():
    up = [PowerRow(T0_NS + k * 10**9, 100.0 + k, 0.0, 1.0) for k in range(100)]
    down = [PowerRow(T0_NS + k * 10**9, 200.0 - k, 0.0, 1.0) for k in range(100)]
    curves = {
        "up": power_curve(PowerSeries.from_rows("up", up)),
        "down": power_curve(PowerSeries.from_rows("down", down)),
    }
    step = step_energy(curves.items(), T0_NS + 20 * 10**9, T0_NS + 80 * 10**9)
    assert step.max_w == pytest.approx(300.0, abs=1.0)
    assert step.servers["up"].max_w > 175


def curve_of(spacing_s, readings, seed):
    rows = [
        PowerRow(T0_NS + round(k * spacing_s * 1e9), 200.0 + (k * seed) % 97, spacing_s, spacing_s)
        for k in range(readings)
    ]
    return power_curve(PowerSeries.from_rows(f"n{seed}", rows))


@given(
    spacings_s=st.lists(st.sampled_from([0.05, 1.0, 5.0, 60.0]), min_size=2, max_size=5),
    duration_s=st.sampled_from([0.0, 3.0, 500.0, 3000.0]),
)
@settings(max_examples=25, deadline=None)
def test_largest_sum_is_looked_for_at_the_moments_of_the_finest_readings(spacings_s, duration_s):
    curves = [
        (f"n{seed}", curve_of(spacing_s, max(int(3100 / max(spacing_s, 1.0)), 3), seed))
        for seed, spacing_s in enumerate(spacings_s, start=1)
    ]
    points = int(min(duration_s / max(min(spacings_s), 0.1), 2000)) + 2
    at_s = np.linspace(0.0, duration_s, points)
    found = step_energy(curves, T0_NS, T0_NS + round(duration_s * 1e9))
    measured = [name for name, part in found.servers.items() if part.energy_j is not None]
    if len(measured) == len(curves):
        assert found.max_w == pytest.approx(max(sum(curve.watts_at(at_s) for _, curve in curves)))


def test_the_power_of_a_server_is_let_go_of_before_the_next_but_one():
    nodes = []

    def curves():
        for number in range(1, 6):
            curve = curve_of(1.0, 2200, number)
            nodes.append(weakref.ref(curve.node_s))
            assert sum(node() is not None for node in nodes) <= 2
            yield f"n{number}", curve

    assert len(step_energy(curves(), T0_NS, T0_NS + 2100 * 10**9).servers) == 5
