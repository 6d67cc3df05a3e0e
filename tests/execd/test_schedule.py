"""Ticks never drift, offsets spread, and a wall clock that steps is no lost tick."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_execd import schedule

INTERVALS = st.sampled_from([0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 3600.0])
MOMENTS = st.integers(1_600_000_000_000_000_000, 2_000_000_000_000_000_000)
NAMES = st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True)


@given(MOMENTS, INTERVALS, NAMES)
def test_the_next_tick_is_on_the_grid_and_within_one_interval(now, every_s, name):
    """Ticks are k · interval + offset from the Unix epoch, whenever one asks."""
    every = round(every_s * 1e9)
    offset = schedule.offset_ns(name, every_s)
    tick = schedule.next_tick_ns(now, every_s, offset)
    assert 0 <= offset < every
    assert now < tick <= now + every
    assert (tick - offset) % every == 0


@given(MOMENTS, INTERVALS, NAMES, st.lists(st.floats(0, 0.999), min_size=1, max_size=50))
def test_ticks_do_not_drift_however_late_each_is_served(now, every_s, name, delays):
    """After n polls that each took part of the interval exactly n intervals have passed: nothing adds up."""
    every = round(every_s * 1e9)
    offset = schedule.offset_ns(name, every_s)
    first = tick = schedule.next_tick_ns(now, every_s, offset)
    for delay in delays:
        tick = schedule.next_tick_ns(tick + int(delay * every), every_s, offset)
    assert tick - first == len(delays) * every


@pytest.mark.parametrize("every_s", [1.0, 10.0, 30.0])
def test_offsets_spread_a_fleet_evenly_over_the_interval(every_s):
    """1,000 servers: no tenth of the interval gets less than half or more than twice its share."""
    offsets = [schedule.offset_ns(f"node-{number:04}", every_s) / (every_s * 1e9) for number in range(1000)]
    counts = [sum(1 for offset in offsets if int(offset * 10) == tenth) for tenth in range(10)]
    assert min(counts) > 50
    assert max(counts) < 200
    last = 1 - 1 / schedule.PLACES
    assert statistics.mean(offsets) == pytest.approx(last / 2, abs=0.05)


@pytest.mark.parametrize("every_s", [0.5, 1.0, 10.0, 3600.0])
def test_a_fleet_shares_twenty_moments(every_s):
    """Servers of one interval are due together, so that one awakening serves them all."""
    moments = {schedule.offset_ns(f"node-{number:04}", every_s) for number in range(1000)}
    assert len(moments) == schedule.PLACES


def test_an_offset_is_fixed():
    """The same after each restart, on each machine and with each version."""
    assert schedule.offset_ns("node-01", 10.0) == 2_500_000_000
    assert schedule.offset_ns("node-01", 1.0) == 250_000_000


@pytest.mark.parametrize(
    ("configured", "refresh", "expected"),
    [
        (None, None, 10.0),
        (None, 10.0, 5.0),
        (None, 2.0, 5.0),
        (None, 30.0, 15.0),
        (None, 600.0, 30.0),
        (None, 0.0, 10.0),
        (1.0, 30.0, 1.0),
        (60.0, None, 60.0),
    ],
)
def test_auto_interval(configured, refresh, expected):
    """Half the refresh period when known, within 5 to 30 s, else 10 s; what the file says wins."""
    assert schedule.interval_s(configured, refresh) == expected


@pytest.mark.parametrize(
    ("took_s", "wall_s", "missed"),
    [
        (0.2, 0.2, 0),
        (0.99, 0.99, 0),
        (1.3, 1.3, 1),
        (8.0, 8.0, 8),
        (0.2, 3600.2, 0),  # the wall clock was set forward by an hour
        (2.2, -3600.0, 0),  # and back: nobody can tell, and none is invented
    ],
)
def test_missed_ticks(took_s, wall_s, missed):
    """Ticks that passed while the poll ran count, those that the clock jumped over do not."""
    every_s, served = 1.0, 1_700_000_000_000_000_000
    next_ns = schedule.next_tick_ns(served + int(wall_s * 1e9), every_s, 0)
    assert schedule.missed_ticks(served, next_ns, took_s, every_s) == missed
