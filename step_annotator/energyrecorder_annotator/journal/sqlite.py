"""The journal in one SQLite file: works that arrive together share one write to the disk."""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from energyrecorder_annotator.database import open_database, open_reader
from energyrecorder_annotator.journal.base import (
    JournalError,
    Look,
    Mark,
    StepQuery,
    StoredResult,
    Transaction,
    edges_of,
)
from energyrecorder_annotator.journal.outbox import DAY_NS, NAMES_PER_DAY, Cursor, DeadLetter, Delivered
from energyrecorder_annotator.journal.reads import SqliteReads, query_terms
from energyrecorder_annotator.journal.rows import MARK_COLUMNS, STEP_COLUMNS, mark_row, row_step, step_row
from energyrecorder_annotator.lifecycle import SeriesKey, Step

T = TypeVar("T")

MAX_GROUP = 512
"""Works that share one write at most, so that the first of them does not wait for ever."""

_MOST_ROWS = 1000

_Work = tuple[Callable[[Transaction], Any], "Future[Any]"]
_STEP_VALUES = ",".join("?" * (STEP_COLUMNS.count(",") + 1))
_MARK_VALUES = ",".join("?" * (MARK_COLUMNS.count(",") + 1))
# Column names only, no value from outside.
_PUT_STEP = f"INSERT OR REPLACE INTO steps ({STEP_COLUMNS}, changed_seq) VALUES ({_STEP_VALUES}, ?)"  # noqa: S608  # our own column names; values are bound
_ADD_MARK = (
    f"INSERT OR IGNORE INTO marks ({MARK_COLUMNS}, seq) "  # noqa: S608  # our own column names; values are bound
    f"VALUES ({_MARK_VALUES}, (SELECT seq FROM sequence))"
)
_OWN_NAME = (
    "INSERT OR IGNORE INTO step_names SELECT ?1, ?2, ?3, ?4 WHERE "
    "(SELECT count(*) FROM step_names WHERE env = ?1 AND scenario = ?2 AND day = ?4) < ?5"
)
_STEPS = f"SELECT {STEP_COLUMNS} FROM steps"  # noqa: S608  # our own column names; values are bound
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


class SqliteTransaction:
    """`Transaction` on the writer's connection, within the transaction that is open on it."""

    def __init__(self, connection: sqlite3.Connection, rows: dict[tuple[Any, ...], int]) -> None:
        self._connection = connection
        self._rows = rows
        # One event asks for the same step and its children several times.
        self._steps: dict[str, Step | None] = {}
        self._children: dict[str, Sequence[Step]] = {}

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
        from_ns = self._rows.get((*key, wanted_ns), wanted_ns)
        last: int = self._connection.execute(_LAST_OF_ROW, (*key, from_ns)).fetchone()[0]
        if len(self._rows) >= _MOST_ROWS:
            self._rows.clear()
        self._rows[*key, wanted_ns] = last
        return last + 1

    def put_steps(self, steps: Sequence[Step]) -> None:
        """See `Transaction`."""
        for step in steps:
            before = self.step(step.step_id)
            seq = self._connection.execute("UPDATE sequence SET seq = seq + 1 RETURNING seq").fetchone()[0]
            self._connection.execute(_PUT_STEP, (*step_row(step), seq))
            self._steps[step.step_id] = step
            self._children.clear()
            if step.step is not None and (before is None or before.step != step.step):
                self._own_name(step, step.step)
            if before is None or edges_of(before) != edges_of(step):
                self._plan_result(step, is_new=before is None)

    def _own_name(self, step: Step, name: str) -> None:
        key = (step.env, step.scenario, name)
        known = "SELECT 1 FROM step_names WHERE env = ? AND scenario = ? AND name = ?"
        if self._connection.execute(known, key).fetchone() is None:
            self._connection.execute(_OWN_NAME, (*key, step.start_ns // DAY_NS, NAMES_PER_DAY))

    def _plan_result(self, step: Step, *, is_new: bool) -> None:
        if not is_new:
            self._connection.execute("DELETE FROM results WHERE step_id = ?", (step.step_id,))
            self._connection.execute("DELETE FROM looks WHERE step_id = ?", (step.step_id,))
        if step.end_ns is not None and step.started:
            self._connection.execute(
                "INSERT INTO looks VALUES (?, 0, ?, ?)", (step.step_id, step.end_ns, edges_of(step))
            )

    def add_mark(self, mark: Mark) -> bool:
        """See `Transaction`."""
        self._connection.execute("UPDATE sequence SET seq = seq + 1")
        return self._connection.execute(_ADD_MARK, mark_row(mark)).rowcount > 0

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
            self._connection.execute(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)",
                (look.step_id, result.samples, result.newest_ns, json.dumps(result.detail)),
            )
            # A result is part of what sinks show of a step.
            self._steps.pop(look.step_id, None)
            self._children.clear()
            self._connection.execute("UPDATE sequence SET seq = seq + 1")
            self._connection.execute(
                "UPDATE steps SET version = version + 1, changed_seq = (SELECT seq FROM sequence) "
                "WHERE step_id = ?",
                (look.step_id,),
            )
        return True

    def look_again(self, query: StepQuery, now_ns: int) -> int:
        """See `Transaction`."""
        terms, values = query_terms(query)
        where = " AND ".join(["s.end_ns IS NOT NULL", "s.started = 1", *terms])
        ended = f"SELECT {STEP_COLUMNS} FROM steps s WHERE {where}"  # noqa: S608  # column names only
        steps = [row_step(row) for row in self._connection.execute(ended, values)]
        for step in steps:
            known = self._connection.execute(
                "UPDATE results SET samples = -1 WHERE step_id = ?", (step.step_id,)
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


class SqliteJournal(SqliteReads):
    """`energyrecorder_annotator.journal.base.Journal` in one file.

    Args:
        path: The file; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._connection = open_database(
            path, package="energyrecorder_annotator.journal.migrations", durable=True
        )
        super().__init__(open_reader(path))
        self._rows_of_starts: dict[tuple[Any, ...], int] = {}
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_until_closed, name="journal", daemon=True)
        self._writer.start()

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        """See `Journal`."""
        future: Future[T] = Future()
        self._works.put((work, future))
        return future

    def close(self) -> None:
        """See `Journal`."""
        self._works.put(None)
        self._writer.join()
        self._connection.close()
        self.close_reader()

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            group: list[_Work] = []
            work = self._works.get()
            while work is not None:
                group.append(work)
                if len(group) >= MAX_GROUP or self._works.empty():
                    break
                work = self._works.get()
            closing = work is None
            if group:
                self._write(group)

    def _write(self, group: list[_Work]) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for work, future in group:
                outcomes.append((future, *self._run_one(work)))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rows_of_starts.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for _, future in group:
                future.set_exception(JournalError(f"journal cannot be written: {error}"))
            return
        for future, value, failure in outcomes:
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)

    def _run_one(self, work: Callable[[Transaction], Any]) -> tuple[Any, BaseException | None]:
        self._connection.execute("SAVEPOINT work")
        try:
            value = work(SqliteTransaction(self._connection, self._rows_of_starts))
        except sqlite3.OperationalError:
            raise  # the disk, not this work: the whole group fails
        except BaseException as error:  # noqa: BLE001  # the future hands it to the caller
            self._rows_of_starts.clear()
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            return None, error
        self._connection.execute("RELEASE work")
        return value, None
