"""The contract of the journal, which ``tests/contract/test_journal.py`` holds every implementation to.

- `Journal.submit` runs ``work`` with a `Transaction` and completes its future only when everything it wrote
  would survive the loss of power. Works are run one at a time, in an order that all readers agree on; several
  may share one write to the disk.
- A work may be run again before it is written, when one that shares the write has failed: it does nothing but
  read and write by its transaction, and what it returned last counts.
- When ``work`` raises, nothing it wrote remains, its future carries the exception, and works that shared the
  write are not affected. When the disk refuses, each future carries a `JournalError` and nothing remains.
- A read sees every work that was completed before it began.
- `Journal.changes` after the last sequence number seen never skips a change, even when two processes write
  and the first to begin commits last. A step changed twice may appear once, with its last version.
- `Journal.mark_changes` is the same for marks. Both sequences only grow, also over a restart.
- Opening a journal written by a newer version, or one that is damaged, raises `ConfigError` and changes
  nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.journal.outbox import Cursor, DeadLetter, Delivered
from energyrecorder_annotator.lifecycle import Step, StepView

T = TypeVar("T")


class JournalError(EnergyError):
    """The journal cannot be written or read just now (disk full, read-only)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant note.

    Args:
        mark_id: Id; the same id again is the same mark.
        env: Environment.
        kind: One of `energyrecorder.schema.MARK_KINDS`.
        t_ns: When, by our clock, ns since the Unix epoch.
        title: Short text.
        text: Longer text; None if not given.
        scenario: None if it is not about one.
        run_id: Run it belongs to; None if none was open.
        server: Server it is about; None for a note of a person.
    """

    mark_id: str
    env: str
    kind: str
    t_ns: int
    title: str
    text: str | None = None
    scenario: str | None = None
    run_id: str | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The energy of one step as last computed.

    Args:
        detail: The ``result`` object of the API.
        samples: Readings in the step and around it that went into it, to see whether more came in.
        newest_ns: Newest of them, ns since the Unix epoch; 0 if there was none.
    """

    detail: Mapping[str, Any]
    samples: int
    newest_ns: int


@dataclass(frozen=True, slots=True)
class Look:
    """A result to be computed or looked at again.

    Args:
        step_id: The step.
        look: 0 = not computed yet; n = the n-th time it is looked at again.
        due_ns: When, ns since the Unix epoch; for look 0 the end of the step.
        edges: What it was planned for; another value of `edges_of` the step makes it outdated.
    """

    step_id: str
    look: int
    due_ns: int
    edges: str


@dataclass(frozen=True, slots=True)
class TagMatch:
    """Asks for a tag.

    Args:
        keys: Any of these.
        values: Any of these, exactly.
        prefix: Values that begin so match as well; None for exact ones only.
    """

    keys: tuple[str, ...]
    values: tuple[str, ...]
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class StepQuery:
    """Which steps to list, newest first; None leaves a criterion out.

    Args:
        tag: Only steps with this tag.
        roots: Only runs.
        from_ns: Only steps that end after this (or still run), ns since the Unix epoch.
        to_ns: Only steps that begin before this.
        limit: Page size.
        after: Start and id of the last step of the page before.
        envs: Globs (``*`` and ``?``) of environments, one of which must match.
    """

    env: str | None = None
    scenario: str | None = None
    step: str | None = None
    state: str | None = None
    group: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    tag: TagMatch | None = None
    roots: bool = False
    from_ns: int | None = None
    to_ns: int | None = None
    limit: int = 100
    after: tuple[int, str] | None = None
    envs: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class OpenStep:
    """What the watch over silent steps needs to know of a running one."""

    step_id: str
    run_id: str
    start_ns: int
    ttl_s: float


def edges_of(step: Step) -> str:
    """Return what a result depends on besides readings; equal as long as the result stays valid."""
    return json.dumps([step.start_ns, step.end_ns, step.env, step.servers, step.started])


StepWithResult = tuple[Step, StoredResult | None]


class Transaction(StepView, Protocol):
    """What a work may read and write; it sees its own writes."""

    def put_steps(self, steps: Sequence[Step]) -> None:
        """Write steps; one whose edges or servers changed loses its result and is due to be computed."""

    def count_open(self) -> int:
        """Return how many steps are running."""

    def add_mark(self, mark: Mark) -> bool:
        """Write a mark; False when it is there already."""

    def put_result(self, look: Look, result: StoredResult | None, following: Look | None) -> bool:
        """Write what a look found.

        Args:
            look: The look that was due.
            result: None leaves the stored one as it is; one with the same detail is no change of the step.
            following: The next look; None when there is none.

        Returns:
            False, and nothing is written, when the step's edges changed since (the look is outdated).
        """

    def look_again(self, query: StepQuery, now_ns: int, *, whatever: bool = True) -> int:
        """Let results be looked at now, and after that as after the first time; they stay until then.

        Args:
            query: Which steps; of these only those that have ended; ``limit`` and ``after`` do not count.
            now_ns: Our wall clock.
            whatever: Compute them anew whatever their readings; else only where there are other ones.

        Returns:
            How many steps.
        """

    def put_delivery(
        self, sink: str, cursor: Cursor, delivered: Sequence[Delivered], dead: Sequence[DeadLetter]
    ) -> None:
        """Write how far a sink has got; what it has taken is no dead letter any more."""

    def put_life(self, signs: Mapping[str, tuple[int, int]]) -> None:
        """Write the last signs of life of runs: run id → (heard, alive), ns since the Unix epoch."""

    def probe(self) -> None:
        """Write something without a meaning, to see whether the journal can be written."""


class Journal(Protocol):
    """Steps, marks and results; see the contract at the top of this file."""

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        """Run ``work`` and complete when it is durable."""

    def close(self) -> None:
        """Finish what was submitted, then let go of the store."""

    def step(self, step_id: str) -> StepWithResult | None:
        """Return one step, or None."""

    def list_steps(self, query: StepQuery) -> list[StepWithResult]:
        """Return a page of steps, newest first."""

    def run_steps(self, run_id: str) -> list[StepWithResult]:
        """Return a run's steps, the root included, ordered by start."""

    def overlapping(self, step: Step) -> list[Step]:
        """Return the steps of the same environment that ran while ``step`` (which has ended) did."""

    def marks(self, env: str, from_ns: int, to_ns: int) -> list[Mark]:
        """Return the marks of an environment in a span, oldest first."""

    def looks(self, now_ns: int, limit: int) -> list[Look]:
        """Return results not computed yet and those due to be looked at again, oldest first."""

    def open_steps(self) -> list[OpenStep]:
        """Return every running step."""

    def life(self) -> dict[str, tuple[int, int]]:
        """Return the signs of life as last written, of runs that have a running step."""

    def changes(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        """Return (sequence number, step id, version) of steps changed after a sequence number, in order."""

    def mark_changes(self, after: int, limit: int) -> list[tuple[int, Mark]]:
        """Return (sequence number, mark) of marks made after a sequence number, in order."""

    def last_seq(self) -> int:
        """Return the last sequence number given."""

    def backlog(self, cursor: Cursor) -> int:
        """Return how many changed steps and marks come after a cursor."""

    def cursor(self, sink: str) -> Cursor | None:
        """Return how far a sink has got; None for one that never delivered."""

    def memos(self, sink: str, step_ids: Sequence[str]) -> dict[str, str]:
        """Return the memos of those of the steps that a sink has taken."""

    def last_told(self, sink: str, up_to: int) -> str | None:
        """Return the id of the step that changed last of those of which a sink keeps a memo.

        Args:
            sink: Its name.
            up_to: Sequence number of the last change that counts.

        Returns:
            None if there is none, at least among the last thousand changes.
        """

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return what sinks never took, newest first."""

    def has_own_series(self, env: str, scenario: str, name: str) -> bool:
        """Tell whether a step name was among the first `NAMES_PER_DAY` of its scenario and day."""
