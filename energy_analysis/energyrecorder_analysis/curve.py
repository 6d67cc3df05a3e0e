"""The power of one server as a function of time: pieces of known power joined by straight lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from energyrecorder_analysis.lag import Timing, timing_of
from energyrecorder_analysis.series import Floats, Ints, PowerSeries

_GAP_PERIODS = 1.6
"""A hole longer than this many periods is a gap (`Timing.period_s`): one late reading is none yet."""
_ROUNDING_S = 1e-6

Timings = Mapping[tuple[str, bool], Timing]
"""Timing of the sources of one server, by `Timing.kind`."""


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Power over time, its integral, its readings and its holes; seconds count from ``origin_ns``.

    Energy between two moments is the difference of one cumulative function, so contiguous steps add up to
    their run whatever the readings look like.

    Args:
        series: The readings, none missing, at least one.
        timings: Timing of each source and clock in the series.
        timing_index: Index into ``timings`` of each reading.
        origin_ns: Nanoseconds since the Unix epoch, UTC.
        center_s: When each reading was true, increasing.
        from_s: Start of what it covers; equal to ``to_s`` for a reading of one moment.
        to_s: End of what it covers.
        node_s: Nodes of the curve, not decreasing; power is linear between two nodes.
        node_w: Power at the nodes.
        node_j: Energy from the first node to each node.
    """

    series: PowerSeries
    timings: tuple[Timing, ...]
    timing_index: Ints
    origin_ns: int
    center_s: Floats
    from_s: Floats
    to_s: Floats
    node_s: Floats
    node_w: Floats
    node_j: Floats

    def seconds(self, time_ns: int) -> float:
        """Return ``time_ns`` in seconds since the origin."""
        return (time_ns - self.origin_ns) / 1e9

    def nanoseconds(self, second: float) -> int:
        """Return the absolute time of ``second`` after the origin."""
        return self.origin_ns + round(second * 1e9)

    def watts_at(self, at_s: Floats) -> Floats:
        """Return the power at each moment; the first and last known power are held beyond the ends."""
        return np.interp(at_s, self.node_s, self.node_w)

    def energy_j(self, from_s: float, to_s: float) -> float:
        """Return the energy between two moments."""
        at_s = np.array([from_s, to_s])
        node = np.clip(np.searchsorted(self.node_s, at_s, side="right") - 1, 0, self.node_s.size - 1)
        into_s = at_s - self.node_s[node]
        energy_j = self.node_j[node] + into_s * (self.node_w[node] + self.watts_at(at_s)) / 2
        return float(energy_j[1] - energy_j[0])

    def period_s(self) -> Floats:
        """Return the period of each reading (`Timing.period_s`)."""
        return np.array([timing.period_s for timing in self.timings])[self.timing_index]


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch without readings; its ends are None where the series begins or ends.

    Args:
        from_s: Start of the stretch that no reading covers.
        to_s: End of it.
        span_s: Distance of the readings on both sides.
        left_w: Power before it.
        right_w: Power after it.
    """

    from_s: float
    to_s: float
    span_s: float
    left_w: float | None
    right_w: float | None


def power_curve(
    series: PowerSeries, *, known: Timings | None = None, lag_correction: bool = True
) -> PowerCurve | None:
    """Return the power over time that the readings describe, or None when there is no reading at all.

    A record stamped by the BMC covers [t - window, t]; a polled reading speaks of the moment half a window
    plus half a refresh period before it. Windows that overlap (moving averages) or that leave most of the
    time uncovered count at their middle.

    Args:
        series: Readings of one server; missing ones are left out.
        known: Timing of sources out of more readings than these, such as those of a whole run: then parts
            of the run add up to it exactly. None learns all of it from the readings here.
        lag_correction: False takes every reading as true when it was read, as most tools do. It exists to
            show in tests what that costs.
    """
    series = series.readings()
    if series.time_ns.size == 0:
        return None
    origin_ns = int(series.time_ns[0])
    read_s = (series.time_ns - origin_ns) / 1e9
    timings, timing_index = _timings(series, known or {})
    lag_s = np.array([timing.lag_s for timing in timings])[timing_index]
    half_s = np.array([timing.half_width_s for timing in timings])[timing_index]
    if not lag_correction:
        lag_s, half_s = np.zeros_like(lag_s), np.zeros_like(half_s)
    center_s = read_s - lag_s
    if (center_s[1:] < center_s[:-1]).any():
        order = np.argsort(center_s, kind="stable")
        series, timing_index = series.take(order), timing_index[order]
        center_s, half_s = center_s[order], half_s[order]
    # Where sources change or a clock wanders, two readings may claim the same time: the earlier keeps it.
    to_s = np.maximum.accumulate(center_s + half_s)
    from_s = center_s - half_s
    from_s[1:] = np.maximum(from_s[1:], to_s[:-1])
    from_s = np.minimum(from_s, to_s)
    node_s = np.column_stack((from_s, to_s)).ravel()
    node_w = np.repeat(series.watts, 2)
    between_j = np.diff(node_s) * (node_w[1:] + node_w[:-1]) / 2
    node_j = np.concatenate(([0.0], np.cumsum(between_j)))
    return PowerCurve(
        series, timings, timing_index, origin_ns, center_s, from_s, to_s, node_s, node_w, node_j
    )


def holes(curve: PowerCurve, from_s: float, to_s: float) -> list[Hole]:
    """Return the gaps that overlap [from_s, to_s], the open ends of the series included.

    Args:
        curve: Power of one server.
        from_s: Start of the interval.
        to_s: End of the interval.
    """
    center_s, watts = curve.center_s, curve.series.watts
    period_s = curve.period_s()
    first = max(int(np.searchsorted(center_s, from_s)) - 1, 0)
    last = min(int(np.searchsorted(center_s, to_s, side="right")) + 1, center_s.size)
    near = slice(first, last)
    pair_period_s = np.maximum(period_s[near][1:], period_s[near][:-1])
    span_s = np.diff(center_s[near])
    found = []
    if from_s < (open_s := min(curve.from_s[0], center_s[0] - period_s[0] / 2)):
        found.append(Hole(from_s, float(open_s), float(open_s - from_s), None, float(watts[0])))
    # Beyond what rounding does: else the origin of the curve would decide over a hole of just that length.
    for offset in np.flatnonzero(span_s > _GAP_PERIODS * pair_period_s + _ROUNDING_S):
        left = first + int(offset)
        hole_from_s = max(curve.to_s[left], center_s[left] + period_s[left] / 2)
        hole_to_s = min(curve.from_s[left + 1], center_s[left + 1] - period_s[left + 1] / 2)
        if hole_from_s < hole_to_s and hole_from_s < to_s and hole_to_s > from_s:
            ends_w = float(watts[left]), float(watts[left + 1])
            found.append(Hole(float(hole_from_s), float(hole_to_s), float(span_s[offset]), *ends_w))
    if to_s > (open_s := max(curve.to_s[-1], center_s[-1] + period_s[-1] / 2)):
        found.append(Hole(float(open_s), to_s, float(to_s - open_s), float(watts[-1]), None))
    return found


def _timings(series: PowerSeries, known: Timings) -> tuple[tuple[Timing, ...], Ints]:
    key = series.source * 2 + series.bmc_clock
    kinds = np.unique(key)
    index = np.searchsorted(kinds, key).astype(np.int64)
    if kinds.size == 1:
        return (known.get(_kind(series)) or timing_of(series),), index
    pace_s = float(np.median(np.diff(series.time_ns))) / 1e9
    found = []
    for kind in kinds:
        at = np.flatnonzero(key == kind)
        part = series.take(at)
        stood_in = 2 * np.count_nonzero(np.diff(at) == 1) < at.size
        found.append(known.get(_kind(part)) or timing_of(part, pace_s if stood_in else None))
    return tuple(found), index


def _kind(series: PowerSeries) -> tuple[str, bool]:
    """Return `Timing.kind` of readings that share one."""
    return series.sources[int(series.source[0])], bool(series.bmc_clock[0])
