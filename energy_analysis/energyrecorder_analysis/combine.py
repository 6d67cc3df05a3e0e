"""The energy of a step: its servers added up, and the interval and quality of the sum."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from energyrecorder_analysis.curve import PowerCurve
from energyrecorder_analysis.estimate import CLOCK_ERROR_S, ServerEnergy, server_energy
from energyrecorder_analysis.quality import COARSE, RESOLVED, UNRESOLVABLE, judge
from energyrecorder_analysis.series import Floats

METHOD = "lag-corrected integral"

_MOST_POINTS = 2000
"""Most moments at which the sum over servers is looked at for its maximum."""
_NAMED = 3
"""Servers named in a reason; the rest are counted."""


@dataclass(frozen=True, slots=True)
class StepEnergy:
    """Energy of one step over its servers.

    Args:
        energy_j: Best estimate, of the servers that have readings; None when none has.
        u95_j: Half width of its 95 % interval; None with ``energy_j``.
        u95_gain_j: Half width due to the declared accuracies; None when any is unknown.
        duration_s: Length of the step.
        avg_w: Mean of the sum over servers.
        max_w: Largest sum over servers inside the step.
        quality: ``resolved``, ``coarse`` or ``unresolvable``, judged on the sum.
        reason: Why not ``resolved``; empty if it is.
        coverage: Mean over the expected servers, 0..1; a missing server counts 0.
        samples: Readings inside, all servers.
        method: How it was computed.
        side: ``ac``, ``dc``, ``mixed``; None unknown.
        servers: The parts, by server id, missing ones included.
    """

    energy_j: float | None
    u95_j: float | None
    u95_gain_j: float | None
    duration_s: float
    avg_w: float | None
    max_w: float | None
    quality: str
    reason: str
    coverage: float
    samples: int
    method: str
    side: str | None
    servers: Mapping[str, ServerEnergy]


def step_energy(
    curves: Iterable[tuple[str, PowerCurve | None]],
    start_ns: int,
    end_ns: int,
    *,
    clock_error_s: float = CLOCK_ERROR_S,
) -> StepEnergy:
    """Return the energy of the expected servers from ``start_ns`` to ``end_ns``.

    Args:
        curves: Every expected server and its power, None without readings; taken one at a time, and what
            is large is let go of, so that a long step over many servers takes the memory of one.
        start_ns: Start, nanoseconds since the Unix epoch, UTC.
        end_ns: End, not before the start.
        clock_error_s: Standard deviation of both edges against the clock of the readings.

    Raises:
        ValueError: The end is before the start.
    """
    if end_ns < start_ns:
        raise ValueError(f"the step ends {(start_ns - end_ns) / 1e9:.3f} s before it starts")
    parts = []
    traces = _Traces(start_ns, (end_ns - start_ns) / 1e9)
    for server, curve in curves:
        part = server_energy(server, curve, start_ns, end_ns, clock_error_s=clock_error_s)
        parts.append(part)
        if curve is not None and part.energy_j is not None:
            traces.add(curve)
    max_w = parts[0].max_w if len(parts) == 1 else traces.max_of_sum_w()
    return combine(parts, duration_s=(end_ns - start_ns) / 1e9, max_w=max_w)


def combine(parts: Sequence[ServerEnergy], *, duration_s: float, max_w: float | None = None) -> StepEnergy:
    """Return the sum of ``parts``: random uncertainties in quadrature, common ones linearly.

    Args:
        parts: One per expected server; a missing one has no energy.
        duration_s: Length of the step.
        max_w: Largest sum over servers, if known.
    """
    measured = [part for part in parts if part.energy_j is not None]
    missing = [part.server for part in parts if part.energy_j is None]
    by_server = {part.server: part for part in parts}
    energy_j = sum(part.energy_j or 0.0 for part in measured) if measured else None
    u95_j = _u95_j(measured) if measured else None
    quality, reason = _judge_sum(energy_j, u95_j, measured, missing)
    gains_j = [part.u95_gain_j for part in measured]
    return StepEnergy(
        energy_j=energy_j,
        u95_j=u95_j,
        u95_gain_j=None if not gains_j or None in gains_j else sum(gain or 0.0 for gain in gains_j),
        duration_s=duration_s,
        avg_w=energy_j / duration_s if energy_j is not None and duration_s > 0 else None,
        max_w=max_w,
        quality=quality,
        reason=reason,
        coverage=sum(part.coverage for part in parts) / len(parts) if parts else 0.0,
        samples=sum(part.samples for part in parts),
        method=_method(measured),
        side=_side(measured),
        servers=by_server,
    )


def _u95_j(parts: Iterable[ServerEnergy]) -> float:
    random_j2, common_j = 0.0, 0.0
    for part in parts:
        random_j2 += part.u95_random_j**2
        common_j += part.u95_common_j
    return math.hypot(math.sqrt(random_j2), common_j)


def _judge_sum(
    energy_j: float | None, u95_j: float | None, measured: Sequence[ServerEnergy], missing: Sequence[str]
) -> tuple[str, str]:
    if energy_j is None or u95_j is None:
        return UNRESOLVABLE, f"no readings of {_names(missing)}" if missing else "no server to measure"
    too_short = [part for part in measured if part.too_short]
    too_short_j = sum(part.energy_j or 0.0 for part in too_short)
    # Where nothing was consumed, no server makes up most of it: then they count by number.
    mostly = too_short_j > energy_j / 2 if energy_j > 0 else 2 * len(too_short) > len(measured)
    too_short_s = max(part.shortest_s for part in too_short) if mostly and too_short else 0.0
    quality, reason = judge(energy_j, u95_j, too_short_s=too_short_s)
    told = [reason] if reason else []
    if missing:
        quality = COARSE if quality == RESOLVED else quality
        told.insert(0, f"no readings of {_names(missing)}")
    with_gaps = [part.server for part in measured if part.gaps_ns]
    if with_gaps:
        told.append(f"gaps in the readings of {_names(with_gaps)}")
    return quality, "" if quality == RESOLVED else "; ".join(told)


def _names(servers: Sequence[str]) -> str:
    shown = ", ".join(servers[:_NAMED])
    more = len(servers) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _method(measured: Sequence[ServerEnergy]) -> str:
    told = sorted({part.method for part in measured})
    return ": ".join((METHOD, " | ".join(told))) if told else ""


def _side(measured: Sequence[ServerEnergy]) -> str | None:
    sides = {part.side for part in measured}
    if not sides or None in sides:
        return None
    return sides.pop() if len(sides) == 1 else "mixed"


class _Traces:
    """The power of servers at the same moments of a step, for the maximum of their sum.

    Args:
        start_ns: Start of the step.
        duration_s: Its length.
    """

    def __init__(self, start_ns: int, duration_s: float) -> None:
        self._start_ns = start_ns
        self._duration_s = duration_s
        self._points = 0
        self._total_w: Floats = np.zeros(0)
        self._kept: list[PowerCurve] = []

    def add(self, curve: PowerCurve) -> None:
        """Take a server in; its curve is kept only while there may be fewer moments than the most."""
        finest_s = min(timing.spacing_s for timing in curve.timings)
        self._points = max(self._points, int(min(self._duration_s / max(finest_s, 0.1), _MOST_POINTS)) + 2)
        self._kept.append(curve)
        if self._points == _MOST_POINTS + 2:
            self._add_up()

    def max_of_sum_w(self) -> float | None:
        """Return the maximum, or None without servers."""
        self._add_up()
        return float(self._total_w.max()) if self._points else None

    def _add_up(self) -> None:
        if not self._total_w.size:
            self._total_w = np.zeros(self._points)
        for curve in self._kept:
            from_s = curve.seconds(self._start_ns)
            self._total_w += curve.watts_at(np.linspace(from_s, from_s + self._duration_s, self._points))
        self._kept.clear()
