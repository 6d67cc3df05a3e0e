"""True power: exact integrals, reboots, formulas, traces."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder_bmcsim.formula import parse_formula
from energyrecorder_bmcsim.power import (
    NS_PER_S,
    Adjusted,
    Constant,
    Looped,
    OffTime,
    PowerTimeline,
    Sampled,
    Steps,
)
from energyrecorder_bmcsim.power_spec import parse_csv, read_power

START_NS = 1_800_000_000 * NS_PER_S
watts = st.floats(0, 2000)


@st.composite
def series(draw):
    """Any kind of series whose values change at multiples of 0.5 s."""
    count = draw(st.integers(1, 6))
    widths = draw(st.lists(st.integers(1, 8), min_size=count, max_size=count))
    times_s = [0.5 * sum(widths[:index]) for index in range(count)]
    powers_w = draw(st.lists(watts, min_size=count, max_size=count))
    base = draw(
        st.sampled_from(
            [
                Constant(powers_w[0]),
                Steps(times_s, powers_w),
                Looped(times_s, powers_w, times_s[-1] + 0.5 * widths[-1]),
                Sampled(lambda t_s: 100 + powers_w[0] * (int(2 * t_s) % 3), 0.5),
            ]
        )
    )
    return Adjusted(
        base, draw(st.floats(0, 3)), 0.5 * draw(st.integers(-20, 20)), draw(st.sampled_from([1, 2]))
    )


@st.composite
def timelines(draw):
    timeline = PowerTimeline(draw(series()), start_ns=START_NS, speed=draw(st.sampled_from([1, 2])))
    for _ in range(draw(st.integers(0, 3))):
        start_ns = START_NS + draw(st.integers(-20, 40)) * NS_PER_S // 4
        length_ns = draw(st.integers(1, 20)) * NS_PER_S // 4
        timeline.switch_off(OffTime(start_ns, start_ns + length_ns, draw(watts)))
    return timeline


@given(timelines(), st.integers(-40, 40), st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_energy_is_the_integral_of_the_watts(timeline, start, length):
    """Every change lies on a multiple of 1/8 s, so the sum over such cells is the exact integral."""
    from_ns = START_NS + start * NS_PER_S // 4
    cell_ns = NS_PER_S // 8
    expected_j = sum(
        timeline.watts(from_ns + index * cell_ns + cell_ns // 2) / 8 for index in range(2 * length)
    )
    assert timeline.energy_j(from_ns, from_ns + 2 * length * cell_ns) == pytest.approx(
        expected_j, rel=1e-9, abs=1e-6
    )


@given(timelines(), st.lists(st.integers(-(10**10), 10**11), min_size=3, max_size=3))
def test_energy_adds_up(timeline, moments):
    first, middle, last = (START_NS + moment for moment in sorted(moments))
    parts_j = timeline.energy_j(first, middle) + timeline.energy_j(middle, last)
    assert timeline.energy_j(first, last) == pytest.approx(parts_j, rel=1e-9, abs=1e-5)


def test_a_reboot_is_standby_and_then_the_series_again():
    timeline = PowerTimeline(Constant(300), start_ns=START_NS)
    timeline.switch_off(OffTime(START_NS + 10 * NS_PER_S, START_NS + 20 * NS_PER_S, 8))
    assert timeline.energy_j(START_NS, START_NS + 30 * NS_PER_S) == pytest.approx(20 * 300 + 10 * 8)
    states = [timeline.host_on(START_NS + second * NS_PER_S) for second in (9, 10, 19, 20)]
    assert states == [True, False, False, True]


def test_a_later_reboot_takes_the_place_of_an_overlapping_one():
    timeline = PowerTimeline(Constant(300), start_ns=0)
    timeline.switch_off(OffTime(0, 10 * NS_PER_S, 8))
    timeline.switch_off(OffTime(4 * NS_PER_S, 6 * NS_PER_S, 0))
    assert [timeline.watts(second * NS_PER_S) for second in (3, 5, 7, 11)] == [8, 0, 8, 300]
    assert timeline.energy_j(0, 10 * NS_PER_S) == pytest.approx(8 * 8)


def test_speed_compresses_time_and_not_watts():
    timeline = PowerTimeline(Steps([0, 60], [200, 400]), start_ns=START_NS, speed=10)
    assert timeline.watts(START_NS + 7 * NS_PER_S) == 400
    assert timeline.energy_j(START_NS, START_NS + 12 * NS_PER_S) == pytest.approx(6 * 200 + 6 * 400)


def test_a_formula_is_close_to_its_analytic_integral():
    table = {"formula": "200 + 50*sin(t/30)"}
    power = read_power(table, base=None, where="sim.toml", speed=1.0)
    expected_j = 200 * 90 + 50 * 30 * (1 - math.cos(3))
    assert power.energy_j(90.0) == pytest.approx(expected_j, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "t_s", "power_w"),
    [
        ("100", 5, 100),
        ("t*2 + 1", 5, 11),
        ("-t", 5, 0),  # power is not negative
        ("1/(t-5)", 5, 0),  # nor infinite
        ("max(100, min(t, 300))", 250, 250),
        ("2**3 % 5", 0, 3),
        ("100*(1+abs(cos(pi*t)))", 1, 200),
        ("9**9**9**9", 0, 0),  # too great
    ],
)
def test_a_formula_is_never_negative_and_never_infinite(text, t_s, power_w):
    assert parse_formula(text)(t_s) == pytest.approx(power_w)


@pytest.mark.parametrize(
    "text",
    ["", "x", "t.real", "__import__('os')", "t if t else 1", "sin()", "sin(t, t)", "min()", "[1]", "1 +"],
)
def test_formulas_hold_nothing_but_arithmetic(text):
    with pytest.raises(ValueError, match="numbers, t"):
        parse_formula(text)


def test_a_csv_series_starts_again_at_its_end():
    looped = parse_csv("# a comment\nt_s,avg_w,note\n100,10,a\n110,20,b\n120,30,c\n")
    assert [looped.watts(t_s) for t_s in (0, 9, 10, 29, 30, -1)] == [10, 10, 20, 30, 10, 30]
    assert looped.energy_j(60) == pytest.approx(2 * (100 + 200 + 300))
    assert looped.energy_j(-30) == pytest.approx(-600)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t_s,avg_w\n",
        "t_s,avg_w\n0,1\n",
        "t_s,avg_w\n0,1\n0,2\n",
        "a,b\n0,1\n1,2\n",
        "t_s,avg_w\n0,x\n1,2\n",
        "t_s,avg_w\n0,-1\n1,2\n",
        "t_s,avg_w\n0,nan\n1,2\n",
    ],
)
def test_bad_csv_is_refused(text):
    with pytest.raises(ValueError, match="allowed"):
        parse_csv(text)
