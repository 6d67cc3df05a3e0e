"""How sensors behave by all readings of a run: its steps are computed with that, and add up to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Loads numpy, which a service that has no result to compute does not pay for.
    from energyrecorder_analysis.curve import Timings
    from energyrecorder_analysis.lag import Timing

MOST_RUNS = 200
"""Runs that are remembered; a run that is not is read anew when one of its steps is computed."""

ServerTimings = Mapping[str, "Timings"]
"""By server."""


class RunTimings:
    """Remembers the timings of the runs that were computed last."""

    def __init__(self) -> None:
        self._runs: dict[str, ServerTimings] = {}

    def get(self, run_id: str) -> ServerTimings | None:
        """Return the timings of a run; None when it is not remembered."""
        return self._runs.get(run_id)

    def put(self, run_id: str, timings: ServerTimings) -> bool:
        """Remember a run and tell whether its steps may have been computed with other delays than these."""
        before = self._runs.pop(run_id, None)
        self._runs[run_id] = timings
        if len(self._runs) > MOST_RUNS:
            del self._runs[next(iter(self._runs))]
        if before is None:
            return not all(timing.is_fixed for timing in _each(timings.values()))
        return _delays(before) != _delays(timings)


def _each(timings: Iterable[Timings]) -> Iterator[Timing]:
    for one in timings:
        yield from one.values()


def _delays(timings: ServerTimings) -> dict[tuple[str, tuple[str, bool]], tuple[float, float]]:
    """Return all that the energy between two moments depends on besides the readings."""
    return {
        (server, kind): (timing.lag_s, timing.half_width_s)
        for server, kinds in timings.items()
        for kind, timing in kinds.items()
    }
