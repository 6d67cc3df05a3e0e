"""When the energy of a step is computed, and when it is looked at again.

A step is due when every server it needs has a reading that covers its end, or 120 s after its end. Readings
may come later still (back-fill, a collector that was away), so each result is looked at again after 1, 5 and
30 minutes and a day, and computed anew when there are other readings than before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import islice

from energyrecorder.clock import Clock
from energyrecorder_annotator.expected import LOOK_BACK_NS, Expected, expected_servers
from energyrecorder_annotator.journal.base import (
    Journal,
    JournalError,
    Look,
    StepQuery,
    StoredResult,
    Transaction,
    edges_of,
)
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.overlap import rivals_of
from energyrecorder_annotator.run_timings import RunTimings, ServerTimings
from energyrecorder_annotator.samples.base import SampleStore, SampleStoreError, ServerReadings
from energyrecorder_annotator.samples.freshness import SILENT_NS, Freshness

SECOND_NS = 1_000_000_000
TICK_S = 0.25
FIRST_NS = 2 * SECOND_NS
"""No result before this: readings of the last second are still on their way into the store."""
LOOKS_AFTER_NS = (60 * SECOND_NS, 300 * SECOND_NS, 1800 * SECOND_NS, 86400 * SECOND_NS)
AROUND_NS = 300 * SECOND_NS
"""Readings this long before and after a step tell how its source behaves."""
COUNT_AROUND_NS = 60 * SECOND_NS
"""New readings within this of a step may change its energy."""
MOST_LOOKS = 5000
MOST_AT_ONCE = 50
"""Results computed in one go: after a burst of steps, calls are answered in between."""

_log = logging.getLogger(__name__)


def following_look(look: Look, now_ns: int) -> Look | None:
    """Return the look after ``look``, or None after the last."""
    if look.look >= len(LOOKS_AFTER_NS):
        return None
    first_ns = now_ns if look.look == 0 else look.due_ns - LOOKS_AFTER_NS[look.look - 1]
    return replace(look, look=look.look + 1, due_ns=first_ns + LOOKS_AFTER_NS[look.look])


class Results:
    """Computes what is due.

    Args:
        journal: Steps and results.
        samples: Readings.
        freshness: What is newest of each server.
        clock: Our wall clock.
        prefer: Whose reading of a server counts, best first.
    """

    def __init__(
        self,
        journal: Journal,
        samples: SampleStore,
        freshness: Freshness,
        *,
        clock: Clock,
        prefer: tuple[str, ...],
    ) -> None:
        self._journal = journal
        self._samples = samples
        self._freshness = freshness
        self._clock = clock
        self._prefer = prefer
        self._waiting: dict[Look, tuple[str, Expected]] = {}
        self._timings = RunTimings()

    async def run(self) -> None:
        """Look for what is due until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await asyncio.to_thread(self.tick)
            except (JournalError, SampleStoreError) as error:
                _log.debug("results are computed later: %s", error)

    def tick(self) -> int:
        """Compute what is due now and return how many looks were done."""
        now_ns = self._clock()
        due = self._due(now_ns)
        written = [self._do(look) for look in due]
        try:
            for future in written:
                if future is not None:
                    future.result()
        except JournalError:
            # Steps that were to be computed anew were not told so: their runs are taken as new ones.
            self._timings = RunTimings()
            raise
        return len(due)

    def _due(self, now_ns: int) -> list[Look]:
        looks: list[Look] = []
        due: list[Look] = []
        # After a burst of steps most of the oldest are due: no need to go through all that wait.
        for limit in (MOST_AT_ONCE, MOST_LOOKS):
            looks = self._journal.looks(now_ns, limit)
            settled = (look for look in looks if look.look > 0 or self._is_settled(look, now_ns))
            due = list(islice(settled, MOST_AT_ONCE))
            if len(due) == MOST_AT_ONCE or len(looks) < limit:
                break
        self._waiting = {look: self._waiting[look] for look in looks if look in self._waiting}
        return due

    def _is_settled(self, look: Look, now_ns: int) -> bool:
        if now_ns >= look.due_ns + SILENT_NS:
            return True
        if now_ns < look.due_ns + FIRST_NS:
            return False
        if look not in self._waiting:
            found = self._journal.step(look.step_id)
            if found is None:
                return True
            self._waiting[look] = (found[0].env, self._expected(found[0])[0])
        env, expected = self._waiting[look]
        return self._freshness.covers(env, expected.servers, look.due_ns)

    def _do(self, look: Look) -> Future[bool] | None:
        # Loads numpy, which a service that has no result to compute does not pay for.
        from energyrecorder_annotator.energy import failed_result

        now_ns = self._clock()
        found = self._journal.step(look.step_id)
        if found is None or edges_of(found[0]) != look.edges:
            return None
        step, before = found
        steps_differ = False
        try:
            result, steps_differ = self._computed(step, before, now_ns)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            # What readings nobody thought of may raise: they must not keep all others from their results.
            _log.exception("energy of step %s cannot be computed", step.step_id)
            result = failed_result(now_ns)
        following = following_look(look, now_ns)

        def work(transaction: Transaction) -> bool:
            written = transaction.put_result(look, result, following)
            if steps_differ and transaction.children(step.step_id):
                transaction.look_again(StepQuery(run_id=step.run_id), now_ns)
            return written

        return self._journal.submit(work)

    def _computed(
        self, step: Step, before: StoredResult | None, now_ns: int
    ) -> tuple[StoredResult | None, bool]:
        """Return the result, None when the stored one stands, and whether steps of this run need new ones."""
        from energyrecorder_annotator.energy import says_the_same, step_result

        expected, seen = self._expected(step)
        counted = self._samples.count(
            step.env, expected.servers, step.start_ns - COUNT_AROUND_NS, step.until_ns + COUNT_AROUND_NS
        )
        if before is not None and _has_lost_readings(before, counted[0]):
            return None, False
        rivals = rivals_of(step, self._journal.overlapping(step), expected, seen)
        if (
            before is not None
            and counted == (before.samples, before.newest_ns)
            and len(rivals) == before.detail["overlap"]
            # One that ended within the step was taken as running if that was told since.
            and not any(rival.end_ns is not None and rival.end_ns < step.until_ns for rival in rivals)
        ):
            return None, False
        result, timings = step_result(
            step,
            expected,
            self._readings(step, expected),
            rivals=rivals,
            known=self._known_timings(step),
            computed_ns=now_ns,
            counted=counted,
        )
        is_run = step.run_id == step.step_id
        steps_differ = is_run and self._timings.put(step.run_id, timings)
        if before is not None and says_the_same(before, result):
            result = replace(result, detail=before.detail)
        return result, steps_differ

    def _known_timings(self, step: Step) -> ServerTimings:
        """Return what the readings of the whole run tell of its sensors; nothing before it has its result."""
        from energyrecorder_annotator.energy import timings_of

        if step.run_id == step.step_id:
            return {}
        remembered = self._timings.get(step.run_id)
        if remembered is not None:
            return remembered
        found = self._journal.step(step.run_id)
        if found is None or found[1] is None:
            return {}
        run = found[0]
        timings = timings_of(self._readings(run, self._expected(run)[0]))
        self._timings.put(step.run_id, timings)
        return timings

    def _readings(self, step: Step, expected: Expected) -> Iterator[ServerReadings]:
        from_ns, to_ns = step.start_ns - AROUND_NS, step.until_ns + AROUND_NS
        return self._samples.readings(step.env, expected.servers, from_ns, to_ns, self._prefer)

    def _expected(self, step: Step) -> tuple[Expected, set[str]]:
        seen = self._samples.servers_seen(step.env, step.start_ns - LOOK_BACK_NS, step.until_ns + 1)
        return expected_servers(step.servers, seen), seen


def _has_lost_readings(result: StoredResult, count: int) -> bool:
    """Tell whether readings that an energy was made of are gone: retention ends them, never a result.

    Where it is to be computed whatever its readings (`Transaction.look_again`), any that are left will do.
    """
    return result.detail["energy_j"] is not None and count < max(result.samples, 1)
