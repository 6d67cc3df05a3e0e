"""Collects points as they arrive and writes them to the store in batches, at most a second later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from energyrecorder.clock import Clock, wall_ns
from energyrecorder_annotator.samples.base import (
    Batch,
    BmcPoll,
    Point,
    Reading,
    SampleStore,
    SampleStoreError,
    SensorReading,
)
from energyrecorder_annotator.samples.freshness import Freshness

FLUSH_S = 0.5
MAX_BACKLOG = 200_000
"""Points kept in memory while the store cannot be written; the newest beyond that are dropped and counted."""

_log = logging.getLogger(__name__)


class Intake:
    """The one way into the sample store.

    Args:
        store: Where the points go.
        freshness: Told of the points once they are stored.
        on_switched: Told, of each batch, of the polls that show a host switched on or off.
        on_stored: Each is told of each batch once it is stored, before ``freshness`` is.
        clock: Our wall clock.
    """

    def __init__(
        self,
        store: SampleStore,
        freshness: Freshness,
        on_switched: Callable[[Sequence[BmcPoll]], None],
        *,
        on_stored: Sequence[Callable[[Batch], None]] = (),
        clock: Clock = wall_ns,
    ) -> None:
        self._store = store
        self._freshness = freshness
        self._on_switched = on_switched
        self._on_stored = on_stored
        self._clock = clock
        self._waiting = Batch()
        self._writing = 0
        self._refused: str | None = None
        self.stored = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many points are in memory, not stored yet."""
        return len(self._waiting) + self._writing

    def is_full(self, more: int) -> bool:
        """Tell whether so many more points would be too many."""
        return self.waiting + more > MAX_BACKLOG

    def take(self, point: Point) -> None:
        """Accept one point."""
        # What is being written comes back if the store refuses it.
        if self.waiting >= MAX_BACKLOG:
            self.dropped += 1
        elif isinstance(point, Reading):
            self._waiting.readings.append(point)
        elif isinstance(point, SensorReading):
            self._waiting.sensors.append(point)
        elif isinstance(point, BmcPoll):
            self._waiting.polls.append(point)
        else:
            self._waiting.others.append(point)

    async def run(self) -> None:
        """Write what arrives until cancelled; then write the rest."""
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what has arrived; when the store refuses, keep it for the next time."""
        batch, self._waiting = self._waiting, Batch()
        if not len(batch):
            return
        received_ns = self._clock()
        self._writing = len(batch)
        try:
            await asyncio.to_thread(self._store.add, batch)
        except SampleStoreError as error:
            self._writing = 0
            self._keep(batch, str(error))
            return
        self._writing = 0
        if self._refused is not None:
            _log.info("samples are written again")
            self._refused = None
        self.stored += len(batch)
        for told in self._on_stored:
            told(batch)
        self._on_switched(self._freshness.add(batch, received_ns))

    def _keep(self, batch: Batch, reason: str) -> None:
        if reason != self._refused:
            _log.error("%s; they wait in memory", reason)
            self._refused = reason
        newer, self._waiting = self._waiting, batch
        points: list[Point] = [*newer.readings, *newer.polls, *newer.sensors, *newer.others]
        for point in points:
            self.take(point)
