"""What the readings betray of a sensor that declares nothing: refresh period, longest window, step."""

from __future__ import annotations

import functools

import numpy as np

from energyrecorder_analysis.series import Floats

_FEWEST_CHANGES = 6
"""Fewer changes of value than this say nothing about the refresh period."""
_BEATING_RUN = 1.5
"""Mean run of equal readings from which a renewal slower than the polls may be seen."""
_REGULAR = 0.5
"""Runs that vary by less than this part of what chance would give have a period."""
_LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_LONGEST_SPAN_S = 240.0
_NEARLY = 0.9
_SATURATED = 1.35
"""A change that grows by less than this when it gets three times the time has got time enough."""
_JUMP_NOISES = 6.0
_JUMP_PART = 0.05
"""A jump is many times what neighbours usually differ by, and a twentieth of the power."""


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
    if shortest_s >= 1.5 * spacing_s:
        return float(between_s[between_s <= shortest_s + 1.5 * spacing_s].mean())
    # Near twice the spacing the grids beat: runs of 1, 2 and 3 polls. Chance repeats of a value that is
    # renewed at each poll are told apart by their spread: runs of mean m then vary by m² - m (geometric).
    polls = between_s / spacing_s
    mean = float(polls.mean())
    if mean >= _BEATING_RUN and float(polls.var()) < _REGULAR * (mean * mean - mean):
        return mean * spacing_s
    return None


def learn_window_most_s(time_s: Floats, watts: Floats, refresh_s: float) -> float:
    """Return the longest averaging window that the readings allow; never below ``refresh_s``.

    The mean over a window ramps for a whole window where the power jumps: its greatest change grows in
    proportion to the time allowed for it until that reaches the window, and hardly beyond. Readings that
    make no clear jump bound nothing; but then there is no edge whose place could be mistaken.

    Args:
        time_s: Times of the readings, increasing.
        watts: Same length, none missing.
        refresh_s: Period at which the value is renewed; shorter spans show the renewals instead.
    """
    if time_s.size < _FEWEST_CHANGES:
        return refresh_s
    spacing_s = float(np.median(np.diff(time_s)))
    noise_w = float(np.median(np.abs(np.diff(watts))))
    clear_w = max(_JUMP_NOISES * noise_w, _JUMP_PART * float(watts.mean()))

    @functools.cache
    def greatest_w(lag: int) -> float:
        return _greatest_change_w(time_s, watts, lag, spacing_s)

    most_s = refresh_s
    for lag in _LAGS:
        span_s = lag * spacing_s
        if span_s < refresh_s * _NEARLY or 3 * lag >= time_s.size or 3 * span_s > _LONGEST_SPAN_S:
            continue
        change_w, longer_w = greatest_w(lag), greatest_w(3 * lag)
        if longer_w < clear_w or not change_w:
            continue
        most_s = max(refresh_s, span_s * longer_w / change_w)
        if longer_w < _SATURATED * change_w:
            break
    return most_s


def _greatest_change_w(time_s: Floats, watts: Floats, lag: int, spacing_s: float) -> float:
    whole = time_s[lag:] - time_s[:-lag] <= 1.5 * lag * spacing_s
    return float(np.abs(watts[lag:] - watts[:-lag]).max(initial=0.0, where=whole))


def learn_quantum_w(watts: Floats) -> float:
    """Return the smallest difference between two readings, at most 16 W, 1 W when all are equal.

    Steps of 2 to 16 W are common in IPMI sensor records (one byte for the whole range).
    """
    differences_w = np.diff(np.unique(watts))
    return min(float(differences_w.min()), 16.0) if differences_w.size else 1.0
