"""What the energy of a step may be off by: one small function per cause, each returning a variance in J².

The formula is the sum of these terms; k = 1.96 turns its root into a 95 % interval. Symbols: dP_e change of
power at edge e of the step, R period of the readings, T length of the step, s_w standard deviation of the
readings inside it, n their number. Derived from step edges of unknown phase against the readings' grid, and
checked by simulation (``tests/analysis/test_accuracy.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

K95 = 1.96
"""Factor from a standard uncertainty to a 95 % interval (normal distribution)."""

BMC_CLOCK_S = 0.5
"""Standard deviation of a BMC's record times after skew correction (iLO writes whole seconds)."""

_UNSEEN_FRACTION = 0.05
_OPEN_END_FRACTION = 0.2


def edge_smear(changes_w: Sequence[float], period_s: float) -> float:
    """A reading that spans an edge is shared by length: dP²·R²/30 each (f(1-f)·R·dP over uniform f)."""
    return _squares(changes_w) * period_s**2 / 30


def edge_phase(changes_w: Sequence[float], phase_s: float) -> float:
    """The age of a polled reading is known as a mean only: uniform over the phase, dP²·phase²/12."""
    return _squares(changes_w) * phase_s**2 / 12


def edge_clock(changes_w: Sequence[float], clock_error_s: float) -> float:
    """The edge itself is known to a clock error (standard deviation): dP²·sigma²."""
    return _squares(changes_w) * clock_error_s**2


def edge_gap(change_w: float, span_s: float) -> float:
    """An edge inside a gap may lie anywhere between the readings around it: dP²·g²/12."""
    return change_w**2 * span_s**2 / 12


def window_default(
    changes_w: Sequence[float], window_s: float, window_most_s: float, phase_s: float
) -> float:
    """Nobody declared the window: it may be anything from an instant to ``window_most_s``.

    The mean square of half the distance of a uniform window from the one that was taken, which is the error
    of the delay. Where the refresh period is unknown too, both are likely wrong in the same direction (an
    instantaneous sensor that is polled slowly), so their errors add up instead of their squares.

    Args:
        changes_w: Change of power at each edge.
        window_s: The window that was taken.
        window_most_s: The longest that is possible, not below ``window_s``.
        phase_s: Width of the unknown age where the refresh period is unknown too; else 0.
    """
    delay_s = math.sqrt(window_most_s**2 / 12 + (window_most_s / 2 - window_s) ** 2) / 2
    return _squares(changes_w) * (delay_s + phase_s / math.sqrt(12)) ** 2


def interior_edges(inside_sd_w: float, period_s: float) -> float:
    """Power that varies inside the step does so at its edges too: s_w²·R²/3."""
    return inside_sd_w**2 * period_s**2 / 3


def interior_jitter(inside_sd_w: float, jitter_s: float, duration_s: float) -> float:
    """Polls off their grid weigh readings wrongly: s_w²·n·R²·jitter/2R over n = T/R periods."""
    return inside_sd_w**2 * duration_s * jitter_s / 2


def interior_sampling(successive_sd_w: float, duration_s: float, readings: int, seen: float) -> float:
    """Readings of single moments miss what lies between them: (s·T)²/n for the part of time not seen.

    Args:
        successive_sd_w: Root of half the mean squared difference of neighbours (von Neumann): equals the
            standard deviation for noise and is small for slow changes, which interpolation follows.
        duration_s: Length of the step.
        readings: Readings inside the step.
        seen: Part of the time that the windows of the readings cover, 0..1.
    """
    return (successive_sd_w * duration_s) ** 2 / max(readings, 1) * (1 - seen)


def gap(inside_sd_w: float, left_w: float | None, right_w: float | None, unseen_s: float) -> float:
    """A stretch without readings is interpolated at the price of what the power may have done: s²·g².

    At least 5 % of the level even when all was quiet around it; where the series ends, at least 20 %,
    because nothing bounds the other side.
    """
    known_w = [level for level in (left_w, right_w) if level is not None]
    closed = len(known_w) == 2  # noqa: PLR2004  # both ends known
    floor_w = (_UNSEEN_FRACTION if closed else _OPEN_END_FRACTION) * max(known_w, default=0.0)
    jump_w = known_w[1] - known_w[0] if closed else 0.0
    return (max(inside_sd_w, floor_w) ** 2 + jump_w**2 / 12) * unseen_s**2


def quantisation(quantum_w: float, duration_s: float, different_readings: int) -> float:
    """Rounding: (q·T)²/12n. Equal readings in a row share one rounding error, so n counts their runs."""
    return (quantum_w * duration_s) ** 2 / 12 / max(different_readings, 1)


def u95(*variances: float) -> float:
    """Return the half width of the 95 % interval of independent terms."""
    return K95 * math.sqrt(sum(variances))


def _squares(values: Sequence[float]) -> float:
    return sum(value * value for value in values)
