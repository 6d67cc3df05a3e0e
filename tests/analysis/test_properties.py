"""What must hold for any readings whatever: hypothesis looks for a counterexample."""

import itertools
import math
from dataclasses import asdict

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from energyrecorder_analysis.combine import step_energy
from energyrecorder_analysis.curve import power_curve
from energyrecorder_analysis.estimate import server_energy
from energyrecorder_analysis.series import PowerRow, PowerSeries

T0_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
AROUND_NS = 300 * SECOND_NS

watts = st.one_of(st.none(), st.floats(0, 2000).map(lambda value: round(value, 1)), st.just(math.nan))
rows = st.builds(
    PowerRow,
    time_ns=st.integers(0, 900 * SECOND_NS).map(lambda offset: T0_NS + offset),
    watts=watts,
    window_s=st.sampled_from([None, 0.0, 1.0, 10.0, 60.0]),
    refresh_s=st.sampled_from([None, 1.0, 10.0]),
    quantum_w=st.sampled_from([None, 1.0, 4.0]),
    clock=st.sampled_from(["bmc", "poll"]),
    source=st.sampled_from([None, "dcmi", "sdr"]),
    accuracy_pct=st.sampled_from([None, 1.0]),
)
some_rows = st.lists(rows, max_size=60)
moments = st.integers(-100 * SECOND_NS, 1000 * SECOND_NS).map(lambda offset: T0_NS + offset)


def curve_of(found):
    return power_curve(PowerSeries.from_rows("n1", found))


@given(some_rows, moments, moments)
def test_no_result_is_ever_nan_or_negative(found, one, other):
    energy = server_energy("n1", curve_of(found), min(one, other), max(one, other))
    numbers = [value for value in asdict(energy).values() if isinstance(value, float)]
    assert all(math.isfinite(value) and value >= 0 for value in numbers)
    assert 0 <= energy.coverage <= 1
    assert (energy.energy_j is None) == (energy.u95_j is None)


@given(some_rows, st.lists(moments, min_size=3, max_size=8))
def test_contiguous_steps_add_up_to_their_run(found, edges):
    curve = curve_of(found)
    assume(curve is not None)
    edges = sorted(edges)
    run_j = curve.energy_j(curve.seconds(edges[0]), curve.seconds(edges[-1]))
    parts_j = sum(
        curve.energy_j(curve.seconds(start), curve.seconds(end)) for start, end in itertools.pairwise(edges)
    )
    assert parts_j == pytest.approx(run_j, rel=1e-6, abs=1e-6)


@st.composite
def undeclared_runs(draw):
    """Polls of a sensor that declares nothing, over a run whose parts do not all betray the same."""
    poll_s = draw(st.sampled_from([1, 2, 5, 10]))
    hold = draw(st.integers(1, 6))
    levels = draw(st.lists(st.integers(100, 500), min_size=40, max_size=80))
    offsets_ms = draw(st.lists(st.integers(-300, 300), min_size=8, max_size=8))
    bmc = draw(st.booleans())
    found = [
        PowerRow(
            # Off any grid, as real ones are: of equal distances rounding decides what is late and near.
            T0_NS
            + number * poll_s * SECOND_NS
            + offsets_ms[number % 8] * 1_000_000
            + number * 7919 % 1000 * 997,
            float(level),
            clock="bmc" if bmc else "poll",
        )
        for number, level in enumerate(level for level in levels for _ in range(hold))
    ]
    last_s = len(found) * poll_s
    edges_s = draw(st.lists(st.integers(0, last_s), min_size=3, max_size=8, unique=True))
    return found, [T0_NS + second * SECOND_NS + 123_457 for second in sorted(edges_s)]


@given(undeclared_runs())
def test_steps_computed_apart_add_up_to_their_run_by_the_timing_of_its_readings(run):
    """Each from the readings around it alone, as the annotator does, whatever the sensor is like."""
    found, edges = run
    whole = curve_of(found)
    known = {timing.kind: timing for timing in whole.timings}
    run_j = server_energy("n1", whole, edges[0], edges[-1]).energy_j
    parts_j = 0.0
    for start, end in itertools.pairwise(edges):
        around = [row for row in found if start - AROUND_NS <= row.time_ns < end + AROUND_NS]
        curve = power_curve(PowerSeries.from_rows("n1", around), known=known)
        part = server_energy("n1", curve, start, end)
        within = server_energy("n1", whole, start, end)
        # The last reading may end before the last step begins: nothing is known of that one.
        assert (part.energy_j is None) == (within.energy_j is None) == (part.coverage == 0)
        if part.energy_j is None:
            parts_j += whole.energy_j(*((edge - whole.origin_ns) / 1e9 for edge in (start, end)))
            continue
        assert part.u95_j == pytest.approx(within.u95_j, rel=1e-6, abs=1e-6)
        parts_j += part.energy_j
    assert parts_j == pytest.approx(run_j or parts_j, rel=1e-9, abs=1e-6)


@given(some_rows, moments, moments, st.integers(-(10**17), 10**17))
def test_shifting_readings_and_step_in_time_changes_nothing(found, one, other, shift_ns):
    start, end = min(one, other), max(one, other)
    energy = server_energy("n1", curve_of(found), start, end)
    shifted = [row._replace(time_ns=row.time_ns + shift_ns) for row in found]
    again = server_energy("n1", curve_of(shifted), start + shift_ns, end + shift_ns)
    assert again.energy_j == energy.energy_j
    assert again.u95_j == energy.u95_j
    assert again.coverage == energy.coverage


@given(some_rows, moments, moments, st.sampled_from([0.25, 2.0, 8.0]))
def test_k_times_the_power_is_k_times_the_energy(found, one, other, factor):
    # Whether readings are equal must not change: powers of two scale exactly.
    start, end = min(one, other), max(one, other)
    scaled = [
        row._replace(
            watts=None if row.watts is None else row.watts * factor,
            quantum_w=(row.quantum_w or 1.0) * factor,
        )
        for row in found
    ]
    found = [row._replace(quantum_w=row.quantum_w or 1.0) for row in found]
    energy = server_energy("n1", curve_of(found), start, end)
    again = server_energy("n1", curve_of(scaled), start, end)
    if energy.energy_j is None:
        assert again.energy_j is None
    else:
        assert again.energy_j == pytest.approx(energy.energy_j * factor, rel=1e-9, abs=1e-9)
        assert again.u95_j == pytest.approx(energy.u95_j * factor, rel=1e-9, abs=1e-9)


@given(some_rows, st.randoms(use_true_random=False), moments, moments)
def test_order_repetition_and_missing_readings_change_nothing(found, random, one, other):
    """A missing reading is as good as none, so it is never zero."""
    found = list({row.time_ns: row for row in found}.values())
    valid = [row for row in found if row.watts is not None and not math.isnan(row.watts)]
    # One source and clock: the usual distance of polls is counted per source.
    again = found + found[:20]
    random.shuffle(again)
    start, end = min(one, other), max(one, other)
    assert asdict(server_energy("n1", curve_of(again), start, end)) == asdict(
        server_energy("n1", curve_of(valid), start, end)
    )


@settings(max_examples=50)
@given(st.floats(1, 1000), st.floats(1, 30), st.floats(60, 600))
def test_constant_power_is_integrated_exactly(power_w, poll_s, duration_s):
    found = [
        PowerRow(T0_NS + round(second * poll_s * 1e9), power_w, poll_s, poll_s) for second in range(1000)
    ]
    start = T0_NS + 60 * SECOND_NS
    energy = server_energy("n1", curve_of(found), start, start + round(duration_s * 1e9))
    assert energy.energy_j == pytest.approx(power_w * duration_s, rel=1e-6)
    assert energy.coverage == 1.0


@given(st.lists(some_rows, max_size=4), moments, moments)
def test_a_sum_over_servers_is_never_surer_than_its_parts_allow(servers, one, other):
    curves = {f"n{number}": curve_of(found) for number, found in enumerate(servers)}
    step = step_energy(curves.items(), min(one, other), max(one, other))
    parts = [part for part in step.servers.values() if part.energy_j is not None]
    if not parts:
        assert step.energy_j is None
        assert step.quality == "unresolvable"
        return
    assert step.energy_j == pytest.approx(sum(part.energy_j for part in parts))
    assert step.u95_j >= max(part.u95_j for part in parts) * (1 - 1e-9)
    assert step.u95_j <= sum(part.u95_j for part in parts) * (1 + 1e-9) + 1e-9
    assert len(parts) == len(curves) or step.quality != "resolved"
