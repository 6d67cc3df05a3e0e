"""Hands what the original left to a running annotator by HTTP; doing it again changes nothing."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.lifecycle.model import is_legacy
from energyrecorder_annotator.original.history.read import OriginalDatabase, Sample
from energyrecorder_annotator.original.history.sessions import (
    Run,
    TaggedSamples,
    runs_of,
    told_stretches,
    without_known,
)
from energyrecorder_annotator.running_service import RunningService
from energyrecorder_annotator.samples.base import Batch, Reading, SensorReading
from energyrecorder_annotator.samples.lines import batch_lines

AT_ONCE = 5000
"""Points in one request, well below the limit of its size."""
MOST_TRIES = 60
TAG = "imported_from"
_OK, _CREATED, _BUSY = 200, 201, frozenset({429, 503})
_MOST_FOUND = 1000


@dataclass(slots=True)
class Taken:
    """What was, or would be, handed over.

    Args:
        readings: Points of power.
        others: Points of other sensors.
        servers: (environment, server) of both.
        runs: Runs that were new.
        steps: Steps in them.
        known: Runs that the service has already.
        refused: Points that the service finds no points.
        oldest_ns: Time of the oldest point, ns since the Unix epoch; None without any.
    """

    readings: int = 0
    others: int = 0
    servers: set[tuple[str, str]] = field(default_factory=set)
    runs: int = 0
    steps: int = 0
    known: int = 0
    refused: int = 0
    oldest_ns: int | None = None

    def text(self, *, is_planned: bool) -> str:
        """Return the same in words."""
        refused = f"; {self.refused} of them are no points for the service" if self.refused else ""
        return (
            f"{'there are' if is_planned else 'handed over:'} {self.readings} readings of power and "
            f"{self.others} of other sensors, of {len(self.servers)} servers{refused}; {self.runs} runs with "
            f"{self.steps} steps; {self.known} more runs are there already"
        )


class HandOver:
    """One import.

    Args:
        service: The running annotator.
        dry_run: Whether to read and count only.
        pause: Waits so many seconds.
    """

    def __init__(
        self, service: RunningService, *, dry_run: bool, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._service = service
        self._dry_run = dry_run
        self._pause = pause
        self.taken = Taken()

    def run(self, database: OriginalDatabase, from_ns: int, to_ns: int) -> Taken:
        """Hand over samples, then runs, of a span.

        Raises:
            EnergyError: The service or InfluxDB does not take part. What was taken so far stays.
        """
        tagged: dict[str, TaggedSamples] = {}
        for samples in database.samples(from_ns, to_ns):
            self._count(samples)
            for sample in samples:
                point = sample.point
                of_env = tagged.setdefault(point.env, TaggedSamples())
                of_env.add(point.t_ns, point.server, sample.scenario, sample.step)
            for first in range(0, len(samples), AT_ONCE):
                self._send_samples(samples[first : first + AT_ONCE])
        told = {
            env: runs_of(env, told_stretches(moments))
            for env, moments in database.moments(from_ns, to_ns).items()
            if env
        }
        for env in sorted({*told, *tagged}):
            exact = told.get(env, [])
            seen = runs_of(env, tagged[env].stretches(to_ns)) if env in tagged else []
            runs = [*exact, *without_known(seen, exact)]
            own = {run.run_id for run in runs}
            for run in runs:
                self._take_run(run, own)
        return self.taken

    def _count(self, samples: Sequence[Sample]) -> None:
        taken = self.taken
        readings = sum(isinstance(sample.point, Reading) for sample in samples)
        taken.readings += readings
        taken.others += len(samples) - readings
        taken.servers |= {(sample.point.env, sample.point.server) for sample in samples}
        if taken.oldest_ns is None:
            taken.oldest_ns = samples[0].point.t_ns

    def _send_samples(self, samples: Sequence[Sample]) -> None:
        if self._dry_run:
            return
        batch = Batch()
        for sample in samples:
            if isinstance(sample.point, SensorReading):
                batch.sensors.append(sample.point)
            else:
                batch.readings.append(sample.point)
        answer = self._ask("POST", "/v1/samples", "\n".join(batch_lines(batch)).encode())
        if answer["forbidden"]:
            raise EnergyError("the token is bound to other environments than the samples are of")
        self.taken.refused += answer["bad"]

    def _take_run(self, run: Run, own: set[str]) -> None:
        """Hand over a run unless the service has it, whichever way it came.

        The database forgets its oldest samples, so that the next import sees a later start of the same run.

        Args:
            run: Which.
            own: Ids of the runs of this import.
        """
        asked = {
            "env": run.env,
            "scenario": run.scenario,
            "from": str(run.start_ns),
            "to": str(run.end_ns),
            "limit": str(_MOST_FOUND),
        }
        found = self._ask("GET", f"/v1/runs?{urllib.parse.urlencode(asked)}")["runs"]
        others = [one for one in found if one["run_id"] not in own]
        if any(TAG in one["tags"] or is_legacy(one["run_id"]) for one in others):
            is_new = False
        elif self._dry_run:
            is_new = all(one["run_id"] != run.run_id for one in found)
        else:
            is_new = self._send_run(run)
        if is_new:
            self.taken.runs += 1
            self.taken.steps += len(run.steps)
        else:
            self.taken.known += 1

    def _send_run(self, run: Run) -> bool:
        """Send all of a run, for it may be there in part only, and return whether any of it was new."""
        body = {"offset_error_ns": run.error_ns, "items": list(run_items(run))}
        items = self._ask("POST", "/v1/batch", body)["items"]
        for item in items:
            if item["status"] >= 400:  # noqa: PLR2004  # HTTP: refused
                raise EnergyError(f"the service refuses a run: {item['error']['message']}")
        return any(item["status"] == _CREATED for item in items)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        for _ in range(MOST_TRIES):
            status, text = self._service.ask(method, path, body)
            if status == _OK:
                return json.loads(text)
            if status not in _BUSY:
                break
            self._pause(1.0)
        raise EnergyError(f"the service answers {status} to {method} {path.partition('?')[0]}: {text[:300]}")


def run_items(run: Run) -> Iterator[dict[str, Any]]:
    """Yield the items of a batch that record a run: the original told no outcome, so it passed."""
    common = {"env": run.env, "scenario": run.scenario}
    root = {"op": "start", "step_id": run.run_id, "started_at": run.start_ns, "tags": {TAG: "energyrecorder"}}
    yield {**root, **common}
    for number, step in enumerate(run.steps):
        step_id = f"{run.run_id}.{number}"
        start = {"op": "start", "step_id": step_id, "parent_id": run.run_id, "started_at": step.start_ns}
        yield {**start, **common, "step": step.step}
        yield {"op": "stop", "step_id": step_id, "outcome": "passed", "ended_at": step.end_ns}
    yield {"op": "stop", "step_id": run.run_id, "outcome": "passed", "ended_at": run.end_ns}
