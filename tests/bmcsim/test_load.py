"""A workload adds to the true power while the host is on, and the truth knows it."""

from __future__ import annotations

import pytest

from energyrecorder_bmcsim.power import NS_PER_S, Constant, Load, OffTime, PowerTimeline


def test_loads_add_up_while_the_host_is_on():
    """Two loads overlap, a reboot cuts both: the energy is exact."""
    timeline = PowerTimeline(Constant(100.0), start_ns=0)
    timeline.add_load(Load(10 * NS_PER_S, 30 * NS_PER_S, 50.0))
    timeline.add_load(Load(20 * NS_PER_S, 40 * NS_PER_S, 10.0))
    timeline.switch_off(OffTime(25 * NS_PER_S, 35 * NS_PER_S, 5.0))
    assert [timeline.watts(second * NS_PER_S) for second in (5, 15, 22, 27, 37, 45)] == [
        100,
        150,
        160,
        5,
        110,
        100,
    ]
    expected_j = 10 * 100 + 10 * 150 + 5 * 160 + 10 * 5 + 5 * 110 + 10 * 100
    assert timeline.energy_j(0, 50 * NS_PER_S) == pytest.approx(expected_j)
