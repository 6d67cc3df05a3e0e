"""Window, refresh period and delay of a source: declared, learned or assumed, and said so."""

import numpy as np
import pytest

from energyrecorder_analysis.curve import power_curve
from energyrecorder_analysis.estimate import server_energy
from energyrecorder_analysis.lag import timing_of
from energyrecorder_analysis.learn import learn_refresh_s, learn_window_most_s
from energyrecorder_analysis.series import PowerRow, PowerSeries

T0_NS = 1_700_000_000_000_000_000


def at(second):
    return T0_NS + round(second * 1e9)


def series(*rows):
    return PowerSeries.from_rows("n1", rows)


def polls(values, every_s=1.0, **fields):
    return [
        PowerRow(time_ns=at(index * every_s), watts=value, **fields) for index, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("fields", "lag_s", "provenance"),
    [
        ({"window_s": 10.0, "refresh_s": 10.0}, 10.0, "declared"),
        ({"window_s": 0.0, "refresh_s": 10.0}, 5.0, "declared"),
        ({"window_s": 60.0, "refresh_s": 1.0}, 30.5, "declared"),
        ({"window_s": 10.0}, 10.0, "window declared, refresh assumed"),
        ({"refresh_s": 4.0}, 4.0, "refresh declared, window assumed"),
        ({}, 2.0, "assumed from the poll spacing"),
        ({"window_s": 10.0, "clock": "bmc"}, 5.0, "window declared, refresh assumed"),
    ],
)
def test_delay_of_a_reading(fields, lag_s, provenance):
    timing = timing_of(series(*polls([200.0, 210.0, 220.0, 200.0], 2.0, **fields)))
    assert timing.lag_s == pytest.approx(lag_s)
    assert timing.provenance == provenance


@pytest.mark.parametrize(("refresh_s", "poll_s"), [(10.0, 1.0), (10.0, 2.0), (5.0, 1.0), (30.0, 7.0)])
def test_refresh_period_is_learned_from_runs_of_equal_readings(refresh_s, poll_s):
    random = np.random.default_rng(3)
    time_s = np.arange(0, 40 * refresh_s, poll_s)
    published = np.round(random.normal(300, 30, 50))
    learned = learn_refresh_s(time_s, published[(time_s / refresh_s).astype(int)])
    assert learned == pytest.approx(refresh_s, rel=0.1)


def test_refresh_period_survives_readings_that_happen_to_repeat():
    random = np.random.default_rng(4)
    time_s = np.arange(0, 600, 2.0)
    published = 4 * np.round(random.normal(300, 6, 70) / 4)
    learned = learn_refresh_s(time_s, published[(time_s / 10).astype(int)])
    assert learned == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("watts", [[200.0] * 50, [200.0, 201.0] * 25, [200.0] * 20 + [300.0] * 20])
def test_readings_that_betray_no_refresh_period_teach_none(watts):
    assert learn_refresh_s(np.arange(len(watts), dtype=float), np.array(watts)) is None


def test_a_refresh_period_learned_later_holds_for_earlier_readings_too():
    rows = [*polls([200.0, 200.0], window_s=10.0), PowerRow(at(2), 210.0, 10.0, 4.0)]
    timing = timing_of(series(*rows))
    assert (timing.refresh_s, timing.provenance) == (4.0, "declared")


def test_bmc_records_are_shared_between_steps_by_overlap():
    rows = [PowerRow(at(10 * index), watts, 10.0, 10.0, 1.0, "bmc") for index, watts in [(1, 100), (2, 300)]]
    curve = power_curve(series(*rows))
    energy = server_energy("n1", curve, at(4), at(13))
    assert energy.energy_j == pytest.approx(6 * 100 + 3 * 300)
    assert energy.samples == 2


def test_polled_readings_are_shifted_and_interpolated():
    rows = polls([100.0, 200.0, 300.0, 400.0, 500.0], 10.0, window_s=10.0, refresh_s=10.0)
    curve = power_curve(series(*rows))
    # True at -10, 0, 10, 20, 30 s: a straight line of 10 W/s that passes 200 W at 0 s.
    assert server_energy("n1", curve, at(2), at(12)).energy_j == pytest.approx(10 * (220 + 320) / 2)


@pytest.mark.parametrize("stood_in", [(30,), (10, 40), tuple(range(1, 72, 3))])
def test_a_source_that_stood_in_now_and_then_has_the_pace_of_the_polls(stood_in):
    random = np.random.default_rng(5)
    values = np.round(random.normal(600, 6, 72))
    sources = ["sensor" if index in stood_in else "power_control" for index in range(72)]
    rows = [
        PowerRow(at(10 * index), float(watts), source=source)
        for index, (watts, source) in enumerate(zip(values, sources, strict=True))
    ]
    usual = power_curve(series(*polls(values, 10.0, source="power_control")))
    mixed = power_curve(series(*rows))
    assert {timing.spacing_s for timing in mixed.timings} == {10.0}
    alone, together = (server_energy("n1", curve, at(65), at(655)) for curve in (usual, mixed))
    assert together.energy_j == pytest.approx(alone.energy_j)
    assert together.coverage == 1.0
    assert together.u95_j < 1.2 * alone.u95_j


@pytest.mark.parametrize(
    ("stood_in", "sources", "side", "gain_j"),
    [((30,), ("power_control",), "ac", 0.01), ((10, 25, 40, 55), ("power_control", "sensor"), "mixed", None)],
)
def test_a_source_that_stood_in_for_a_poll_does_not_make_it_another_sensor(stood_in, sources, side, gain_j):
    usual = {"source": "power_control", "side": "ac", "accuracy_pct": 1.0}
    rows = [
        PowerRow(
            at(10 * index), 500.0, **({"source": "sensor", "side": "dc"} if index in stood_in else usual)
        )
        for index in range(72)
    ]
    energy = server_energy("n1", power_curve(series(*rows)), at(65), at(655))
    assert (energy.sources, energy.side) == (sources, side)
    assert energy.u95_gain_j == (None if gain_j is None else pytest.approx(gain_j * energy.energy_j))
    assert "sensor" in energy.method


def test_records_that_follow_on_one_another_keep_their_own_pace():
    backfill = [PowerRow(at(300 * index), 500.0, 300.0, None, 1.0, "bmc", "oem") for index in range(1, 13)]
    readings = [
        PowerRow(at(3600 + 10 * index), 500.0, 10.0, 10.0, 1.0, "bmc", "meter") for index in range(1, 60)
    ]
    curve = power_curve(series(*backfill, *readings))
    assert {timing.source: timing.spacing_s for timing in curve.timings} == {"oem": 300.0, "meter": 10.0}
    assert server_energy("n1", curve, at(100), at(4000)).coverage == 1.0


def test_an_overlapping_moving_average_counts_at_its_middle():
    rows = [PowerRow(at(10 * index), 100.0 + index, 60.0, 10.0, 1.0, "bmc") for index in range(20)]
    curve = power_curve(series(*rows))
    assert curve.watts_at(np.array([curve.seconds(at(70))]))[0] == pytest.approx(110.0)


def test_power_is_real_zero_while_the_host_is_off():
    rows = polls([200.0] * 30 + [0.0] * 30 + [200.0] * 30, window_s=1.0, refresh_s=1.0)
    energy = server_energy("n1", power_curve(series(*rows)), at(35), at(55))
    assert energy.energy_j == 0.0
    assert energy.quality == "unresolvable"
    assert energy.coverage == 1.0


def test_one_late_reading_is_no_gap_and_two_lost_ones_are():
    values = polls([200.0] * 100, window_s=1.0, refresh_s=1.0)
    late = power_curve(series(*[row for index, row in enumerate(values) if index != 50][:50]))
    assert server_energy("n1", late, at(10), at(45)).gaps_ns == ()
    lost = power_curve(series(*[row for index, row in enumerate(values) if index not in (50, 51)]))
    energy = server_energy("n1", lost, at(40), at(60))
    assert len(energy.gaps_ns) == 1
    assert energy.coverage == pytest.approx(1 - 2 / 20)


def test_a_step_in_a_hole_has_no_energy_of_that_server():
    rows = polls([200.0] * 30, window_s=1.0, refresh_s=1.0)
    energy = server_energy("n1", power_curve(series(*rows)), at(100), at(160))
    assert energy.energy_j is None
    assert energy.quality == "unresolvable"


def test_a_fallback_to_another_source_keeps_one_curve():
    """Ten-second records until 100 s, then polls of a one-second sensor: the same 300 W throughout."""
    records = [PowerRow(at(10 * k), 300.0, 10.0, 10.0, 1.0, "bmc", "ilo_fast_meter") for k in range(1, 11)]
    polled = [PowerRow(at(101 + k), 300.0, 1.0, 1.0, 1.0, "poll", "power_control") for k in range(100)]
    curve = power_curve(series(*records, *polled))
    energy = server_energy("n1", curve, at(50), at(150))
    assert energy.energy_j == pytest.approx(300.0 * 100)
    assert energy.gaps_ns == ()
    assert "ilo_fast_meter" in energy.method
    assert "power_control" in energy.method


def test_end_before_start_is_refused():
    with pytest.raises(ValueError, match="before it starts"):
        server_energy("n1", None, at(1), at(0))


def test_impossible_powers_are_missing():
    cleaned = series(PowerRow(at(0), -5.0), PowerRow(at(1), float("inf")), PowerRow(at(2), 5.0))
    assert cleaned.readings().watts.tolist() == [5.0]


def test_the_valid_reading_of_a_record_read_twice_is_kept():
    cleaned = series(PowerRow(at(0), 5.0), PowerRow(at(0), None), PowerRow(at(1), 6.0), PowerRow(at(1), 7.0))
    assert cleaned.watts.tolist() == [5.0, 7.0]


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (["ac", "ac"], "ac"),
        (["ac", "dc"], "mixed"),
        (["ac", "unknown"], None),
        ([None, None], None),
        (["dc", "dc"], "dc"),
    ],
)
def test_side_is_claimed_only_where_all_agree(sides, expected):
    rows = [PowerRow(at(index), 5.0, side=side) for index, side in enumerate(sides)]
    assert series(*rows).side == expected


@pytest.mark.parametrize(("refresh_s", "phase_s"), [(2.0, 0.3), (2.0, 1.0), (2.0, 1.9), (2.5, 0.4)])
def test_a_refresh_period_near_twice_the_poll_spacing_is_learned_where_the_grids_beat(refresh_s, phase_s):
    chance = np.random.default_rng(7)
    polled_s = np.arange(0.0, 200.0) + chance.uniform(-0.2, 0.2, 200)
    published = np.cumsum(chance.integers(1, 9, 200)).astype(float)
    watts = published[((polled_s + phase_s + refresh_s) / refresh_s).astype(int)]
    assert learn_refresh_s(polled_s, watts) == pytest.approx(refresh_s, rel=0.05)


def test_values_that_repeat_by_chance_have_no_refresh_period():
    chance = np.random.default_rng(8)
    watts = np.repeat(np.arange(150.0), chance.geometric(0.5, 150))
    assert learn_refresh_s(np.arange(watts.size, dtype=float), watts) is None


def steps_seen_through(window_s, spacing_s=1.0):
    """Return times and readings of a server that jumps between 200 W and 350 W every 100 s."""
    time_s = np.arange(0.0, 600.0, spacing_s)
    edges_s = np.arange(0.0, 700.0, 100.0)
    levels_w = np.where(np.arange(edges_s.size) % 2, 350.0, 200.0)
    energy_j = np.concatenate(([0.0], np.cumsum(levels_w[:-1] * 100.0)))
    until_j = np.interp(time_s, edges_s, energy_j)
    before_j = np.interp(time_s - window_s, edges_s, energy_j)
    return time_s[100:], ((until_j - before_j) / window_s)[100:]


@pytest.mark.parametrize("window_s", [4.0, 10.0, 30.0, 60.0])
def test_ramps_bound_the_window_of_a_moving_average(window_s):
    time_s, watts = steps_seen_through(window_s)
    most_s = learn_window_most_s(time_s, watts, 1.0)
    assert window_s <= most_s <= 1.5 * window_s


def test_a_jump_from_one_reading_to_the_next_leaves_no_room_for_a_window():
    time_s, watts = steps_seen_through(0.001)
    assert learn_window_most_s(time_s, watts, 1.0) == 1.0


@pytest.mark.parametrize(
    "watts",
    [
        pytest.param(np.full(200, 300.0), id="constant"),
        pytest.param(300.0 + np.random.default_rng(9).normal(0, 3, 200), id="noise"),
        pytest.param(np.array([200.0, 300.0, 250.0]), id="three readings"),
    ],
)
def test_readings_without_a_jump_bound_no_window(watts):
    assert learn_window_most_s(np.arange(watts.size, dtype=float), watts, 5.0) == 5.0
