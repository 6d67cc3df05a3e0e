"""What the readings of one server say about one interval: its edges, its inside, its holes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from energyrecorder_analysis import uncertainty
from energyrecorder_analysis.curve import Hole, PowerCurve, holes
from energyrecorder_analysis.lag import Timing
from energyrecorder_analysis.series import Floats, usual

_NS = 1e-9
_FEWEST_FOR_SPREAD = 3
"""Fewer readings inside give no spread: then those one period around count too."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval seen through the readings of one server.

    Args:
        curve: Power of the server.
        from_s: Start, seconds since the curve's origin.
        to_s: End.
        timings: Of the sources that were read in or around the interval, the slowest first.
        sources: Names of the usual ones of them, sorted.
        inside_w: Readings inside.
        near_w: Readings inside, or around when there are few.
        near_s: When those were true.
        holes: Gaps that overlap the interval.
    """

    curve: PowerCurve
    from_s: float
    to_s: float
    timings: tuple[Timing, ...]
    sources: tuple[str, ...]
    inside_w: Floats
    near_w: Floats
    near_s: Floats
    holes: tuple[Hole, ...]

    @classmethod
    def of(cls, curve: PowerCurve, start_ns: int, end_ns: int) -> Interval:
        """Return the view of ``curve`` from ``start_ns`` to ``end_ns``."""
        from_s, to_s = curve.seconds(start_ns), curve.seconds(end_ns)
        reach_s = max(timing.period_s for timing in curve.timings)
        near = _slice(curve, from_s - reach_s, to_s + reach_s)
        inside = _slice(curve, from_s, to_s)
        read = curve.timing_index[near]
        used = set(read.tolist()) or set(range(len(curve.timings)))
        named = {curve.timings[index].source for index in usual(read).tolist() or used}
        slowest_first = sorted((curve.timings[index] for index in used), key=lambda timing: -timing.period_s)
        spread = inside if inside.stop - inside.start >= _FEWEST_FOR_SPREAD else near
        watts = curve.series.watts
        return cls(
            curve=curve,
            from_s=from_s,
            to_s=to_s,
            timings=tuple(slowest_first),
            sources=tuple(sorted(filter(None, named))),
            inside_w=watts[inside],
            near_w=watts[spread],
            near_s=curve.center_s[spread],
            holes=tuple(holes(curve, from_s, to_s)),
        )

    @property
    def timing(self) -> Timing:
        """Timing of the slowest source, which bounds what can be resolved."""
        return self.timings[0]

    def method(self) -> str:
        """Return the words for ``method``: every source used, with its timing."""
        return " + ".join(timing.describe() for timing in self.timings)

    @property
    def duration_s(self) -> float:
        """Length of the interval."""
        return self.to_s - self.from_s

    @property
    def samples(self) -> int:
        """Readings that speak of the interval."""
        return int(self.inside_w.size)

    @property
    def coverage(self) -> float:
        """Part of the interval that is not in a hole, 0..1."""
        if self.duration_s <= 0:
            return 0.0
        seen_s = self.duration_s - sum(self._unseen_s(hole) for hole in self.holes)
        # Times are whole nanoseconds: less than one is what adding up left over.
        return 0.0 if seen_s < _NS else min(seen_s / self.duration_s, 1.0)

    def max_w(self) -> float:
        """Return the largest reading inside, or the power in the middle when there is none."""
        if self.inside_w.size:
            return float(self.inside_w.max())
        return float(self.curve.watts_at(np.array([(self.from_s + self.to_s) / 2]))[0])

    def common_variances(self, clock_error_s: float) -> Iterator[float]:
        """Yield the terms that hit all servers alike: the clock of the edges and what was assumed by default.

        Args:
            clock_error_s: Standard deviation of both edges.
        """
        timing = self.timing
        yield uncertainty.edge_clock(self._edge_changes_w(2 * clock_error_s), clock_error_s)
        if timing.window_assumed:
            phase_s = timing.phase_s if timing.refresh_assumed else 0.0
            yield uncertainty.window_default(
                self._edge_changes_w(), timing.window_s, timing.window_most_s, phase_s
            )
        elif timing.refresh_assumed:
            yield self._phase()

    def random_variances(self) -> Iterator[float]:
        """Yield the terms that are independent of other servers."""
        timing, spread_w = self.timing, self._spread_w()
        changes_w = self._edge_changes_w()
        yield uncertainty.edge_smear(changes_w, max(timing.period_s, timing.window_most_s))
        if not timing.refresh_assumed:
            yield self._phase()
        if timing.bmc_clock:
            yield uncertainty.edge_clock(changes_w, uncertainty.BMC_CLOCK_S)
        renewal_s = max(timing.refresh_s, timing.spacing_s)
        seen = timing.seen_of(renewal_s)
        yield uncertainty.interior_edges(spread_w, timing.period_s) * seen
        if not timing.bmc_clock:
            yield uncertainty.interior_jitter(spread_w, timing.jitter_s, self.duration_s) * seen
        yield uncertainty.interior_sampling(
            self._successive_sd_w(renewal_s), self.duration_s, self._renewals(renewal_s), seen
        )
        runs = 1 + int(np.count_nonzero(np.diff(self.near_w)))
        yield uncertainty.quantisation(timing.quantum_w, self.duration_s, runs)
        yield from self._hole_variances(spread_w)

    def gaps_ns(self) -> tuple[tuple[int, int], ...]:
        """Return the parts of the holes that lie inside, in nanoseconds since the Unix epoch."""
        return tuple(
            (
                self.curve.nanoseconds(max(hole.from_s, self.from_s)),
                self.curve.nanoseconds(min(hole.to_s, self.to_s)),
            )
            for hole in self.holes
            if self._unseen_s(hole) > 0
        )

    def _phase(self) -> float:
        return uncertainty.edge_phase(self._edge_changes_w(), self.timing.phase_s)

    def _edge_changes_w(self, reach_s: float = 0.0) -> tuple[float, float]:
        """Return how much the power changes around each edge, within one period at least."""
        reach_s = max(reach_s, self.timing.period_s)
        around_s = reach_s * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
        start_w = self.curve.watts_at(self.from_s + around_s)
        end_w = self.curve.watts_at(self.to_s + around_s)
        return float(np.ptp(start_w)), float(np.ptp(end_w))

    def _spread_w(self) -> float:
        return float(self.near_w.std(ddof=1)) if self.near_w.size > 1 else 0.0

    def _renewals(self, renewal_s: float) -> int:
        return max(min(self.samples, round(self.duration_s / renewal_s) if renewal_s else 1), 1)

    def _successive_sd_w(self, renewal_s: float) -> float:
        """Return the root of half the mean squared change from one renewal to the next."""
        if self.near_w.size <= 1:
            return 0.0
        renewals = max((self.near_s[-1] - self.near_s[0]) / renewal_s, 1.0) if renewal_s else 1.0
        squares = np.square(np.diff(self.near_w)).sum()
        return float(np.sqrt(squares / 2 / renewals))

    def _unseen_s(self, hole: Hole) -> float:
        return max(min(hole.to_s, self.to_s) - max(hole.from_s, self.from_s), 0.0)

    def _hole_variances(self, spread_w: float) -> Iterator[float]:
        for hole in self.holes:
            yield uncertainty.gap(spread_w, hole.left_w, hole.right_w, self._unseen_s(hole))
            if hole.left_w is None or hole.right_w is None:
                continue
            edges_inside = sum(hole.from_s < edge_s < hole.to_s for edge_s in (self.from_s, self.to_s))
            yield edges_inside * uncertainty.edge_gap(hole.right_w - hole.left_w, hole.span_s)


def _slice(curve: PowerCurve, from_s: float, to_s: float) -> slice:
    """Return the readings that overlap [from_s, to_s]."""
    first = int(np.searchsorted(curve.to_s, from_s, side="left"))
    last = int(np.searchsorted(curve.from_s, to_s, side="right"))
    return slice(first, max(first, last))
