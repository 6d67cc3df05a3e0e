"""Profiles of runs: power over the time since the start, so that runs can be laid over one another."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from energyrecorder.errors import EnergyError
from energyrecorder.line_protocol import tag_text
from energyrecorder.schema import ENERGY_RUN_PROFILE
from energyrecorder_annotator.influx.client import InfluxClient
from energyrecorder_annotator.influx.influxql import identifier, tag_is
from energyrecorder_annotator.journal.base import Journal, StepQuery, StoredResult
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.samples.base import SampleStore
from energyrecorder_annotator.sinks.points import Point
from energyrecorder_annotator.sinks.wording import tag_name

KEPT = 50
"""Profiles of a scenario that are kept."""
MOST_POINTS = 300
_REMEMBERED_S = 5.0
_MOST_REMEMBERED = 10_000

_log = logging.getLogger(__name__)
Curve = Sequence[tuple[int, float, float, float]]


class Profiles:
    """Writes profiles and deletes old ones.

    Args:
        journal: Knows which runs of a scenario are the newest.
        samples: Power.
    """

    def __init__(self, journal: Journal, samples: SampleStore) -> None:
        self._journal = journal
        self._samples = samples
        self._oldest_kept: dict[tuple[str, str], tuple[float, int]] = {}
        self._touched: dict[tuple[str, str], Step] = {}

    def write(self, run: Step, result: StoredResult, client: InfluxClient) -> None:
        """Write the profile of a run that has its result; anything but a run has none.

        A profile is a view of what is stored elsewhere: that it cannot be made does not hold up its step.
        """
        if run.run_id != run.step_id or run.end_ns is None or not result.detail.get("per_server"):
            return
        if run.start_ns < self._oldest_kept_ns(run):
            return
        try:
            lines = [line for point in self._points(run, result) if (line := point.line()) is not None]
            if lines:
                client.write("\n".join(lines))
                self._touched[run.env, run.scenario] = run
        except EnergyError as error:
            _log.warning("profile of run %s is not written: %s", run.step_id, error)

    def prune(self, client: InfluxClient) -> None:
        """Delete all but the newest profiles of the scenarios written to since the last time."""
        touched, self._touched = self._touched, {}
        for run in touched.values():
            try:
                self._delete_old(run, {step.step_id for step in self._newest(run)}, client)
            except EnergyError as error:
                _log.warning("old profiles of scenario %r are not deleted: %s", run.scenario, error)

    def _newest(self, run: Step) -> list[Step]:
        query = StepQuery(env=run.env, scenario=run.scenario, roots=True, limit=KEPT)
        return [step for step, _ in self._journal.list_steps(query)]

    def _oldest_kept_ns(self, run: Step) -> int:
        """Return the start of the oldest run whose profile is kept; it may be a few seconds out of date."""
        key, now_s = (run.env, run.scenario), time.monotonic()
        known_s, oldest_ns = self._oldest_kept.get(key, (0.0, 0))
        if now_s >= known_s + _REMEMBERED_S or not known_s:
            newest = self._newest(run)
            oldest_ns = newest[-1].start_ns if len(newest) == KEPT else 0
            if len(self._oldest_kept) > _MOST_REMEMBERED:
                self._oldest_kept.clear()
            self._oldest_kept[key] = (now_s, oldest_ns)
        return oldest_ns

    def _points(self, run: Step, result: StoredResult) -> list[Point]:
        servers = sorted(result.detail.get("per_server", {}))
        if not servers or run.until_ns <= run.start_ns:
            return []
        filters = {"env": [run.env], "server": servers}
        found = self._samples.power(filters, run.start_ns, run.until_ns, MOST_POINTS)
        curves = [one.points for one in found if one.scope == "server" and one.part is None and one.points]
        tags = {"env": tag_name(run.env), "scenario": tag_name(run.scenario), "run": run.run_id}
        return [
            Point(
                ENERGY_RUN_PROFILE,
                tags,
                {
                    "watts": one.watts,
                    "min_w": one.min_w,
                    "max_w": one.max_w,
                    "elapsed_s": (one.t_ns - run.start_ns) / 1e9,
                },
                one.t_ns - run.start_ns,
            )
            for one in total_power(curves, run.start_ns, run.until_ns)
        ]

    def _delete_old(self, run: Step, newest: set[str], client: InfluxClient) -> None:
        tags = {"env": tag_name(run.env), "scenario": tag_name(run.scenario)}
        where = " AND ".join(tag_is(key, value) for key, value in tags.items())
        shown = client.query(
            f'SHOW TAG VALUES FROM {identifier(ENERGY_RUN_PROFILE)} WITH KEY = "run" WHERE {where}'
        )
        stored = {row[1] for series in shown[0] for row in series.rows}
        for run_id in stored - newest:
            stored_tags = {key: tag_text(value) for key, value in tags.items()}
            client.delete(ENERGY_RUN_PROFILE, {**stored_tags, "run": run_id})


class Moment(NamedTuple):
    """Power of all servers of a run around one moment.

    Args:
        t_ns: The moment.
        watts: Sum of their power.
        min_w: Sum of the least reading of each around it.
        max_w: Sum of the greatest.
    """

    t_ns: int
    watts: float
    min_w: float
    max_w: float


def total_power(curves: Sequence[Curve], start_ns: int, end_ns: int) -> list[Moment]:
    """Return the power of a run at as many moments as the best of the curves has points.

    Args:
        curves: Of one server each: (t_ns, mean, min, max) in order of time, none empty.
        start_ns: Start of the run.
        end_ns: End of the run.
    """
    if not curves:
        return []
    count = min(MOST_POINTS, max(len(curve) for curve in curves))
    edges = [start_ns + number * (end_ns - start_ns) // count for number in range(count + 1)]
    times = [[point[0] for point in curve] for curve in curves]
    found = []
    for from_ns, to_ns in pairwise(edges):
        moment_ns = (from_ns + to_ns) // 2
        parts = [
            _around(curve, known, moment_ns, from_ns, to_ns)
            for curve, known in zip(curves, times, strict=True)
        ]
        found.append(Moment(moment_ns, *map(sum, zip(*parts, strict=True))))
    return found


def _around(
    curve: Curve, times: Sequence[int], moment_ns: int, from_ns: int, to_ns: int
) -> tuple[float, float, float]:
    """Return mean at a moment, least and greatest around it; all the same where no reading fell."""
    watts = _at(curve, times, moment_ns)
    near = curve[bisect_left(times, from_ns) : bisect_left(times, to_ns)]
    return watts, min([watts, *(low for _, _, low, _ in near)]), max([watts, *(high for *_, high in near)])


def _at(curve: Curve, times: Sequence[int], moment_ns: int) -> float:
    after = bisect_left(times, moment_ns)
    if after in {0, len(times)}:
        return curve[min(after, len(times) - 1)][1]
    (from_ns, from_w), (to_ns, to_w) = curve[after - 1][:2], curve[after][:2]
    return from_w + (to_w - from_w) * (moment_ns - from_ns) / (to_ns - from_ns)
