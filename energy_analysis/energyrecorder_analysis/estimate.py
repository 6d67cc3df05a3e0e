"""The energy of one server over one interval, with its uncertainty and what stands behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from energyrecorder_analysis import uncertainty
from energyrecorder_analysis.curve import PowerCurve
from energyrecorder_analysis.interval import Interval
from energyrecorder_analysis.quality import judge

CLOCK_ERROR_S = 0.05
"""Standard deviation of step edges when nobody states one: half a slow round trip on a local network."""


@dataclass(frozen=True, slots=True)
class ServerEnergy:
    """Energy of one server over one interval.

    Args:
        server: Server id.
        energy_j: Best estimate; None when no reading tells anything about the interval.
        u95_j: Half width of its 95 % interval; None with ``energy_j``.
        u95_random_j: The part of it that is independent of other servers.
        u95_common_j: The part that hits all servers alike (clock of the edges, default lag).
        u95_gain_j: Half width due to the declared accuracy of the sensor, which cancels when the same
            servers are compared; not part of ``u95_j``; None when unknown.
        avg_w: Mean power.
        max_w: Largest reading inside.
        coverage: Part of the interval that readings cover, 0..1.
        samples: Readings inside.
        gaps_ns: Stretches of the interval without readings, (from, to) in nanoseconds UTC.
        quality: ``resolved``, ``coarse`` or ``unresolvable``.
        reason: Why not ``resolved``; empty if it is.
        method: How it was computed, with the timing of the source.
        side: ``ac``, ``dc``, ``mixed``; None unknown.
        shortest_s: Shortest step that this server's readings resolve at all: twice their period.
        too_short: Whether the interval is shorter than that.
        sources: Names of the sensors that were usually read in it; empty where none has a name.
    """

    server: str
    energy_j: float | None
    u95_j: float | None
    u95_random_j: float
    u95_common_j: float
    u95_gain_j: float | None
    avg_w: float | None
    max_w: float | None
    coverage: float
    samples: int
    gaps_ns: tuple[tuple[int, int], ...]
    quality: str
    reason: str
    method: str
    side: str | None
    shortest_s: float
    too_short: bool
    sources: tuple[str, ...] = ()


def server_energy(
    server: str,
    curve: PowerCurve | None,
    start_ns: int,
    end_ns: int,
    *,
    clock_error_s: float = CLOCK_ERROR_S,
) -> ServerEnergy:
    """Return the energy of one server from ``start_ns`` to ``end_ns``.

    Readings from before and after the interval sharpen its edges: give the curve at least two periods and
    one lag more on both sides (a minute does for most BMCs). Build one curve for a whole run, or each with
    the timing of the run's (``known`` of `power_curve`): then steps add up to the run exactly.

    Args:
        server: Server id.
        curve: Its power; None when there is no reading.
        start_ns: Start, nanoseconds since the Unix epoch, UTC.
        end_ns: End, not before the start.
        clock_error_s: Standard deviation of both edges against the clock of the readings.

    Raises:
        ValueError: The end is before the start.
    """
    if end_ns < start_ns:
        raise ValueError(f"the interval ends {(start_ns - end_ns) / 1e9:.3f} s before it starts")
    if curve is None:
        return _nothing(server, "no readings")
    interval = Interval.of(curve, start_ns, end_ns)
    if end_ns > start_ns and interval.coverage == 0:
        return _nothing(server, "no readings in this time")
    return _measured(server, curve, interval, clock_error_s)


def _measured(server: str, curve: PowerCurve, interval: Interval, clock_error_s: float) -> ServerEnergy:
    energy_j = curve.energy_j(interval.from_s, interval.to_s)
    common_j = uncertainty.u95(*interval.common_variances(clock_error_s))
    random_j = uncertainty.u95(*interval.random_variances())
    u95_j = math.hypot(common_j, random_j)
    shortest_s = interval.timing.shortest_s
    too_short = interval.duration_s < shortest_s
    quality, reason = judge(energy_j, u95_j, too_short_s=shortest_s if too_short else 0.0)
    accuracy_pct = curve.series.accuracy_pct
    return ServerEnergy(
        server=server,
        energy_j=energy_j,
        u95_j=u95_j,
        u95_random_j=random_j,
        u95_common_j=common_j,
        u95_gain_j=None if accuracy_pct is None else energy_j * accuracy_pct / 100,
        avg_w=energy_j / interval.duration_s if interval.duration_s else None,
        max_w=interval.max_w(),
        coverage=interval.coverage,
        samples=interval.samples,
        gaps_ns=interval.gaps_ns(),
        quality=quality,
        reason="; ".join(filter(None, (reason, _told_gaps(interval)))),
        method=interval.method(),
        side=curve.series.side,
        shortest_s=shortest_s,
        too_short=too_short,
        sources=interval.sources,
    )


def _told_gaps(interval: Interval) -> str:
    gap_s = sum(to_ns - from_ns for from_ns, to_ns in interval.gaps_ns()) / 1e9
    return f"{gap_s:.3g} s without readings" if gap_s else ""


def _nothing(server: str, reason: str) -> ServerEnergy:
    return ServerEnergy(
        server=server,
        energy_j=None,
        u95_j=None,
        u95_random_j=0.0,
        u95_common_j=0.0,
        u95_gain_j=None,
        avg_w=None,
        max_w=None,
        coverage=0.0,
        samples=0,
        gaps_ns=(),
        quality="unresolvable",
        reason=reason,
        method="",
        side=None,
        shortest_s=0.0,
        too_short=False,
    )
