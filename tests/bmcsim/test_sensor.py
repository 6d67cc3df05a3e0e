"""The sensor model: refresh, window, quantum, gain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_bmcsim.power import NS_PER_S, PowerTimeline, Steps
from energyrecorder_bmcsim.sensor import Sensor, SensorModel, quantised

START_NS = 1_800_000_000 * NS_PER_S


def sensor(phase_s=0.0, steps=((0, 200), (60, 400)), **model):
    timeline = PowerTimeline(Steps(*zip(*steps, strict=True)), start_ns=START_NS)
    return Sensor(SensorModel(**model), timeline, start_ns=START_NS, phase_s=phase_s)


def at(second):
    return START_NS + round(second * NS_PER_S)


def test_a_value_stands_until_the_next_publication():
    subject = sensor(refresh_s=10, window_s=0, phase_s=3)
    assert [subject.watts(at(second)) for second in (59, 62.9, 63, 72.9)] == [200, 200, 400, 400]
    assert subject.published_ns(at(72.9)) == at(63)


def test_the_window_ends_at_the_publication():
    """A step in the middle of a 10-s window shows with the part of it that has passed."""
    subject = sensor(refresh_s=10, window_s=10, phase_s=3)
    values_w = [subject.watts(at(second)) for second in (62.9, 63, 72.9, 73)]
    assert values_w == [200, 260, 260, 400]


def test_without_refresh_every_look_is_a_publication():
    subject = sensor(refresh_s=0, window_s=2)
    assert [subject.watts(at(second)) for second in (60, 61, 62)] == [200, 300, 400]


def test_gain_comes_before_the_quantum():
    subject = sensor(gain=1.037, quantum_w=4, window_s=0)
    assert subject.watts(at(1)) == 208  # 207.4


@given(st.floats(0, 1e5), st.sampled_from([0.1, 1.0, 4.0, 10.0]))
def test_the_quantum_moves_a_value_by_half_a_step_at_most(power_w, quantum_w):
    shown_w = quantised(power_w, quantum_w)
    assert abs(shown_w - power_w) <= quantum_w / 2 + 1e-9
    assert shown_w / quantum_w == pytest.approx(round(shown_w / quantum_w))


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 900)), min_size=1, max_size=8),
    st.floats(0.5, 1.5),
    st.floats(0, 4),
)
def test_averages_over_whole_windows_keep_the_energy(widths, gain, phase_s):
    """With window = refresh, the sum of values times refresh is the true energy times the gain."""
    times_s = [sum(width for width, _ in widths[:index]) for index in range(len(widths))]
    steps = list(zip(times_s, [power_w for _, power_w in widths], strict=True))
    subject = sensor(phase_s, steps, refresh_s=5, window_s=5, quantum_w=0, gain=gain)
    first_ns = subject.published_ns(at(50))
    values_w = [subject.watts(first_ns + index * 5 * NS_PER_S) for index in range(20)]
    timeline = PowerTimeline(Steps(*zip(*steps, strict=True)), start_ns=START_NS)
    true_j = timeline.energy_j(first_ns - 5 * NS_PER_S, first_ns + 95 * NS_PER_S)
    assert 5 * sum(values_w) == pytest.approx(gain * true_j, rel=1e-9, abs=1e-6)
