"""Watches for runs that fell silent: a step nobody has renewed for its ``ttl_s`` is lost.

Any call about a run is a sign of life of all its open steps. Signs are kept in memory and written now and
then: heartbeats are many, and after a crash of the annotator every run gets its ``ttl_s`` anew.
"""

from __future__ import annotations

import asyncio
import logging

from energyrecorder.clock import Clock
from energyrecorder_annotator.journal.base import Journal, JournalError, Transaction
from energyrecorder_annotator.lifecycle import expire

SWEEP_S = 1.0
WRITE_EVERY_SWEEPS = 10

_log = logging.getLogger(__name__)


class LifeWatch:
    """Signs of life of runs, and the loss of those without.

    Args:
        journal: Where steps are.
        clock: Our wall clock.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._began_ns = clock()
        self._signs = journal.life()
        self._changed: set[str] = set()
        self._heard_since: set[str] = set()
        self.open_steps = 0
        """Steps that run, counted at each sweep and kept up by the recorder in between."""

    def heard(self, run_id: str, received_ns: int, event_ns: int) -> None:
        """Note a call about a run.

        Args:
            run_id: The run.
            received_ns: When the call arrived: silence is measured from here.
            event_ns: When what it tells happened: a lost step ended then.
        """
        heard_ns, alive_ns = self._signs.get(run_id, (0, 0))
        self._signs[run_id] = (max(heard_ns, received_ns), max(alive_ns, min(event_ns, received_ns)))
        self._changed.add(run_id)
        self._heard_since.add(run_id)

    async def run(self) -> None:
        """Sweep until cancelled."""
        sweeps = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            sweeps += 1
            try:
                await self.sweep()
                if sweeps % WRITE_EVERY_SWEEPS == 0:
                    await self.write()
            except JournalError as error:
                _log.debug("silent steps are looked for again later: %s", error)

    async def sweep(self) -> list[str]:
        """Mark what fell silent as lost and return the step ids."""
        now_ns = self._clock()
        # A step that begins while the open ones are read is not among them, but it is heard of after that.
        self._heard_since = set()
        open_steps = await asyncio.to_thread(self._journal.open_steps)
        self.open_steps = len(open_steps)
        lost = []
        for step in open_steps:
            heard_ns, alive_ns = self._signs.get(step.run_id, (0, 0))
            silent_ns = now_ns - max(heard_ns, self._began_ns)
            if silent_ns > step.ttl_s * 1e9:
                await self._lose(step.step_id, max(alive_ns, step.start_ns))
                lost.append(step.step_id)
        wanted = self._heard_since.union(step.run_id for step in open_steps)
        self._signs = {run_id: signs for run_id, signs in self._signs.items() if run_id in wanted}
        self._changed &= self._signs.keys()
        return lost

    async def _lose(self, step_id: str, alive_ns: int) -> None:
        def work(transaction: Transaction) -> None:
            decision = expire(step_id, alive_ns, transaction)
            if decision is not None:
                transaction.put_steps(decision.changed)

        await asyncio.wrap_future(self._journal.submit(work))
        _log.warning("step %s is lost: nothing was heard of its run for longer than its ttl", step_id)

    async def write(self) -> None:
        """Write the signs that are new since the last time."""
        changed, self._changed = self._changed, set()
        signs = {run_id: self._signs[run_id] for run_id in changed}
        if not signs:
            return
        try:
            await asyncio.wrap_future(self._journal.submit(lambda transaction: transaction.put_life(signs)))
        except JournalError:
            self._changed |= changed
            raise
