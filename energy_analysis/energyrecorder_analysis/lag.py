"""When a reading was true: window, refresh period and delay of a server's source, declared or learned.

A BMC that publishes the mean of the last 10 s every 10 s is on average 10 s late when polled: half its
window plus half its refresh period. Ignoring that costs more accuracy than any other mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energyrecorder_analysis.learn import learn_quantum_w, learn_refresh_s, learn_window_most_s
from energyrecorder_analysis.series import Floats, PowerSeries


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
        window_most_s: Longest window that the readings allow when nobody declared it; else ``window_s``.
        refresh_assumed: True when the refresh period was neither declared nor learned.
        provenance: Where window and refresh period come from, for ``method``.
        is_fixed: True when every reading declares the same, so that any part of them has the same delay.
    """

    source: str
    bmc_clock: bool
    window_s: float
    refresh_s: float
    spacing_s: float
    jitter_s: float
    quantum_w: float
    window_assumed: bool
    window_most_s: float
    refresh_assumed: bool
    provenance: str
    is_fixed: bool

    @property
    def kind(self) -> tuple[str, bool]:
        """Source and clock, by which readings share one timing."""
        return self.source, self.bmc_clock

    @property
    def lag_s(self) -> float:
        """Mean delay of a reading behind the middle of what it averages."""
        return self.window_s / 2 if self.bmc_clock else (self.window_s + self.refresh_s) / 2

    @property
    def half_width_s(self) -> float:
        """Half of what one reading covers; 0 where it is better taken as a moment."""
        contiguous = self.spacing_s / 2 <= self.window_s <= 1.2 * self.spacing_s
        return self.window_s / 2 if self.bmc_clock and contiguous else 0.0

    @property
    def period_s(self) -> float:
        """Time that one reading stands for: what happens within it cannot be told apart."""
        return max(self.window_s, self.refresh_s, self.spacing_s)

    @property
    def shortest_s(self) -> float:
        """Shortest step that the readings can tell apart from its neighbours: two of their periods.

        A long window that is only possible makes the interval wider; it forbids nothing.
        """
        window_s = 0.0 if self.window_assumed else self.window_s
        return 2 * max(window_s, self.refresh_s, self.spacing_s)

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

    def seen_of(self, renewal_s: float) -> float:
        """Return the part of the time that readings speak of, 0..1, when one comes every ``renewal_s``.

        A window that nobody declared may be an instant: then nothing between two readings was seen.
        """
        if self.window_assumed:
            return 0.0
        return min(self.window_s / renewal_s, 1.0) if renewal_s else 1.0

    def describe(self) -> str:
        """Return the words for ``method``."""
        clock = "BMC record times" if self.bmc_clock else "poll times"
        timing = f"window {self.window_s:.3g} s, refresh {self.refresh_s:.3g} s ({self.provenance})"
        return ", ".join(filter(None, (self.source, clock, timing)))


def timing_of(series: PowerSeries, pace_s: float | None = None) -> Timing:
    """Return the timing of readings that share one source and one clock.

    A source's declared values may appear only after some polls (they are learned): then the known ones
    stand for all. Unknown refresh: the window. Both unknown: learned from runs of equal readings, else the
    poll spacing.

    Args:
        series: At least one reading, none missing.
        pace_s: Time between polls, where these readings stood in for another source now and then: nothing is
            learned from the times between them. None: they follow on one another.
    """
    time_s = (series.time_ns - series.time_ns[0]) / 1e9
    spacing_s, jitter_s = _spacing(time_s) if pace_s is None else (pace_s, 0.0)
    bmc_clock = bool(series.bmc_clock[0])
    window_s = _known(series.window_s)
    refresh_s = _known(series.refresh_s)
    refresh_assumed = False
    if window_s is not None and refresh_s is not None:
        provenance = "declared"
    elif window_s is not None:
        refresh_s = spacing_s if bmc_clock else window_s or spacing_s
        refresh_assumed = True
        provenance = "window declared, refresh assumed"
    elif refresh_s is not None:
        provenance = "refresh declared, window assumed"
    else:
        refresh_s = None if bmc_clock or pace_s else learn_refresh_s(time_s, series.watts)
        refresh_assumed = refresh_s is None
        provenance = "assumed from the poll spacing" if refresh_assumed else "refresh learned, window assumed"
    refresh_s = spacing_s if refresh_s is None else refresh_s
    window_assumed = window_s is None
    if window_s is None:
        window_s, window_most_s = _assumed_window_s(time_s, series.watts, refresh_s, learn=pace_s is None)
    else:
        window_most_s = window_s
    return Timing(
        source=series.sources[int(series.source[0])],
        bmc_clock=bmc_clock,
        window_s=window_s,
        refresh_s=refresh_s,
        spacing_s=spacing_s or refresh_s,
        jitter_s=jitter_s,
        quantum_w=_known(series.quantum_w) or learn_quantum_w(series.watts),
        window_assumed=window_assumed,
        window_most_s=window_most_s,
        refresh_assumed=refresh_assumed,
        provenance=provenance,
        is_fixed=_is_fixed(series),
    )


def _assumed_window_s(time_s: Floats, watts: Floats, refresh_s: float, *, learn: bool) -> tuple[float, float]:
    """Return the window taken where none is declared, and the longest one that the readings allow."""
    most_s = learn_window_most_s(time_s, watts, refresh_s) if learn else refresh_s
    # Most meters average over the period at which they renew, so that is what is taken; one that
    # moves more slowly than it renews is a moving average, or a host that is slow itself.
    return max(refresh_s, most_s / 2), most_s


def _is_fixed(series: PowerSeries) -> bool:
    # What a BMC's record covers depends on the spacing too; nan, unknown, does not equal itself.
    declared = (series.window_s, series.refresh_s)
    return not series.bmc_clock[0] and all(bool((one == one[0]).all()) for one in declared)


def _known(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    # What a source declares hardly ever changes, and comparing is much faster than sorting.
    return float(known[0] if (known == known[0]).all() else np.median(known))


def _spacing(time_s: Floats) -> tuple[float, float]:
    """Return median spacing and mean absolute deviation from it, holes left out; zeros for one reading."""
    between_s = np.diff(time_s)
    if between_s.size == 0:
        return 0.0, 0.0
    spacing_s = float(np.median(between_s))
    usual_s = between_s[between_s <= 1.6 * spacing_s]
    return spacing_s, float(np.abs(usual_s - spacing_s).mean())
