"""A power sensor as a BMC has it: renewed in steps, averaged over a window, with a gain and a quantum."""

from __future__ import annotations

import math
from dataclasses import dataclass

from energyrecorder_bmcsim.power import NS_PER_S, PowerTimeline


@dataclass(frozen=True, slots=True)
class SensorModel:
    """How a sensor turns true power into what it publishes.

    Args:
        refresh_s: Period between publications; 0 publishes at every look.
        window_s: Averaging window, which ends at the publication; 0 is instantaneous.
        quantum_w: Step of the published values; 0 publishes every digit.
        gain: Factor on the true power.
        latency_s: Time that the BMC takes to answer a request; the reading is taken half-way.
    """

    refresh_s: float = 1.0
    window_s: float = 1.0
    quantum_w: float = 1.0
    gain: float = 1.0
    latency_s: float = 0.0


def quantised(power_w: float, quantum_w: float) -> float:
    """Return ``power_w`` rounded to the nearest multiple of ``quantum_w`` (half up); 0 leaves it as it is."""
    if quantum_w == 0:
        return power_w
    return math.floor(power_w / quantum_w + 0.5) * quantum_w


class Sensor:
    """The sensor of one server.

    Args:
        model: How it measures.
        timeline: What it measures.
        start_ns: Start of the simulation, nanoseconds since the Unix epoch, UTC.
        phase_s: Publications happen at ``start_ns`` + ``phase_s`` + k * refresh, seconds.
    """

    def __init__(self, model: SensorModel, timeline: PowerTimeline, *, start_ns: int, phase_s: float) -> None:
        self.model = model
        self._timeline = timeline
        self._origin_ns = start_ns + round(phase_s * NS_PER_S)
        self._refresh_ns = round(model.refresh_s * NS_PER_S)
        self._window_ns = round(model.window_s * NS_PER_S)

    def published_ns(self, at_ns: int) -> int:
        """Return when the value that stands at ``at_ns`` was published, nanoseconds since the Unix epoch."""
        if self._refresh_ns == 0:
            return at_ns
        return at_ns - (at_ns - self._origin_ns) % self._refresh_ns

    def measured_w(self, at_ns: int) -> float:
        """Return what stands at ``at_ns`` before it is rounded, watts."""
        end_ns = self.published_ns(at_ns)
        return self.mean_w(end_ns, self._window_ns)

    def mean_w(self, end_ns: int, window_ns: int) -> float:
        """Return the mean over the window before ``end_ns`` as this sensor sees it, unrounded watts."""
        if window_ns == 0:
            return self.model.gain * self._timeline.watts(end_ns)
        energy_j = self._timeline.energy_j(end_ns - window_ns, end_ns)
        return self.model.gain * energy_j * NS_PER_S / window_ns

    def watts(self, at_ns: int) -> float:
        """Return the value that the sensor shows at ``at_ns`` (nanoseconds since the Unix epoch), watts."""
        return quantised(self.measured_w(at_ns), self.model.quantum_w)
