"""What one simulated BMC knows at a moment: joins true power, sensor, host state, faults and clock."""

from __future__ import annotations

from dataclasses import dataclass

from energyrecorder_bmcsim.faults import FaultPlan
from energyrecorder_bmcsim.power import NS_PER_S, Load, OffTime, PowerTimeline
from energyrecorder_bmcsim.sensor import Sensor, quantised

_PEAK_PARTS = 10
_EXTREME_SAMPLES = 60


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a BMC's power history.

    Args:
        end_ns: End of the averaging window, nanoseconds since the Unix epoch, UTC (true time).
        average_w: Mean power of the window as the sensor sees it, watts.
        peak_w: Greatest mean of a tenth of the window, watts; likewise ``least_w``.
    """

    end_ns: int
    average_w: float
    peak_w: float
    least_w: float


@dataclass(frozen=True, slots=True)
class View:
    """What a BMC goes by when it answers.

    Args:
        read_ns: Moment of the readings, nanoseconds since the Unix epoch, UTC.
        clock_ns: What its own clock shows.
        host_on: Whether the host is on.
        masked: ``null`` or ``zero`` when a fault hides the readings, else empty.
    """

    read_ns: int
    clock_ns: int
    host_on: bool
    masked: str


class LiveBmc:
    """The live side of a BMC; the source of readings for the HTTP and the IPMI server.

    Args:
        timeline: True power.
        sensor: Sensor on it.
        faults: Faults of the BMC.
        start_ns: Start of the simulation, nanoseconds since the Unix epoch, UTC.
        ring_phase_s: Records end at multiples of their period after this moment, whole seconds.
    """

    def __init__(
        self,
        timeline: PowerTimeline,
        sensor: Sensor,
        faults: FaultPlan,
        *,
        start_ns: int,
        ring_phase_s: int = 0,
    ) -> None:
        self.timeline = timeline
        self.sensor = sensor
        self._faults = faults
        self._start_ns = start_ns
        self._ring_phase_ns = ring_phase_s * NS_PER_S
        self._histories: dict[tuple[int, int], list[Record]] = {}

    def watts(self, now_ns: int) -> float:
        """Return what the sensor shows at ``now_ns``, watts."""
        return self.sensor.watts(now_ns)

    def host_on(self, now_ns: int) -> bool:
        """Tell whether the host is on at ``now_ns``."""
        return self.timeline.host_on(now_ns)

    def reboot(self, start_ns: int, *, off_s: float, standby_w: float) -> OffTime:
        """Turn the host off for ``off_s`` real seconds from ``start_ns`` on; return that time."""
        off_time = OffTime(start_ns, start_ns + round(off_s * NS_PER_S), standby_w)
        self.timeline.switch_off(off_time)
        return off_time

    def load(self, start_ns: int, *, for_s: float, extra_w: float) -> Load:
        """Let a workload draw ``extra_w`` for ``for_s`` real seconds from ``start_ns`` on; return it."""
        load = Load(start_ns, start_ns + round(for_s * NS_PER_S), extra_w)
        self.timeline.add_load(load)
        return load

    def view(self, now_ns: int) -> View:
        """Return what the BMC goes by at ``now_ns``."""
        stale = self._faults.find("stale", now_ns)
        masked = next((kind for kind in ("null", "zero") if self._faults.find(kind, now_ns)), "")
        return View(
            read_ns=now_ns if stale is None else max(stale.start_ns, self._start_ns),
            clock_ns=self.clock_ns(now_ns),
            host_on=self.host_on(now_ns),
            masked=masked,
        )

    def clock_ns(self, at_ns: int) -> int:
        """Return what the BMC's clock showed at ``at_ns``, nanoseconds since the Unix epoch."""
        return self._faults.clock_ns(at_ns)

    def zeroed(self, at_ns: int) -> bool:
        """Tell whether a fault made the readings of ``at_ns`` 0."""
        return self._faults.find("zero", at_ns) is not None

    def mean_w(self, at_ns: int, over_s: float) -> float:
        """Return the mean over the last ``over_s`` seconds before the standing publication, watts."""
        end_ns = self.sensor.published_ns(at_ns)
        mean_w = self.sensor.mean_w(end_ns, round(over_s * NS_PER_S))
        return quantised(mean_w, self.sensor.model.quantum_w)

    def extremes_w(self, at_ns: int, over_s: float) -> tuple[float, float]:
        """Return the least and the greatest of up to 60 publications in the last ``over_s`` seconds."""
        end_ns = self.sensor.published_ns(at_ns)
        step_ns = round(over_s * NS_PER_S / _EXTREME_SAMPLES)
        values_w = [self.watts(end_ns - index * step_ns) for index in range(_EXTREME_SAMPLES)]
        return min(values_w), max(values_w)

    def energy_j(self, at_ns: int) -> float:
        """Return what the sensor has counted since the start of the simulation, joules."""
        gain = self.sensor.model.gain
        return gain * self.timeline.energy_j(self._start_ns, max(at_ns, self._start_ns))

    def records(self, now_ns: int, period_s: int, count: int) -> list[Record]:
        """Return the last ``count`` records of ``period_s`` seconds, oldest first.

        Their windows lie back to back and end at whole seconds: a BMC writes times to the second.
        """
        period_ns = period_s * NS_PER_S
        last_ns = now_ns - (now_ns - self._ring_phase_ns) % period_ns
        history = self._histories.setdefault((period_s, count), [])
        first_ns = last_ns - (count - 1) * period_ns
        if history:
            first_ns = max(first_ns, history[-1].end_ns + period_ns)
        history += [self._record(end_ns, period_ns) for end_ns in range(first_ns, last_ns + 1, period_ns)]
        del history[:-count]
        return [record for record in history if record.end_ns <= last_ns]

    def _record(self, end_ns: int, period_ns: int) -> Record:
        quantum_w = self.sensor.model.quantum_w
        part_ns = period_ns // _PEAK_PARTS
        parts_w = [self.sensor.mean_w(end_ns - part * part_ns, part_ns) for part in range(_PEAK_PARTS)]
        average_w = self.sensor.mean_w(end_ns, period_ns)
        shown_w = (quantised(watts, quantum_w) for watts in (average_w, max(parts_w), min(parts_w)))
        return Record(end_ns, *shown_w)
