"""Delivery of what changes to one sink: at least once, the present state only, in a thread of its own.

The outbox is the journal itself: every change has a sequence number, a sink has a cursor, and what lies
between is still to be delivered. A cursor moves in the same transaction that remembers what was delivered, so
a crash at any moment leads to a delivery done twice, never to one left out. Memory holds one batch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from energyrecorder.clock import Clock
from energyrecorder_annotator.journal.base import Journal, JournalError, Mark
from energyrecorder_annotator.journal.outbox import Cursor, DeadLetter, Delivered
from energyrecorder_annotator.sinks.backoff import pause_s
from energyrecorder_annotator.sinks.base import Answer, Item, Sink, SinkAwayError, SinkEmptyError

IDLE_S = 0.25
CHECK_EVERY_S = 600.0
"""How often a sink is asked whether what it was told is still there."""
DRAIN_S = 2.0
"""What is waiting when the annotator stops is delivered for this long; the rest at the next start."""
MOST_TOUCHED = 5000
_MOST_REASON = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How a sink is.

    Args:
        name: Its name.
        error: Why it takes nothing just now; None when it does.
        delivered: Steps and marks delivered since the start.
        refused: Steps and marks that became dead letters since the start.
        backlog: Steps and marks that wait.
    """

    name: str
    error: str | None
    delivered: int
    refused: int
    backlog: int


class Delivery:
    """The thread of one sink.

    Args:
        sink: Where to.
        journal: Where from.
        clock: Our wall clock.
        retry_most_s: Longest pause between tries.
    """

    def __init__(self, sink: Sink, journal: Journal, *, clock: Clock, retry_most_s: float) -> None:
        self.sink = sink
        self._journal = journal
        self._clock = clock
        self._retry_most_s = retry_most_s
        self._cursor: Cursor | None = None
        self._failures = 0
        self._error: str | None = None
        self._check_at_s = 0.0
        self._touch_at_s = 0.0
        self._delivered = 0
        self._refused = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Deliver what can be delivered at once, then end."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end, so long at most: a request under way is not worth more."""
        self._thread.join(timeout_s)

    @property
    def error(self) -> str | None:
        """Why the sink takes nothing just now; None when it does."""
        return self._error

    def status(self) -> SinkStatus:
        """Return how the sink is; asks the journal."""
        cursor = self._cursor or self._journal.cursor(self.sink.name) or Cursor()
        return SinkStatus(
            name=self.sink.name,
            error=self._error,
            delivered=self._delivered,
            refused=self._refused,
            backlog=self._journal.backlog(cursor),
        )

    def tick(self) -> bool:
        """Deliver one batch and return whether there was anything to deliver.

        Raises:
            SinkAwayError: The sink takes nothing just now.
            JournalError: The journal cannot be read or written just now.
        """
        try:
            return self._deliver_next()
        except SinkEmptyError as error:
            _log.warning(
                "%s has lost what it was told and is told everything again: %s", self.sink.name, error
            )
            self._save(Cursor(), [], [])
            return True

    def _run(self) -> None:
        end_s = float("inf")
        while time.monotonic() < end_s:
            if self._stopping.is_set():
                end_s = min(end_s, time.monotonic() + DRAIN_S)
            wait_s = self._try()
            if wait_s > 0 and self._stopping.wait(wait_s):
                # Idle or away: nothing more to be done before the end but a last look.
                if end_s < float("inf") or self._failures:
                    break
                end_s = time.monotonic() + DRAIN_S
        self.sink.close()

    def _try(self) -> float:
        """Deliver one batch and return how long to wait before the next."""
        try:
            had_work = self.tick()
        except (SinkAwayError, JournalError) as error:
            self._failures += 1
            if self._error is None:
                _log.warning("%s: %s; what changes is kept and delivered later", self.sink.name, error)
            self._error = str(error)
            self._check_at_s = 0.0
            asked_s = error.retry_after_s if isinstance(error, SinkAwayError) else None
            return pause_s(self._failures, most_s=self._retry_most_s, retry_after_s=asked_s)
        if self._error is not None:
            _log.info("%s takes what changes again", self.sink.name)
        self._failures, self._error = 0, None
        return 0.0 if had_work else IDLE_S

    def _deliver_next(self) -> bool:
        if self._cursor is None:
            self._cursor = self._first_cursor()
        cursor = self._cursor
        if time.monotonic() >= self._check_at_s:
            self._check(cursor)
            self._check_at_s = time.monotonic() + CHECK_EVERY_S
        return self._deliver_steps(cursor) or self._deliver_marks(cursor) or self._touch()

    def _first_cursor(self) -> Cursor:
        known = self._journal.cursor(self.sink.name)
        if known is not None:
            return known
        last = 0 if self.sink.with_history else self._journal.last_seq()
        cursor = Cursor(last, last)
        self._save(cursor, [], [])
        return cursor

    def _check(self, cursor: Cursor) -> None:
        step_id = self._journal.last_told(self.sink.name, cursor.steps_seq)
        item = next(iter(self._items([] if step_id is None else [step_id])), None)
        if not self.sink.has(item):
            raise SinkEmptyError(f"step {step_id} is not there")

    def _items(self, step_ids: Sequence[str]) -> list[Item]:
        memos = self._journal.memos(self.sink.name, step_ids)
        found = ((step_id, self._journal.step(step_id)) for step_id in step_ids)
        return [Item(*pair, memos.get(step_id)) for step_id, pair in found if pair is not None]

    def _deliver_steps(self, cursor: Cursor) -> bool:
        changes = self._journal.changes(cursor.steps_seq, self.sink.batch)
        if not changes:
            return False
        items = self._items([step_id for _, step_id, _ in changes])
        answers = self.sink.deliver(items)
        taken = [
            Delivered(item.step.step_id, item.step.version, answer.memo)
            for item, answer in zip(items, answers, strict=True)
            if answer.refused is None
        ]
        dead = self._dead([(item.step.step_id, item.step.version) for item in items], answers)
        self._save(Cursor(changes[-1][0], cursor.marks_seq), taken, dead)
        self._delivered += len(taken)
        return True

    def _deliver_marks(self, cursor: Cursor) -> bool:
        changes = self._journal.mark_changes(cursor.marks_seq, self.sink.batch)
        if not changes:
            return False
        marks: list[Mark] = [mark for _, mark in changes]
        answers = self.sink.deliver_marks(marks)
        dead = self._dead([(mark.mark_id, 0) for mark in marks], answers)
        self._save(Cursor(cursor.steps_seq, changes[-1][0]), [], dead)
        self._delivered += len(marks) - len(dead)
        return True

    def _dead(self, items: Sequence[tuple[str, int]], answers: Sequence[Answer]) -> list[DeadLetter]:
        now_ns = self._clock()
        dead = [
            DeadLetter(self.sink.name, item_id, version, now_ns, answer.refused[:_MOST_REASON])
            for (item_id, version), answer in zip(items, answers, strict=True)
            if answer.refused is not None
        ]
        for letter in dead:
            _log.error("%s will not take %s: %s", self.sink.name, letter.item_id, letter.reason)
        self._refused += len(dead)
        return dead

    def _save(self, cursor: Cursor, taken: Sequence[Delivered], dead: Sequence[DeadLetter]) -> None:
        name = self.sink.name
        self._journal.submit(lambda t: t.put_delivery(name, cursor, taken, dead)).result()
        self._cursor = cursor

    def _touch(self) -> bool:
        if self.sink.touch_every_s is None or time.monotonic() < self._touch_at_s:
            return False
        self._touch_at_s = time.monotonic() + self.sink.touch_every_s
        running = [step.step_id for step in self._journal.open_steps()[:MOST_TOUCHED]]
        for first in range(0, len(running), self.sink.batch):
            items = self._items(running[first : first + self.sink.batch])
            # What has ended meanwhile is delivered as such: it must not be shown as running after that.
            still = [item for item in items if item.step.end_ns is None and item.memo]
            if still:
                self.sink.touch(still, self._clock())
        return False
