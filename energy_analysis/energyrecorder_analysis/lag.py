"""When a reading was true: window, refresh period and delay of a server's source, declared or learned.

A BMC that publishes the mean of the last 10 s every 10 s is on average 10 s late when polled: half its
window plus half its refresh period. Ignoring that costs more accuracy than any other mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energyrecorder_analysis.series import Floats, PowerSeries

_FEWEST_CHANGES = 6
"""Fewer changes of value than this say nothing about the refresh period."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How the readings of one source relate to the time they speak of.

    Args:
        source: Name of the source; empty when unknown.
        bmc_clock: True when the BMC stamps its records, so that no delay is unknown.
        window_s: Averaging window; 0 is instantaneous.
        refresh_s: Period at which the value is renewed.
        spacing_s: Usual time between two readings of ours.
        jitter_s: Mean absolute deviation from that spacing.
        quantum_w: Step of the readings.
        window_assumed: True when nobody declared the window.
        refresh_assumed: True when the refresh period was neither declared nor learned.
        provenance: Where window and refresh period come from, for ``method``.
    """

    source: str
    bmc_clock: bool
    window_s: float
    refresh_s: float
    spacing_s: float
    jitter_s: float
    quantum_w: float
    window_assumed: bool
    refresh_assumed: bool
    provenance: str

    @property
    def lag_s(self) -> float:
        """Mean delay of a reading behind the middle of what it averages."""
        return self.window_s / 2 if self.bmc_clock else (self.window_s + self.refresh_s) / 2

    @property
    def period_s(self) -> float:
        """Time that one reading stands for: what happens within it cannot be told apart."""
        return max(self.window_s, self.refresh_s, self.spacing_s)

    @property
    def phase_s(self) -> float:
        """Width of the unknown age of a reading when it was polled; 0 for the BMC's own record times.

        Polls closer together than the refresh period see the value change, which dates it to one poll
        spacing, if the refresh period, and so the mean age, is known.
        """
        if self.bmc_clock:
            return 0.0
        if self.refresh_assumed:
            return self.refresh_s
        return min(self.refresh_s, self.spacing_s)

    def describe(self) -> str:
        """Return the words for ``method``."""
        clock = "BMC record times" if self.bmc_clock else "poll times"
        timing = f"window {self.window_s:.3g} s, refresh {self.refresh_s:.3g} s ({self.provenance})"
        return ", ".join(filter(None, (self.source, clock, timing)))


def timing_of(series: PowerSeries) -> Timing:
    """Return the timing of readings that share one source and one clock.

    A source's declared values may appear only after some polls (they are learned): then the known ones
    stand for all. Unknown refresh: the window. Both unknown: learned from runs of equal readings, else the
    poll spacing.

    Args:
        series: At least one reading, none missing.
    """
    time_s = (series.time_ns - series.time_ns[0]) / 1e9
    spacing_s, jitter_s = _spacing(time_s)
    bmc_clock = bool(series.bmc_clock[0])
    window = _known(series.window_s)
    refresh = _known(series.refresh_s)
    refresh_assumed = False
    if window is not None and refresh is not None:
        provenance = "declared"
    elif window is not None:
        refresh = spacing_s if bmc_clock else window or spacing_s
        refresh_assumed = True
        provenance = "window declared, refresh assumed"
    elif refresh is not None:
        provenance = "refresh declared, window assumed"
    else:
        refresh = None if bmc_clock else learn_refresh_s(time_s, series.watts)
        refresh_assumed = refresh is None
        provenance = "refresh learned, window assumed" if refresh else "assumed from the poll spacing"
    refresh_s = refresh if refresh is not None else spacing_s
    return Timing(
        source=series.sources[int(series.source[0])],
        bmc_clock=bmc_clock,
        window_s=window if window is not None else refresh_s,
        refresh_s=refresh_s,
        spacing_s=spacing_s or refresh_s,
        jitter_s=jitter_s,
        quantum_w=_known(series.quantum_w) or _learn_quantum_w(series.watts),
        window_assumed=window is None,
        refresh_assumed=refresh_assumed,
        provenance=provenance,
    )


def learn_refresh_s(time_s: Floats, watts: Floats) -> float | None:
    """Return the refresh period that runs of equal readings betray, or None when they betray nothing.

    The shortest usual time between two changes is the period; longer ones are renewals that happened to
    repeat the value. Only a period that spans several polls can be seen.

    Args:
        time_s: Times of the polls.
        watts: Same length, none missing.
    """
    if time_s.size < _FEWEST_CHANGES:
        return None
    changed_s = time_s[1:][np.diff(watts) != 0]
    if changed_s.size <= _FEWEST_CHANGES:
        return None
    between_s = np.diff(changed_s)
    spacing_s = float(np.median(np.diff(time_s)))
    shortest_s = float(np.quantile(between_s, 0.1))
    if shortest_s < 1.5 * spacing_s:
        return None
    return float(between_s[between_s <= shortest_s + 1.5 * spacing_s].mean())


def _known(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else None


def _spacing(time_s: Floats) -> tuple[float, float]:
    """Return median spacing and mean absolute deviation from it, holes left out; zeros for one reading."""
    between_s = np.diff(time_s)
    if between_s.size == 0:
        return 0.0, 0.0
    spacing_s = float(np.median(between_s))
    usual_s = between_s[between_s <= 1.6 * spacing_s]
    return spacing_s, float(np.abs(usual_s - spacing_s).mean())


def _learn_quantum_w(watts: Floats) -> float:
    """Return the smallest difference between two readings, at most 16 W, 1 W when all are equal.

    Steps of 2 to 16 W are common in IPMI sensor records (one byte for the whole range).
    """
    differences_w = np.diff(np.unique(watts))
    return min(float(differences_w.min()), 16.0) if differences_w.size else 1.0
