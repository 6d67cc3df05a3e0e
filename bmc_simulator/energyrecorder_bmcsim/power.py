"""True power of a simulated server: piecewise-constant series, exact integrals, hard reboots on top."""

from __future__ import annotations

import bisect
import itertools
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

NS_PER_S = 1_000_000_000


class PowerSeries(Protocol):
    """Power over simulated time, before and after its origin, with its exact integral."""

    def watts(self, t_s: float) -> float:
        """Return the power at ``t_s`` seconds, watts."""

    def energy_j(self, t_s: float) -> float:
        """Return the integral from 0 to ``t_s`` seconds, joules; negative where ``t_s`` is."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same power for ever.

    Args:
        power_w: Watts.
    """

    power_w: float

    def watts(self, t_s: float) -> float:
        """Return the power, watts."""
        del t_s
        return self.power_w

    def energy_j(self, t_s: float) -> float:
        """Return the integral from 0 to ``t_s``, joules."""
        return self.power_w * t_s


class Steps:
    """Power that holds each value until the next one; the first also before, the last also after.

    Args:
        times_s: Start of each value, strictly rising, seconds.
        powers_w: The values, watts.
    """

    def __init__(self, times_s: Sequence[float], powers_w: Sequence[float]) -> None:
        self._times_s = list(times_s)
        self._powers_w = list(powers_w)
        self._prefix_j = [0.0]
        for index, (start_s, end_s) in enumerate(itertools.pairwise(self._times_s)):
            self._prefix_j.append(self._prefix_j[-1] + self._powers_w[index] * (end_s - start_s))
        self._origin_j = self._from_first_j(0.0)

    def _index(self, t_s: float) -> int:
        return max(0, bisect.bisect_right(self._times_s, t_s) - 1)

    def _from_first_j(self, t_s: float) -> float:
        index = self._index(t_s)
        return self._prefix_j[index] + self._powers_w[index] * (t_s - self._times_s[index])

    def watts(self, t_s: float) -> float:
        """Return the power at ``t_s``, watts."""
        return self._powers_w[self._index(t_s)]

    def energy_j(self, t_s: float) -> float:
        """Return the integral from 0 to ``t_s``, joules."""
        return self._from_first_j(t_s) - self._origin_j


class Looped:
    """A recorded series that starts again at its end, and reaches as far back.

    Args:
        times_s: Start of each value, the first one 0, strictly rising, seconds.
        powers_w: The values, watts.
        period_s: Length of the whole record, greater than the last start, seconds.
    """

    def __init__(self, times_s: Sequence[float], powers_w: Sequence[float], period_s: float) -> None:
        self._once = Steps(times_s, powers_w)
        self._period_s = period_s
        self._period_j = self._once.energy_j(period_s)

    def watts(self, t_s: float) -> float:
        """Return the power at ``t_s``, watts."""
        return self._once.watts(t_s % self._period_s)

    def energy_j(self, t_s: float) -> float:
        """Return the integral from 0 to ``t_s``, joules."""
        rounds, rest_s = divmod(t_s, self._period_s)
        return rounds * self._period_j + self._once.energy_j(rest_s)


class Sampled:
    """A function of time, held at its value in the middle of each cell, so that the integral is exact.

    Before time 0 it has the value of its first cell.

    Args:
        function: Power at a simulated time in seconds, watts.
        cell_s: Width of a cell, seconds.
    """

    def __init__(self, function: Callable[[float], float], cell_s: float) -> None:
        self._function = function
        self._cell_s = cell_s
        self._first_w = function(cell_s / 2)
        self._sums_w = array("d", [0.0])  # of the cells from 0 on, extended as far as somebody asks

    def _cell_w(self, index: int) -> float:
        return self._function((index + 0.5) * self._cell_s)

    def watts(self, t_s: float) -> float:
        """Return the power at ``t_s``, watts."""
        return self._cell_w(int(t_s / self._cell_s)) if t_s > 0 else self._first_w

    def energy_j(self, t_s: float) -> float:
        """Return the integral from 0 to ``t_s``, joules."""
        if t_s <= 0:
            return self._first_w * t_s
        index = int(t_s / self._cell_s)
        for cell in range(len(self._sums_w) - 1, index):
            self._sums_w.append(self._sums_w[-1] + self._cell_w(cell))
        inside_s = t_s - index * self._cell_s
        return self._sums_w[index] * self._cell_s + self._cell_w(index) * inside_s


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Another series, scaled, begun elsewhere and played faster or slower.

    Args:
        series: The other series.
        scale: Factor on its watts.
        offset_s: Its time at our time 0, seconds.
        speed: Its seconds per second of ours.
    """

    series: PowerSeries
    scale: float = 1.0
    offset_s: float = 0.0
    speed: float = 1.0

    def watts(self, t_s: float) -> float:
        """Return the power at ``t_s``, watts."""
        return self.scale * self.series.watts(self.offset_s + self.speed * t_s)

    def energy_j(self, t_s: float) -> float:
        """Return the integral from 0 to ``t_s``, joules."""
        end_j = self.series.energy_j(self.offset_s + self.speed * t_s)
        return self.scale * (end_j - self.series.energy_j(self.offset_s)) / self.speed


@dataclass(frozen=True, slots=True)
class OffTime:
    """A time in which the host is off.

    Args:
        start_ns: First nanosecond, since the Unix epoch, UTC.
        end_ns: First nanosecond in which the host is on again.
        standby_w: What the server draws meanwhile, watts.
    """

    start_ns: int
    end_ns: int
    standby_w: float


@dataclass(frozen=True, slots=True)
class Load:
    """A time in which a workload draws power above the series, while the host is on.

    Args:
        start_ns: First nanosecond, since the Unix epoch, UTC.
        end_ns: First nanosecond without it.
        extra_w: What it draws, watts.
    """

    start_ns: int
    end_ns: int
    extra_w: float

    def energy_j(self, from_ns: int, to_ns: int) -> float:
        """Return what it draws between two moments, joules."""
        overlap_ns = min(to_ns, self.end_ns) - max(from_ns, self.start_ns)
        return self.extra_w * max(overlap_ns, 0) / NS_PER_S


class PowerTimeline:
    """What one server truly draws at each moment of wall-clock time.

    Args:
        series: Power while the host is on, over simulated seconds since ``start_ns``.
        start_ns: Start of the simulation, nanoseconds since the Unix epoch, UTC.
        speed: Simulated seconds per real second.
    """

    def __init__(self, series: PowerSeries, *, start_ns: int, speed: float = 1.0) -> None:
        self._series = series
        self._start_ns = start_ns
        self._speed = speed
        self._off_times: list[OffTime] = []
        self._loads: list[Load] = []

    def _simulated_s(self, at_ns: int) -> float:
        return (at_ns - self._start_ns) / NS_PER_S * self._speed

    def switch_off(self, off_time: OffTime) -> None:
        """Turn the host off for a time; it takes the place of other off times that it overlaps."""
        kept: list[OffTime] = []
        for other in self._off_times:
            before = (other.start_ns, min(other.end_ns, off_time.start_ns))
            after = (max(other.start_ns, off_time.end_ns), other.end_ns)
            kept += [OffTime(*part, other.standby_w) for part in (before, after) if part[0] < part[1]]
        self._off_times = sorted([*kept, off_time], key=lambda item: item.start_ns)

    def add_load(self, load: Load) -> None:
        """Let a workload run; loads that overlap add up."""
        self._loads.append(load)

    def _off_time(self, at_ns: int) -> OffTime | None:
        index = bisect.bisect_right(self._off_times, at_ns, key=lambda item: item.start_ns) - 1
        if index >= 0 and at_ns < self._off_times[index].end_ns:
            return self._off_times[index]
        return None

    def host_on(self, at_ns: int) -> bool:
        """Tell whether the host is on at ``at_ns`` (nanoseconds since the Unix epoch, UTC)."""
        return self._off_time(at_ns) is None

    def watts(self, at_ns: int) -> float:
        """Return the true power at ``at_ns``, watts."""
        off_time = self._off_time(at_ns)
        if off_time is not None:
            return off_time.standby_w
        extra_w = sum(load.extra_w for load in self._loads if load.start_ns <= at_ns < load.end_ns)
        return self._series.watts(self._simulated_s(at_ns)) + extra_w

    def energy_j(self, from_ns: int, to_ns: int) -> float:
        """Return the exact energy between two moments, joules.

        Args:
            from_ns: Start, nanoseconds since the Unix epoch, UTC.
            to_ns: End, not before the start.
        """
        total_j = self._while_on_j(from_ns, to_ns)
        first = bisect.bisect_right(self._off_times, from_ns, key=lambda item: item.end_ns)
        for off_time in itertools.islice(self._off_times, first, None):
            if off_time.start_ns >= to_ns:
                break
            start_ns, end_ns = max(from_ns, off_time.start_ns), min(to_ns, off_time.end_ns)
            total_j -= self._while_on_j(start_ns, end_ns)
            total_j += off_time.standby_w * (end_ns - start_ns) / NS_PER_S
        return total_j

    def _while_on_j(self, from_ns: int, to_ns: int) -> float:
        end_j = self._series.energy_j(self._simulated_s(to_ns))
        extra_j = sum(load.energy_j(from_ns, to_ns) for load in self._loads)
        return (end_j - self._series.energy_j(self._simulated_s(from_ns))) / self._speed + extra_j
