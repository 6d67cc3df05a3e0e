"""Takes events in: through the state machine, onto the disk, and only then back to the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from energyrecorder_annotator.journal.base import Journal, Mark, Transaction
from energyrecorder_annotator.life_watch import LifeWatch
from energyrecorder_annotator.lifecycle import Decision, StepRefusedError, apply
from energyrecorder_annotator.lifecycle.events import Event

GROUP = 100
"""Events of one batch that share a place in the journal's queue: others get their turn in between."""


@dataclass(frozen=True, slots=True)
class MarkTaken:
    """Answer to a mark; ``new`` is False for a replay."""

    mark: Mark
    new: bool


@dataclass(frozen=True, slots=True)
class NewMark:
    """A note to be taken; its run is the only open one of its environment unless named.

    Args:
        mark: The mark, its ``run_id`` as the client gave it.
    """

    mark: Mark


Outcome = Decision | MarkTaken | StepRefusedError


class Recorder:
    """The one way by which steps and marks come in.

    Args:
        journal: Where they are kept.
        life: Told of each call about a run.
    """

    def __init__(self, journal: Journal, life: LifeWatch) -> None:
        self._journal = journal
        self._life = life

    async def take(self, event: Event | NewMark, received_ns: int) -> Outcome:
        """Take one event; the answer is durable when this returns.

        Args:
            event: What happened.
            received_ns: When the call arrived, ns since the Unix epoch.
        """
        return (await self.take_all([event], received_ns))[0]

    async def take_all(self, events: Sequence[Event | NewMark], received_ns: int) -> list[Outcome]:
        """Take events in their order; one that is refused does not hold up the others."""
        outcomes: list[Outcome] = []
        for first in range(0, len(events), GROUP):
            group = events[first : first + GROUP]
            outcomes += await asyncio.wrap_future(self._journal.submit(partial(_take_group, group)))
        for event, outcome in zip(events, outcomes, strict=True):
            self._note_life(event, outcome, received_ns)
        return outcomes

    def _note_life(self, event: Event | NewMark, outcome: Outcome, received_ns: int) -> None:
        if isinstance(outcome, Decision):
            time = getattr(event, "time", None)
            event_ns = received_ns if time is None else time.t_ns
            self._life.heard(outcome.step.run_id, received_ns, event_ns)
        elif isinstance(outcome, MarkTaken) and outcome.mark.run_id is not None:
            self._life.heard(outcome.mark.run_id, received_ns, outcome.mark.t_ns)


def _take_group(events: Sequence[Event | NewMark], transaction: Transaction) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for event in events:
        try:
            outcomes.append(_take_one(event, transaction))
        except StepRefusedError as refusal:
            outcomes.append(refusal)
    return outcomes


def _take_one(event: Event | NewMark, transaction: Transaction) -> Outcome:
    if isinstance(event, NewMark):
        return _take_mark(event.mark, transaction)
    decision = apply(event, transaction)
    transaction.put_steps(decision.changed)
    return decision


def _take_mark(mark: Mark, transaction: Transaction) -> MarkTaken:
    if mark.run_id is None:
        runs = transaction.open_runs(mark.env)
        if mark.scenario is not None:
            runs = [run for run in runs if run.scenario == mark.scenario]
        if len(runs) == 1:
            mark = replace(mark, run_id=runs[0].step_id, scenario=runs[0].scenario)
    return MarkTaken(mark=mark, new=transaction.add_mark(mark))
