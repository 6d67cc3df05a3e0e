"""Power over time as it is drawn: pieces without holes, and the sum over servers where all are known."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from energyrecorder_analysis.report.model import PowerPoint, PowerTrace

_HOLE_SPACINGS = 3.0
"""Points further apart than this many usual spacings are not joined: nobody knows what was between."""


def pieces(trace: PowerTrace) -> list[Sequence[PowerPoint]]:
    """Return the stretches of a trace that have no hole."""
    points = trace.points
    if not points:
        return []
    longest_ns = longest_step_ns(trace)
    starts = [0]
    starts += [
        index for index in range(1, len(points)) if points[index][0] - points[index - 1][0] > longest_ns
    ]
    return [points[start:end] for start, end in zip(starts, [*starts[1:], len(points)], strict=True)]


def spacing_ns(trace: PowerTrace) -> float:
    """Return the usual distance of two points; 0 where there are no two."""
    times = [point[0] for point in trace.points]
    spacings = [later - earlier for earlier, later in pairwise(times)]
    return median(spacings) if spacings else 0.0


def longest_step_ns(trace: PowerTrace) -> float:
    """Return the distance of two points above which there is a hole between them."""
    return _HOLE_SPACINGS * spacing_ns(trace)


def total_trace(traces: Sequence[PowerTrace], name: str = "total", most: int = 1200) -> PowerTrace:
    """Return the sum over servers at the moments when every one of them is known; missing is not zero.

    Args:
        traces: One per server.
        name: Name of the sum.
        most: Most points.
    """
    if not traces:
        return PowerTrace(name, ())
    from_ns = min(trace.points[0][0] for trace in traces)
    to_ns = max(trace.points[-1][0] for trace in traces)
    finest_ns = min(spacing_ns(trace) or 1e9 for trace in traces)
    count = max(min(int((to_ns - from_ns) / max(finest_ns, 1.0)), most), 1)
    grid = [from_ns + (to_ns - from_ns) * index // count for index in range(count + 1)]
    columns = [_at(trace, grid) for trace in traces]
    points = []
    for index, at_ns in enumerate(grid):
        values = [column[index] for column in columns]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            total = sum(known)
            points.append((at_ns, total, total, total))
    return PowerTrace(name, tuple(points))


def _at(trace: PowerTrace, grid: Sequence[int]) -> list[float | None]:
    times = [point[0] for point in trace.points]
    longest_ns = longest_step_ns(trace)
    values: list[float | None] = []
    for at_ns in grid:
        right = bisect_left(times, at_ns)
        if right < len(times) and times[right] == at_ns:
            values.append(trace.points[right][1])
        elif 0 < right < len(times) and times[right] - times[right - 1] <= longest_ns:
            (from_ns, from_w, *_), (to_ns, to_w, *_) = trace.points[right - 1], trace.points[right]
            values.append(from_w + (to_w - from_w) * (at_ns - from_ns) / (to_ns - from_ns))
        else:
            values.append(_held(trace, times, at_ns, longest_ns))
    return values


def _held(trace: PowerTrace, times: Sequence[int], at_ns: int, longest_ns: float) -> float | None:
    """Return the last value where a trace just began or ended, so that a slow server hides no edge."""
    before = bisect_right(times, at_ns) - 1
    if before == len(times) - 1 and at_ns - times[before] <= longest_ns:
        return trace.points[before][1]
    if before < 0 and times[0] - at_ns <= longest_ns:
        return trace.points[0][1]
    return None
