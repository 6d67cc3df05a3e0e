"""What a load that is switched on and off betrays of a sensor: refresh period, averaging window, noise.

A reading of a sensor that averages over a window W and renews its value every R seconds is the mean of the
power over the W seconds before the value, whose age is unknown: 0 to R, so it is averaged over that. The
power itself may follow the load with a time constant. Idle and load level follow from linear least squares
for each window and time constant; those with the smallest sum of squares are taken. Leaving out one load
after the other (jackknife; Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 11.5)
tells how far chance moves the window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from energyrecorder.errors import EnergyError
from energyrecorder_analysis.learn import learn_refresh_s
from energyrecorder_analysis.series import Bools, Floats, PowerSeries

FEWEST_LOADS = 3
"""With fewer nothing can be said about how sure the window is."""

_FEWEST_READINGS = 30
_LONGEST_OF_LOAD = 0.9
"""A window nearly as long as the load never shows its full height."""
_CLEAR_NOISES = 4.0
_CLEAR_PART = 0.03
_FOLLOWS_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_COARSE_STEPS = 50
_FINE_STEPS = 9
_REFINEMENTS = 2
_INSTANT_S = 1e-3
_SEVERAL_POLLS = 1.5
"""A period of so many polls shows which poll was the first to find a new value."""
_T95 = {2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
"""Student's t, two-sided 95 %, by degrees of freedom; 2.2 for more."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found out about one source of one server.

    Args:
        source: Name of the source; empty when unknown.
        refresh_s: Period at which it renews its value.
        refresh_seen: False when the value changed with nearly every poll: then it is the poll spacing.
        window_s: Averaging window.
        window_u95_s: Half width of its 95 % interval.
        follow_s: Time constant with which the power follows the load besides, 0 if at once: the server's own
            (fans, temperature, start of the load), or a filter of the sensor; readings cannot tell.
        idle_w: Power without the load.
        load_w: Power with it.
        noise_w: Standard deviation of the readings around what idle and load explain.
        loads: How often the load was switched on.
        readings: How many readings were used.
    """

    source: str
    refresh_s: float
    refresh_seen: bool
    window_s: float
    window_u95_s: float
    follow_s: float
    idle_w: float
    load_w: float
    noise_w: float
    loads: int
    readings: int


class CalibrationError(EnergyError):
    """The readings do not say how the sensor averages; the message says why and what to do."""


def calibrate(series: PowerSeries, loads_ns: Sequence[tuple[int, int]]) -> Calibration:
    """Return what readings taken while a load was switched on and off say about their sensor.

    Args:
        series: Readings of one server, from before the first load to after the last one.
        loads_ns: When the load was on: (from, to), nanoseconds since the Unix epoch, UTC, in order.

    Raises:
        CalibrationError: There are too few loads or readings, or the load moved the power too little.
    """
    if len(loads_ns) < FEWEST_LOADS:
        raise CalibrationError(f"{len(loads_ns)} loads; at least {FEWEST_LOADS} are needed")
    series = _main_source(series.readings())
    if series.time_ns.size < _FEWEST_READINGS:
        raise CalibrationError(f"{series.time_ns.size} readings; at least {_FEWEST_READINGS} are needed")
    origin_ns = int(series.time_ns[0])
    time_s = (series.time_ns - origin_ns) / 1e9
    edges_s = (np.array(loads_ns, dtype=np.int64) - origin_ns) / 1e9
    refresh_s, seen = _refresh(series, time_s)
    age_s, fresh = _age(series, time_s, refresh_s)
    shortest_s = float((edges_s[:, 1] - edges_s[:, 0]).min())
    view = _View(time_s[fresh], series.watts[fresh], edges_s, age_s, _LONGEST_OF_LOAD * shortest_s)
    fit = _best(view)
    _check_clear(fit)
    if fit.window_s + fit.follow_s > _LONGEST_OF_LOAD * view.most_s:
        raise CalibrationError(
            f"the readings follow the load as slowly as it lasts ({shortest_s:.3g} s): let it last longer"
        )
    return Calibration(
        source=series.sources[int(series.source[0])],
        refresh_s=refresh_s,
        refresh_seen=seen,
        window_s=fit.window_s,
        # What the power follows with besides may be the sensor's; an edge is seen no better than its readings
        # are dated; a period that was not seen is shorter.
        window_u95_s=math.hypot(
            _jackknife_u95_s(view), 2 * fit.follow_s, age_s / 2, 0.0 if seen else refresh_s
        ),
        follow_s=fit.follow_s,
        idle_w=fit.idle_w,
        load_w=fit.idle_w + fit.rise_w,
        noise_w=fit.noise_w,
        loads=len(loads_ns),
        readings=int(series.time_ns.size),
    )


def _age(series: PowerSeries, time_s: Floats, refresh_s: float) -> tuple[float, Bools]:
    """Return the greatest age of the readings that are of use, and which those are.

    The BMC's own record times have none. Of polls that come several to a period, those that find a new value
    are of use: it is younger than the time since the poll before. A load whose edges happen to keep step with
    the renewals would mislead the others.
    """
    every = np.ones(time_s.size, dtype=np.bool_)
    if series.bmc_clock[0]:
        return 0.0, every
    spacing_s = float(np.median(np.diff(time_s)))
    if refresh_s < _SEVERAL_POLLS * spacing_s:
        return refresh_s, every
    every[0] = False
    every[1:] = (np.diff(series.watts) != 0) & (np.diff(time_s) < _SEVERAL_POLLS * spacing_s)
    return spacing_s, every


@dataclass(frozen=True, slots=True)
class _View:
    """What a fit looks at: readings, edges of the loads, age of a value, longest window; seconds."""

    time_s: Floats
    watts: Floats
    edges_s: Floats
    age_s: float
    most_s: float

    def without(self, left_out: Bools) -> _View:
        return replace(self, time_s=self.time_s[~left_out], watts=self.watts[~left_out])


@dataclass(frozen=True, slots=True)
class _Fit:
    window_s: float
    follow_s: float
    idle_w: float
    rise_w: float
    noise_w: float


def _main_source(series: PowerSeries) -> PowerSeries:
    """Return the readings of the source that has the most: another one may average otherwise."""
    if not series.source.size:
        return series
    main = int(np.bincount(series.source).argmax())
    return series.take(np.flatnonzero(series.source == main))


def _refresh(series: PowerSeries, time_s: Floats) -> tuple[float, bool]:
    """Return the refresh period, and whether it was seen or declared rather than taken from the polls.

    What is seen goes first: what is declared may be what an earlier calibration found.
    """
    spacing_s = float(np.median(np.diff(time_s)))
    if series.bmc_clock[0]:
        return spacing_s, True
    learned_s = learn_refresh_s(time_s, series.watts)
    if learned_s is not None:
        return learned_s, True
    declared = series.refresh_s[~np.isnan(series.refresh_s)]
    return (float(np.median(declared)), True) if declared.size else (spacing_s, False)


def _best(view: _View) -> _Fit:
    """Return the fit of least squares: all windows and time constants coarsely, then around the best."""
    windows_s = np.linspace(0.0, view.most_s, _COARSE_STEPS)
    best = _best_of(view, windows_s, _FOLLOWS_S)
    for _ in range(_REFINEMENTS):
        step_s = float(windows_s[1] - windows_s[0])
        windows_s = np.linspace(
            max(0.0, best.window_s - step_s), min(view.most_s, best.window_s + step_s), _FINE_STEPS
        )
        follows_s = (best.follow_s / 1.2, best.follow_s, best.follow_s * 1.2)
        best = _best_of(view, windows_s, sorted(set(follows_s)))
    return best


def _best_of(view: _View, windows_s: Floats, follows_s: Sequence[float]) -> _Fit:
    fits = (_fitted(view, float(window_s), follow_s) for follow_s in follows_s for window_s in windows_s)
    return min(fits, key=lambda fit: fit.noise_w)


def _fitted(view: _View, window_s: float, follow_s: float) -> _Fit:
    share = _load_share(view, window_s, follow_s)
    columns = np.column_stack((np.ones_like(share), share))
    (idle_w, rise_w), *_ = np.linalg.lstsq(columns, view.watts, rcond=None)
    noise_w = float(np.sqrt(np.mean((view.watts - columns @ (idle_w, rise_w)) ** 2)))
    return _Fit(window_s, follow_s, float(idle_w), float(rise_w), noise_w)


def _load_share(view: _View, window_s: float, follow_s: float) -> Floats:
    """Return the part of the load that each reading shows: its mean over window and age of the value."""
    spans_s = [span_s for span_s in (window_s, view.age_s) if span_s > 0] or [_INSTANT_S]
    if len(spans_s) == 1:
        before = _risen(view, spans_s[0], follow_s, 1)
        return (_risen(view, 0.0, follow_s, 1) - before) / spans_s[0]
    one_s, other_s = spans_s
    both = _risen(view, one_s, follow_s, 2) + _risen(view, other_s, follow_s, 2)
    ends = _risen(view, 0.0, follow_s, 2) + _risen(view, one_s + other_s, follow_s, 2)
    return (ends - both) / (one_s * other_s)


def _risen(view: _View, ago_s: float, follow_s: float, times: int) -> Floats:
    """Return the load's share of the power, integrated once or twice up to ``ago_s`` before each reading.

    Power that follows an edge as 1 - exp(-x/tau) has the integrals x - tau (1 - exp(-x/tau)) and
    x²/2 - tau x + tau² (1 - exp(-x/tau)).
    """
    total = np.zeros_like(view.time_s)
    for edges_s, sign in ((view.edges_s[:, 0], 1.0), (view.edges_s[:, 1], -1.0)):
        x_s = np.maximum(view.time_s[:, None] - ago_s - edges_s, 0.0)
        rest_s = follow_s * -np.expm1(-x_s / follow_s) if follow_s else np.zeros_like(x_s)
        once = x_s - rest_s
        total += sign * (once if times == 1 else x_s**2 / 2 - follow_s * once).sum(axis=1)
    return total


def _check_clear(fit: _Fit) -> None:
    if fit.rise_w < max(_CLEAR_NOISES * fit.noise_w, _CLEAR_PART * fit.idle_w):
        raise CalibrationError(
            f"the load raises the power by {fit.rise_w:.3g} W at a noise of {fit.noise_w:.3g} W; it must "
            f"be {_CLEAR_NOISES:g} times the noise and {_CLEAR_PART:.0%} of the power: load more cores"
        )


def _jackknife_u95_s(view: _View) -> float:
    """Return the half width of the window's 95 % interval from leaving out the time around one load each."""
    count = view.edges_s.shape[0]
    between_s = (view.edges_s[1:, 0] + view.edges_s[:-1, 1]) / 2
    part = np.searchsorted(between_s, view.time_s)
    windows_s = np.array([_best(view.without(part == load)).window_s for load in range(count)])
    error_s = math.sqrt((count - 1) / count * float(np.sum((windows_s - windows_s.mean()) ** 2)))
    # What the grid cannot tell apart is not known either.
    grid_s = view.most_s / _COARSE_STEPS * (2 / _FINE_STEPS) ** _REFINEMENTS
    return _T95.get(count - 1, 2.2) * math.hypot(error_s, grid_s)
