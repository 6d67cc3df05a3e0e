"""What one work on the SQLite journal reads and writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from energyrecorder_annotator.journal.base import (
    Look,
    Mark,
    StepQuery,
    StoredResult,
    edges_of,
)
from energyrecorder_annotator.journal.outbox import DAY_NS, NAMES_PER_DAY, Cursor, DeadLetter, Delivered
from energyrecorder_annotator.journal.reads import query_terms
from energyrecorder_annotator.journal.rows import MARK_COLUMNS, STEP_COLUMNS, mark_row, row_step, step_row
from energyrecorder_annotator.lifecycle import SeriesKey, Step

_MOST_ROWS = 1000
_MOST_NAMES = 10_000

_STEP_NAMES = STEP_COLUMNS.split(", ")
_STEP_VALUES = ",".join("?" * (STEP_COLUMNS.count(",") + 1))
_MARK_VALUES = ",".join("?" * (MARK_COLUMNS.count(",") + 1))
# Column names only, no value from outside.
_ADD_STEP = f"INSERT INTO steps ({STEP_COLUMNS}, changed_seq) VALUES ({_STEP_VALUES}, ?)"
_ADD_MARK = f"INSERT OR IGNORE INTO marks ({MARK_COLUMNS}, seq) VALUES ({_MARK_VALUES}, ?)"
_OWN_NAME = (
    "INSERT OR IGNORE INTO step_names SELECT ?1, ?2, ?3, ?4 WHERE "
    "(SELECT count(*) FROM step_names WHERE env = ?1 AND scenario = ?2 AND day = ?4) < ?5"
)
_STEPS = f"SELECT {STEP_COLUMNS} FROM steps"
_GET_STEP = f"{_STEPS} WHERE step_id = ?"
_CHILDREN = f"{_STEPS} WHERE parent_id = ?"
_OPEN_RUNS = f"{_STEPS} WHERE env = ? AND end_ns IS NULL AND run_id = step_id ORDER BY start_ns"

_TAKEN = (
    "SELECT 1 FROM steps WHERE started = 1 AND start_ns = ? AND env = ? AND scenario = ? "
    "AND COALESCE(step, '') = ? AND (step IS NULL) = ?"
)
# The last of a row of neighbouring starts: the one after which the next nanosecond is free.
_LAST_OF_ROW = (
    "SELECT a.start_ns FROM steps a INDEXED BY steps_series WHERE a.started = 1 AND a.env = ? "
    "AND a.scenario = ? "
    "AND COALESCE(a.step, '') = ? AND (a.step IS NULL) = ? AND a.start_ns >= ? AND NOT EXISTS ("
    "SELECT 1 FROM steps b WHERE b.started = 1 AND b.start_ns = a.start_ns + 1 AND b.env = a.env "
    "AND b.scenario = a.scenario AND COALESCE(b.step, '') = COALESCE(a.step, '') "
    "AND (b.step IS NULL) = (a.step IS NULL)) ORDER BY a.start_ns LIMIT 1"
)


@dataclass(slots=True)
class Known:
    """What the writer remembers from one write to the next, and forgets when one is taken back.

    Args:
        rows: Series and start that many claim → the last of the neighbouring starts.
        names: (env, scenario, name) of steps that have a series of their own.
    """

    rows: dict[tuple[Any, ...], int] = field(default_factory=dict)
    names: set[tuple[str, str, str]] = field(default_factory=set)

    def clear(self) -> None:
        """Forget all of it."""
        self.rows.clear()
        self.names.clear()


class SqliteTransaction:
    """`Transaction` on the writer's connection, for all works that share one write.

    Args:
        connection: With a transaction open on it.
        known: What the writer remembers from one write to the next.
    """

    def __init__(self, connection: sqlite3.Connection, known: Known) -> None:
        self._connection = connection
        self._known = known
        # Events ask for the same step and its children several times.
        self._steps: dict[str, Step | None] = {}
        self._children: dict[str, Sequence[Step]] = {}
        self._seq: int | None = None

    def finish(self) -> None:
        """Write what was put off until the last work was done."""
        if self._seq is not None:
            self._connection.execute("UPDATE sequence SET seq = ?", (self._seq,))

    def _next_seq(self) -> int:
        if self._seq is None:
            self._seq = int(self._connection.execute("SELECT seq FROM sequence").fetchone()[0])
        self._seq += 1
        return self._seq

    def step(self, step_id: str) -> Step | None:
        """See `StepView`."""
        if step_id not in self._steps:
            row = self._connection.execute(_GET_STEP, (step_id,)).fetchone()
            self._steps[step_id] = None if row is None else row_step(row)
        return self._steps[step_id]

    def children(self, step_id: str) -> Sequence[Step]:
        """See `StepView`."""
        if step_id not in self._children:
            rows = self._connection.execute(_CHILDREN, (step_id,))
            self._children[step_id] = [row_step(row) for row in rows]
        return self._children[step_id]

    def open_runs(self, env: str) -> Sequence[Step]:
        """See `StepView`."""
        return [row_step(row) for row in self._connection.execute(_OPEN_RUNS, (env,))]

    def free_start_ns(self, series: SeriesKey, wanted_ns: int) -> int:
        """See `StepView`."""
        key = (series.env, series.scenario, series.step or "", int(series.step is None))
        if self._connection.execute(_TAKEN, (wanted_ns, *key)).fetchone() is None:
            return wanted_ns
        # Thousands of steps may claim one moment: each goes on where the one before it found its place.
        rows = self._known.rows
        from_ns = rows.get((*key, wanted_ns), wanted_ns)
        last: int = self._connection.execute(_LAST_OF_ROW, (*key, from_ns)).fetchone()[0]
        if len(rows) >= _MOST_ROWS:
            rows.clear()
        rows[*key, wanted_ns] = last
        return last + 1

    def put_steps(self, steps: Sequence[Step]) -> None:
        """See `Transaction`."""
        for step in steps:
            before = self.step(step.step_id)
            self._write(before, step)
            self._steps[step.step_id] = step
            for one in (before, step):
                if one is not None and one.parent_id is not None:
                    self._children.pop(one.parent_id, None)
            if step.step is not None and (before is None or before.step != step.step):
                self._own_name(step, step.step)
            if before is None or _edges(before) != _edges(step):
                self._plan_result(before, step)

    def _write(self, before: Step | None, step: Step) -> None:
        row, seq = step_row(step), self._next_seq()
        if before is None:
            self._connection.execute(_ADD_STEP, (*row, seq))
            return
        # Only what changed: a column that is written costs an update of each index that holds it.
        columns = zip(_STEP_NAMES, step_row(before), row, strict=True)
        changed = [(f"{name} = ?", value) for name, old, value in columns if value != old]
        terms = ", ".join(["changed_seq = ?", *(term for term, _ in changed)])
        self._connection.execute(
            f"UPDATE steps SET {terms} WHERE step_id = ?",
            (seq, *(value for _, value in changed), step.step_id),
        )

    def _own_name(self, step: Step, name: str) -> None:
        key = (step.env, step.scenario, name)
        if key in self._known.names:
            return
        query = "SELECT 1 FROM step_names WHERE env = ? AND scenario = ? AND name = ?"
        if self._connection.execute(query, key).fetchone() is None:
            day = step.start_ns // DAY_NS
            if self._connection.execute(_OWN_NAME, (*key, day, NAMES_PER_DAY)).rowcount == 0:
                return
        if len(self._known.names) >= _MOST_NAMES:
            self._known.names.clear()
        self._known.names.add(key)

    def _plan_result(self, before: Step | None, step: Step) -> None:
        if before is not None and before.end_ns is not None and before.started:
            self._connection.execute("DELETE FROM results WHERE step_id = ?", (step.step_id,))
            self._connection.execute("DELETE FROM looks WHERE step_id = ?", (step.step_id,))
        if step.end_ns is not None and step.started:
            self._connection.execute(
                "INSERT INTO looks VALUES (?, 0, ?, ?)", (step.step_id, step.end_ns, edges_of(step))
            )

    def count_open(self) -> int:
        """See `Transaction`."""
        return int(self._connection.execute("SELECT count(*) FROM steps WHERE end_ns IS NULL").fetchone()[0])

    def add_mark(self, mark: Mark) -> bool:
        """See `Transaction`."""
        return self._connection.execute(_ADD_MARK, (*mark_row(mark), self._next_seq())).rowcount > 0

    def put_result(self, look: Look, result: StoredResult | None, following: Look | None) -> bool:
        """See `Transaction`."""
        planned = self._connection.execute(
            "DELETE FROM looks WHERE step_id = ? AND look = ? AND due_ns = ? AND edges = ?",
            (look.step_id, look.look, look.due_ns, look.edges),
        )
        if planned.rowcount == 0:
            return False
        if following is not None:
            self._connection.execute(
                "INSERT INTO looks VALUES (?, ?, ?, ?)",
                (following.step_id, following.look, following.due_ns, following.edges),
            )
        if result is not None:
            self._put_result(look.step_id, result)
        return True

    def _put_result(self, step_id: str, result: StoredResult) -> None:
        detail = json.dumps(result.detail)
        query = "SELECT detail FROM results WHERE step_id = ?"
        known = self._connection.execute(query, (step_id,)).fetchone()
        self._connection.execute(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)",
            (step_id, result.samples, result.newest_ns, detail),
        )
        if known is not None and known[0] == detail:
            return
        # A result is part of what sinks show of a step.
        self._steps.pop(step_id, None)
        self._children.clear()
        self._connection.execute(
            "UPDATE steps SET version = version + 1, changed_seq = ? WHERE step_id = ?",
            (self._next_seq(), step_id),
        )

    def look_again(self, query: StepQuery, now_ns: int, *, whatever: bool = True) -> int:
        """See `Transaction`."""
        terms, values = query_terms(query)
        where = " AND ".join(["s.end_ns IS NOT NULL", "s.started = 1", *terms])
        ended = f"SELECT {STEP_COLUMNS} FROM steps s WHERE {where}"
        steps = [row_step(row) for row in self._connection.execute(ended, values)]
        for step in steps:
            known = self._connection.execute(
                "UPDATE results SET samples = CASE ?2 WHEN 1 THEN -1 ELSE samples END WHERE step_id = ?1",
                (step.step_id, whatever),
            )
            if known.rowcount > 0:
                self._connection.execute(
                    "INSERT OR REPLACE INTO looks VALUES (?, 1, ?, ?)", (step.step_id, now_ns, edges_of(step))
                )
        return len(steps)

    def put_delivery(
        self, sink: str, cursor: Cursor, delivered: Sequence[Delivered], dead: Sequence[DeadLetter]
    ) -> None:
        """See `Transaction`."""
        execute, many = self._connection.execute, self._connection.executemany
        execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (sink, cursor.steps_seq, cursor.marks_seq))
        many(
            "DELETE FROM dead_letters WHERE sink = ? AND item_id = ?", [(sink, d.step_id) for d in delivered]
        )
        many(
            "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?)",
            [(sink, one.step_id, one.version, one.memo) for one in delivered],
        )
        many(
            "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?)",
            [(one.sink, one.item_id, one.version, one.failed_ns, one.reason) for one in dead],
        )

    def put_life(self, signs: Mapping[str, tuple[int, int]]) -> None:
        """See `Transaction`."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO life VALUES (?, ?, ?)",
            [(run_id, heard_ns, alive_ns) for run_id, (heard_ns, alive_ns) in signs.items()],
        )
        self._connection.execute(
            "DELETE FROM life WHERE run_id NOT IN (SELECT run_id FROM steps WHERE end_ns IS NULL)"
        )

    def probe(self) -> None:
        """See `Transaction`."""
        self._next_seq()


def _edges(step: Step) -> tuple[Any, ...]:
    """Return what `edges_of` writes down."""
    return step.start_ns, step.end_ns, step.env, step.servers, step.started
