"""Keeps an eye on readings that Telegraf writes to InfluxDB without our seeing them pass."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from energyrecorder.clock import Clock
from energyrecorder_annotator.samples.base import Batch, BmcPoll, SampleStoreError
from energyrecorder_annotator.samples.freshness import Freshness
from energyrecorder_annotator.samples.influx import InfluxSamples

EVERY_S = 1.0
LOOK_BACK_NS = 300 * 1_000_000_000
"""Readings come at least this often: the slowest BMC is polled once a minute."""

_log = logging.getLogger(__name__)


class InfluxWatch:
    """Asks for what is newest.

    Args:
        samples: Where readings are.
        freshness: Told of them.
        on_switched: Told, at each look, of the polls that show a host switched on or off.
        on_newest: Told of what was read before ``freshness`` is.
        clock: Our wall clock.
    """

    def __init__(
        self,
        samples: InfluxSamples,
        freshness: Freshness,
        on_switched: Callable[[Sequence[BmcPoll]], None],
        *,
        on_newest: Callable[[Batch], None],
        clock: Clock,
    ) -> None:
        self._samples = samples
        self._freshness = freshness
        self._on_switched = on_switched
        self._on_newest = on_newest
        self._clock = clock
        self._error: str | None = None

    @property
    def error(self) -> str | None:
        """Why readings cannot be read just now; None when they can."""
        return self._error

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            newest = await asyncio.to_thread(self.read)
            if newest is not None:
                self.take(newest)
            await asyncio.sleep(EVERY_S)

    def read(self) -> Batch | None:
        """Return what is newest; None while it cannot be read."""
        try:
            newest = self._samples.newest(self._clock() - LOOK_BACK_NS)
        except SampleStoreError as error:
            if self._error is None:
                _log.warning("%s; results wait", error)
            self._error = str(error)
            return None
        if self._error is not None:
            _log.info("samples are read again")
            self._error = None
        return newest

    def take(self, newest: Batch) -> None:
        """Pass on what was read."""
        self._on_newest(newest)
        self._on_switched(self._freshness.add(newest, self._clock()))
