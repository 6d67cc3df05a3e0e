"""Readings that come after their time: results that were computed without them are looked at again soon.

A site whose link was down sends an hour of readings within seconds. Looking at each batch of them would
compute the same results over and over, so it is waited until no more come, but not for ever. What is lost
in a crash is found by the looks that each result has anyway.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from energyrecorder.clock import Clock
from energyrecorder_annotator.journal.base import Journal, JournalError, StepQuery
from energyrecorder_annotator.results import COUNT_AROUND_NS
from energyrecorder_annotator.samples.base import Batch
from energyrecorder_annotator.samples.freshness import Freshness, Spans

TICK_S = 0.5
QUIET_S = 2.0
"""So long after the last late reading of an environment its results are looked at…"""
QUIET_ELSEWHERE_S = 12.0
"""…or so long where Telegraf writes them to InfluxDB, every ten seconds unless told otherwise…"""
MOST_S = 20.0
"""…or so long after the first, when they keep coming."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Span:
    """Late readings of one environment: their times, ns since the Unix epoch, and how long more may come."""

    first_ns: int
    last_ns: int
    quiet_s: float
    most_s: float


class LateReadings:
    """Collects late readings and has the results looked at that they may change.

    Args:
        journal: Steps and results.
        freshness: What was newest of each server before a batch.
        clock: Our wall clock.
        now_s: A clock that only goes forward, for the wait.
    """

    def __init__(
        self,
        journal: Journal,
        freshness: Freshness,
        *,
        clock: Clock,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._freshness = freshness
        self._clock = clock
        self._now_s = now_s
        self._spans: dict[str, _Span] = {}

    def take(self, batch: Batch) -> None:
        """Note the late ones among readings that ``freshness`` does not know of yet."""
        self._note(self._freshness.late(batch, self._clock()), QUIET_S)

    def take_newest(self, newest: Batch) -> None:
        """Note what may be late, by newest readings that ``freshness`` does not know of yet."""
        self._note(self._freshness.resumed(newest, self._clock()), QUIET_ELSEWHERE_S)

    def _note(self, spans: Spans, quiet_s: float) -> None:
        now_s = self._now_s()
        for env, (first_ns, last_ns) in spans.items():
            known = self._spans.get(env, _Span(first_ns, last_ns, 0.0, now_s + MOST_S))
            self._spans[env] = replace(
                known,
                first_ns=min(known.first_ns, first_ns),
                last_ns=max(known.last_ns, last_ns),
                quiet_s=max(known.quiet_s, now_s + quiet_s),
            )

    async def run(self) -> None:
        """Have results looked at until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self.tick()
            except JournalError as error:
                _log.debug("results are looked at later: %s", error)

    async def tick(self) -> int:
        """Have those results looked at whose readings have all come, and return how many."""
        now_s = self._now_s()
        due = [env for env, span in self._spans.items() if now_s >= min(span.quiet_s, span.most_s)]
        found = 0
        for env in due:
            span = self._spans.pop(env)
            query = StepQuery(
                env=env, from_ns=span.first_ns - COUNT_AROUND_NS, to_ns=span.last_ns + COUNT_AROUND_NS + 1
            )
            try:
                found += await self._look_again(query)
            except JournalError:
                # Others may have come while the journal was asked.
                self._note({env: (span.first_ns, span.last_ns)}, QUIET_S)
                raise
        if found:
            _log.info("late readings: %d results are looked at again", found)
        return found

    async def _look_again(self, query: StepQuery) -> int:
        now_ns = self._clock()
        work = self._journal.submit(lambda transaction: transaction.look_again(query, now_ns, whatever=False))
        return await asyncio.wrap_future(work)
