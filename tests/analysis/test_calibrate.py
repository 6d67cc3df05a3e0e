"""A load that goes on and off betrays window and refresh period of simulated sensors, within the interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from energyrecorder_analysis.calibrate import CalibrationError, calibrate
from energyrecorder_analysis.series import PowerRow, PowerSeries

GRID_S = 0.05
START_NS = 1_760_000_000_000_000_000
LOADS = 5


@dataclass(frozen=True)
class Sensor:
    """A sensor, how it is polled, and the server it looks at.

    Args:
        follow_s: Time constant with which the server's power follows the load.
        rise_w: Load; the server idles at 200 W.
    """

    window_s: float
    refresh_s: float
    poll_s: float = 1.0
    follow_s: float = 0.0
    load_s: float = 60.0
    rise_w: float = 120.0
    bmc_clock: bool = False


def _power_w(sensor, loads_s, span_s, random):
    """Return power on the grid: load with its time constant, noise that lasts for seconds."""
    at_s = np.arange(0, span_s, GRID_S)
    loaded = np.zeros_like(at_s)
    for from_s, to_s in loads_s:
        loaded[(at_s >= from_s) & (at_s < to_s)] = 1.0
    keep = np.exp(-GRID_S / 5.0)
    steps = random.standard_normal(at_s.size) * np.sqrt(1 - keep**2)
    follow = 1 - np.exp(-GRID_S / sensor.follow_s) if sensor.follow_s else 1.0
    watts = np.empty_like(at_s)
    level, noise = 0.0, 0.0
    for k in range(at_s.size):
        level += follow * (loaded[k] - level)
        noise = keep * noise + steps[k]
        watts[k] = 200 + sensor.rise_w * level + 2 * noise * (1 + 3 * level)
    return watts


def _published(sensor, watts, span_s, random):
    """Return when values are published, and the values."""
    published_s = np.arange(random.uniform(0, sensor.refresh_s), span_s, sensor.refresh_s)
    if not sensor.window_s:
        return published_s, np.round(watts[np.minimum((published_s / GRID_S).astype(int), watts.size - 1)])
    energy_j = np.concatenate(([0.0], np.cumsum(watts) * GRID_S))
    at_s = np.arange(energy_j.size) * GRID_S
    from_s = np.maximum(published_s - sensor.window_s, 0.0)
    mean_j = np.interp(published_s, at_s, energy_j) - np.interp(from_s, at_s, energy_j)
    return published_s, np.round(mean_j / np.maximum(published_s - from_s, GRID_S))


def measured(sensor, seed, loads=LOADS):
    """Return the readings of a sensor and when the load was on."""
    random = np.random.default_rng(seed)
    loads_s, at_s = [], 0.0
    for number in range(loads):
        at_s += sensor.load_s * (1 + 0.618 * number % 1 / 3)
        loads_s.append((at_s, at_s + sensor.load_s))
        at_s += sensor.load_s
    span_s = at_s + sensor.load_s / 2
    watts = _power_w(sensor, loads_s, span_s, random)
    stamp_s, value_w = _published(sensor, watts, span_s, random)
    if not sensor.bmc_clock:
        asked_s = np.arange(sensor.refresh_s + random.uniform(0, sensor.poll_s), span_s - 2, sensor.poll_s)
        newest = np.searchsorted(stamp_s, asked_s + 0.05, side="right") - 1
        stamp_s, value_w = asked_s + 0.05, value_w[newest]
    clock = "bmc" if sensor.bmc_clock else "poll"
    rows = [
        PowerRow(START_NS + round(at_s * 1e9), float(value), clock=clock, source="dcmi")
        for at_s, value in zip(stamp_s, value_w, strict=True)
    ]
    loads_ns = [(START_NS + round(a * 1e9), START_NS + round(b * 1e9)) for a, b in loads_s]
    return PowerSeries.from_rows("node-1", rows), loads_ns


@pytest.mark.parametrize(
    ("sensor", "most_u95_s"),
    [
        (Sensor(0, 1), 2.5),
        (Sensor(2, 2), 4),
        (Sensor(10, 10), 4),
        (Sensor(10, 1, follow_s=2), 7),
        (Sensor(30, 5, poll_s=2), 4),
        (Sensor(60, 10, poll_s=2, load_s=120), 4),
        (Sensor(10, 10, bmc_clock=True), 4),
    ],
    ids=str,
)
def test_the_window_is_found_within_its_interval(sensor, most_u95_s):
    """Of four seeds three at least: it is an interval of 95 %; and it is narrow enough to be of use."""
    found = [calibrate(*measured(sensor, seed)) for seed in range(4)]
    held = [abs(one.window_s - sensor.window_s) <= one.window_u95_s for one in found]
    assert sum(held) >= 3, found
    assert np.median([one.window_u95_s for one in found]) < most_u95_s
    assert np.median([one.window_s for one in found]) == pytest.approx(sensor.window_s, abs=1.5)
    for one in found:
        assert one.refresh_s == pytest.approx(sensor.refresh_s, rel=0.2)
        assert (one.idle_w, one.load_w) == (pytest.approx(200, abs=6), pytest.approx(320, abs=12))
        assert (one.source, one.loads) == ("dcmi", LOADS)


def test_a_slow_server_is_told_from_a_slow_sensor_and_makes_the_interval_wider():
    """Readings that follow exponentially are no moving average; what it is they cannot tell."""
    found = calibrate(*measured(Sensor(0, 1, follow_s=4), 1))
    assert found.window_s < 1.5
    assert found.follow_s == pytest.approx(4, abs=1)
    assert found.window_u95_s > 6


def test_a_period_shorter_than_the_polls_is_not_seen():
    """Then it is taken from the polls, which the interval of the window pays for."""
    found = calibrate(*measured(Sensor(0, 1, poll_s=3), 1))
    assert not found.refresh_seen
    assert found.refresh_s == pytest.approx(3)
    assert found.window_u95_s >= 3


def test_readings_of_another_source_do_not_count():
    """A BMC that falls back in the midst of it averages otherwise meanwhile."""
    series, loads_ns = measured(Sensor(10, 5), 1)
    rows = [
        PowerRow(
            int(at_ns), float(watts) + (999 if k % 10 == 0 else 0), source="other" if k % 10 == 0 else "dcmi"
        )
        for k, (at_ns, watts) in enumerate(zip(series.time_ns, series.watts, strict=True))
    ]
    found = calibrate(PowerSeries.from_rows("node-1", rows), loads_ns)
    assert found.source == "dcmi"
    assert found.window_s == pytest.approx(10, abs=1.5)


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        (Sensor(10, 10, rise_w=4), "load more cores"),
        (Sensor(60, 10, load_s=60), "let it last longer"),
        (Sensor(10, 10, poll_s=60), "at least 30 are needed"),
    ],
    ids=["weak load", "long window", "few readings"],
)
def test_readings_that_do_not_say_it_are_an_error_that_tells_what_to_do(sensor, words):
    """Rather no window than a wrong one: energies would be wrong by it."""
    with pytest.raises(CalibrationError, match=words):
        calibrate(*measured(sensor, 1))


def test_two_loads_say_nothing_about_chance():
    """Three are the least."""
    series, loads_ns = measured(Sensor(10, 10), 1)
    with pytest.raises(CalibrationError, match="2 loads; at least 3"):
        calibrate(series, loads_ns[:2])
