"""Takes events in: through the state machine, onto the disk, and only then back to the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.auth.permit import permitted, permitted_mark
from energyrecorder_annotator.envs import aliased
from energyrecorder_annotator.journal.base import Journal, Mark, Transaction
from energyrecorder_annotator.landing import Landing
from energyrecorder_annotator.life_watch import LifeWatch
from energyrecorder_annotator.lifecycle import (
    Decision,
    SetStep,
    Start,
    StepRefusedError,
    StepView,
    Stop,
    apply,
)
from energyrecorder_annotator.lifecycle.events import Event
from energyrecorder_annotator.lifecycle.model import is_legacy

T = TypeVar("T")

GROUP = 100
"""Events of one batch that share a place in the journal's queue: others get their turn in between."""

NEAR = 1000
"""So many steps before the limit they are counted exactly, which costs some tenths of a millisecond."""


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
        life: Told of each call about a run; knows how many steps are open.
        aliases: (glob, environment): events of an environment so named belong to the other.
        most_open: Steps that may run at once.
    """

    def __init__(
        self,
        journal: Journal,
        life: LifeWatch,
        *,
        aliases: Sequence[tuple[str, str]] = (),
        most_open: int = 10_000,
    ) -> None:
        self._journal = journal
        self._life = life
        self._landing = Landing()
        self._aliases = tuple(aliases)
        self._most_open = most_open
        self.taken = 0
        self.refused = 0

    def change(self, aliases: Sequence[tuple[str, str]], most_open: int) -> None:
        """Take over changed settings."""
        self._aliases = tuple(aliases)
        self._most_open = most_open

    def env(self, name: str) -> str:
        """Return the environment that callers mean by ``name``."""
        return aliased(name, self._aliases)

    async def take(self, event: Event | NewMark, received_ns: int, caller: Caller) -> Outcome:
        """Take one event; the answer is durable when this returns.

        Args:
            event: What happened.
            received_ns: When the call arrived, ns since the Unix epoch.
            caller: Who says so.
        """
        return (await self.take_all([event], received_ns, caller))[0]

    async def take_all(
        self, events: Sequence[Event | NewMark], received_ns: int, caller: Caller
    ) -> list[Outcome]:
        """Take events in their order; one that is refused does not hold up the others."""
        outcomes: list[Outcome] = []
        for first in range(0, len(events), GROUP):
            group = [self._renamed(event) for event in events[first : first + GROUP]]
            work = partial(_take_group, group, caller, self._limit())
            outcomes += await self._landing.of(self._journal.submit(work))
        for event, outcome in zip(events, outcomes, strict=True):
            self._note(event, outcome, received_ns)
        return outcomes

    async def take_plan(
        self, plan: Callable[[StepView], Sequence[Event]], read: Callable[[StepView], T], received_ns: int
    ) -> T:
        """Take what ``plan`` makes of what is known, all or nothing, and return what ``read`` sees then.

        Raises:
            StepRefusedError: ``plan`` or one of its events was refused.
        """
        most_open = self._limit()

        def work(transaction: Transaction) -> tuple[list[tuple[Event, Decision]], T]:
            taken = []
            for event in plan(transaction):
                if isinstance(event, (Start, SetStep)):
                    _refuse_too_many(event.step_id, most_open, transaction)
                decision = apply(event, transaction)
                transaction.put_steps(decision.changed)
                taken.append((event, decision))
            return taken, read(transaction)

        taken, seen = await self._landing.of(self._journal.submit(work))
        for event, decision in taken:
            self._note(event, decision, received_ns)
        return seen

    def _limit(self) -> int | None:
        """Return how many steps may run, or None while there are far fewer.

        The watch's count lags behind by what is under way: near the limit the journal is asked.
        """
        return self._most_open if self._most_open - self._life.open_steps < NEAR else None

    def _renamed(self, event: Event | NewMark) -> Event | NewMark:
        if not self._aliases:
            return event
        if isinstance(event, NewMark):
            return NewMark(replace(event.mark, env=self.env(event.mark.env)))
        if isinstance(event, (Start, SetStep, Stop)) and event.env is not None:
            return replace(event, env=self.env(event.env))
        return event

    def _note(self, event: Event | NewMark, outcome: Outcome, received_ns: int) -> None:
        if isinstance(outcome, StepRefusedError):
            self.refused += 1
            return
        self.taken += 1
        if isinstance(outcome, MarkTaken):
            if outcome.mark.run_id is not None:
                self._life.heard(outcome.mark.run_id, received_ns, outcome.mark.t_ns)
            return
        time = getattr(event, "time", None)
        self._life.heard(outcome.step.run_id, received_ns, received_ns if time is None else time.t_ns)
        if outcome.new and isinstance(event, (Start, SetStep)):
            self._life.open_steps += 1
        elif outcome.new and isinstance(event, Stop):
            self._life.open_steps -= 1


def _take_group(
    events: Sequence[Event | NewMark], caller: Caller, most_open: int | None, transaction: Transaction
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for event in events:
        try:
            outcomes.append(_take_one(event, caller, most_open, transaction))
        except StepRefusedError as refusal:
            outcomes.append(refusal)
    return outcomes


def _take_one(
    event: Event | NewMark, caller: Caller, most_open: int | None, transaction: Transaction
) -> Outcome:
    if isinstance(event, NewMark):
        return _take_mark(permitted_mark(event.mark, caller, transaction), transaction)
    if isinstance(event, (Start, SetStep)):
        if is_legacy(event.step_id):
            raise StepRefusedError(f"step id {event.step_id!r} is reserved; choose another", code="conflict")
        _refuse_too_many(event.step_id, most_open, transaction)
    decision = apply(permitted(event, caller, transaction), transaction)
    transaction.put_steps(decision.changed)
    return decision


def _refuse_too_many(step_id: str, most_open: int | None, transaction: Transaction) -> None:
    if most_open is None or transaction.step(step_id) is not None:
        return
    if transaction.count_open() >= most_open:
        raise StepRefusedError("too many steps are running; stop some first", code="too_many_open_steps")


def _take_mark(mark: Mark, transaction: Transaction) -> MarkTaken:
    if mark.run_id is None:
        runs = [run for run in transaction.open_runs(mark.env) if not is_legacy(run.step_id)]
        if mark.scenario is not None:
            runs = [run for run in runs if run.scenario == mark.scenario]
        if len(runs) == 1:
            mark = replace(mark, run_id=runs[0].step_id, scenario=runs[0].scenario)
    return MarkTaken(mark=mark, new=transaction.add_mark(mark))
