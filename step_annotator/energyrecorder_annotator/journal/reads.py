"""Reading the SQLite journal, beside the writer, on a connection that cannot write."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from energyrecorder_annotator.envs import matches
from energyrecorder_annotator.journal.base import (
    JournalError,
    Look,
    Mark,
    OpenStep,
    StepQuery,
    StepWithResult,
)
from energyrecorder_annotator.journal.outbox import Cursor, DeadLetter
from energyrecorder_annotator.journal.rows import MARK_COLUMNS, STEP_COLUMNS, row_mark, row_result, row_step
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.lifecycle.model import RUNNING

_STEP_COLUMNS = ", ".join(f"s.{name}" for name in STEP_COLUMNS.split(", "))
_SELECT = (
    f"SELECT {_STEP_COLUMNS}, "
    "r.samples, r.newest_ns, r.detail FROM steps s LEFT JOIN results r ON r.step_id = s.step_id"
)
_STEPS = f"SELECT {STEP_COLUMNS} FROM steps"
_LOOKS = "SELECT * FROM (SELECT step_id, look, due_ns, edges FROM looks"
_TAGGED = (
    "EXISTS (SELECT 1 FROM json_each(s.detail, '$.tags') t WHERE t.key IN (SELECT value FROM json_each(?)) "
    "AND (t.value IN (SELECT value FROM json_each(?)) OR substr(t.value, 1, length(?)) = ?))"
)
_OVERLAP_LIMIT = 1000
_TOLD_LIMIT = 1000
_MOST_NS = 2**63 - 1
_ODD_STATES = ("failed", "aborted", "lost")
_OVERLAPPING = (
    f"{_STEPS} WHERE env = ?1 AND end_ns IS NULL AND start_ns < ?3 AND step_id != ?4 UNION ALL "
    f"SELECT {_STEP_COLUMNS} FROM json_each(?5) span "
    "CROSS JOIN steps s INDEXED BY steps_span ON s.env = ?1 AND s.end_ns IS NOT NULL "
    "AND length(printf('%x', s.end_ns - s.start_ns)) = json_extract(span.value, '$[0]') "
    "AND s.end_ns > ?2 AND s.end_ns <= json_extract(span.value, '$[1]') AND s.start_ns < ?3 "
    "AND s.step_id != ?4 LIMIT ?6"
)


class SqliteReads:
    """The reading half of `Journal`.

    Args:
        reader: Connection that only this object uses.
    """

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self._lock = threading.Lock()

    def close_reader(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._reader.close()

    def _rows(self, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._reader.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise JournalError(f"journal cannot be read: {error}") from None

    def step(self, step_id: str) -> StepWithResult | None:
        """See `Journal`."""
        rows = self._rows(f"{_SELECT} WHERE s.step_id = ?", (step_id,))
        return _with_result(rows[0]) if rows else None

    def list_steps(self, query: StepQuery) -> list[StepWithResult]:
        """See `Journal`."""
        if query.envs is None:
            return self._page(query)
        known = self._envs() if query.env is None else [query.env]
        names = [name for name in known if matches(name, query.envs)]
        pages = (self._page(replace(query, env=name, envs=None)) for name in names)
        return _newest(chain.from_iterable(pages), query.limit)

    def _page(self, query: StepQuery) -> list[StepWithResult]:
        """Return a page without regard to ``envs``."""
        terms, values = query_terms(query)
        if query.after is not None:
            terms.append("(s.start_ns, s.step_id) < (?, ?)")
            values.extend(query.after)
        source = "steps s INDEXED BY steps_open" if query.state == RUNNING else "steps s"
        if query.from_ns is None:
            return self._select(source, terms, values, query.limit)
        from_ns = query.from_ns
        begun = self._select(source, [*terms, "s.start_ns >= ?"], [*values, from_ns], query.limit)
        left = query.limit - len(begun)
        if not left:
            return begun
        # What began before and reaches into the span comes after all that began within it.
        terms.append("s.start_ns < ?")
        values.append(from_ns)
        running = self._select("steps s INDEXED BY steps_open", [*terms, "s.end_ns IS NULL"], values, left)
        envs = self._envs() if query.env is None else [query.env]
        spans = json.dumps([[name, *span] for name in envs for span in _spans(from_ns)])
        source = (
            "json_each(?) span CROSS JOIN steps s INDEXED BY steps_span "
            "ON s.env = json_extract(span.value, '$[0]') AND s.end_ns IS NOT NULL "
            "AND length(printf('%x', s.end_ns - s.start_ns)) = json_extract(span.value, '$[1]') "
            "AND s.end_ns > ? AND s.end_ns <= json_extract(span.value, '$[2]')"
        )
        ended = self._select(source, terms, [spans, from_ns, *values], left)
        return [*begun, *_newest([*running, *ended], left)]

    def _select(
        self, source: str, terms: Sequence[str], values: Sequence[Any], limit: int
    ) -> list[StepWithResult]:
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        query = (
            f"SELECT {_STEP_COLUMNS}, r.samples, r.newest_ns, r.detail FROM {source} "
            f"LEFT JOIN results r ON r.step_id = s.step_id {where} "
            "ORDER BY s.start_ns DESC, s.step_id DESC LIMIT ?"
        )
        return [_with_result(row) for row in self._rows(query, (*values, limit))]

    def _envs(self) -> list[str]:
        """Return all environments; one step into the index for each, however many steps there are."""
        rows = self._rows(
            "WITH RECURSIVE e(env) AS (SELECT min(env) FROM steps UNION ALL "
            "SELECT (SELECT min(env) FROM steps WHERE env > e.env) FROM e WHERE e.env IS NOT NULL) "
            "SELECT env FROM e WHERE env IS NOT NULL"
        )
        return [row[0] for row in rows]

    def run_steps(self, run_id: str) -> list[StepWithResult]:
        """See `Journal`."""
        rows = self._rows(f"{_SELECT} WHERE s.run_id = ?", (run_id,))
        found = [_with_result(row) for row in rows]
        return sorted(found, key=lambda pair: (pair[0].start_ns, pair[0].depth, pair[0].step_id))

    def overlapping(self, step: Step) -> list[Step]:
        """See `Journal`."""
        values = (step.env, step.start_ns, step.until_ns, step.step_id)
        rows = self._rows(_OVERLAPPING, (*values, json.dumps(_spans(step.until_ns)), _OVERLAP_LIMIT))
        return [row_step(row) for row in rows]

    def marks(self, env: str, from_ns: int, to_ns: int) -> list[Mark]:
        """See `Journal`."""
        query = (
            f"SELECT {MARK_COLUMNS} FROM marks WHERE env = ? AND t_ns BETWEEN ? AND ? ORDER BY t_ns, mark_id"
        )
        return [row_mark(row) for row in self._rows(query, (env, from_ns, to_ns))]

    def looks(self, now_ns: int, limit: int) -> list[Look]:
        """See `Journal`."""
        query = (
            f"{_LOOKS} WHERE (look > 0) = 0 ORDER BY due_ns LIMIT ?) UNION ALL "
            f"{_LOOKS} WHERE (look > 0) = 1 AND due_ns <= ? ORDER BY due_ns LIMIT ?)"
        )
        rows = self._rows(query, (limit, now_ns, limit))
        return [Look(step_id=row[0], look=row[1], due_ns=row[2], edges=row[3]) for row in rows]

    def open_steps(self) -> list[OpenStep]:
        """See `Journal`."""
        rows = self._rows("SELECT step_id, run_id, start_ns, ttl_s FROM steps WHERE end_ns IS NULL")
        return [OpenStep(step_id=row[0], run_id=row[1], start_ns=row[2], ttl_s=row[3]) for row in rows]

    def life(self) -> dict[str, tuple[int, int]]:
        """See `Journal`."""
        return {row[0]: (row[1], row[2]) for row in self._rows("SELECT run_id, heard_ns, alive_ns FROM life")}

    def changes(self, after: int, limit: int) -> list[tuple[int, str, int]]:
        """See `Journal`."""
        query = "SELECT changed_seq, step_id, version FROM steps WHERE changed_seq > ? "
        found = self._rows(f"{query} ORDER BY changed_seq LIMIT ?", (after, limit))
        return [(row[0], row[1], row[2]) for row in found]

    def mark_changes(self, after: int, limit: int) -> list[tuple[int, Mark]]:
        """See `Journal`."""
        query = f"SELECT seq, {MARK_COLUMNS} FROM marks WHERE seq > ? ORDER BY seq LIMIT ?"
        return [(row[0], row_mark(row[1:])) for row in self._rows(query, (after, limit))]

    def last_seq(self) -> int:
        """See `Journal`."""
        return int(self._rows("SELECT seq FROM sequence")[0][0])

    def backlog(self, cursor: Cursor) -> int:
        """See `Journal`."""
        query = (
            "SELECT (SELECT count(*) FROM steps WHERE changed_seq > ?) + "
            "(SELECT count(*) FROM marks WHERE seq > ?)"
        )
        return int(self._rows(query, (cursor.steps_seq, cursor.marks_seq))[0][0])

    def cursor(self, sink: str) -> Cursor | None:
        """See `Journal`."""
        rows = self._rows("SELECT steps_seq, marks_seq FROM cursors WHERE sink = ?", (sink,))
        return Cursor(*rows[0]) if rows else None

    def memos(self, sink: str, step_ids: Sequence[str]) -> dict[str, str]:
        """See `Journal`."""
        query = "SELECT step_id, memo FROM deliveries WHERE sink = ? AND step_id IN "
        rows = self._rows(
            f"{query} (SELECT value FROM json_each(?))",
            (sink, json.dumps(list(step_ids))),
        )
        return {row[0]: row[1] for row in rows}

    def last_told(self, sink: str, up_to: int) -> str | None:
        """See `Journal`."""
        newest = (
            "SELECT step_id, changed_seq FROM steps WHERE changed_seq <= ? ORDER BY changed_seq DESC LIMIT ?"
        )
        query = (
            f"SELECT s.step_id FROM ({newest}) s JOIN deliveries d ON d.sink = ? AND d.step_id = s.step_id "
            "WHERE d.memo != '' ORDER BY s.changed_seq DESC LIMIT 1"
        )
        rows = self._rows(query, (up_to, _TOLD_LIMIT, sink))
        return rows[0][0] if rows else None

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """See `Journal`."""
        query = "SELECT sink, item_id, version, failed_ns, reason FROM dead_letters"
        return [DeadLetter(*row) for row in self._rows(f"{query} ORDER BY failed_ns DESC LIMIT ?", (limit,))]

    def has_own_series(self, env: str, scenario: str, name: str) -> bool:
        """See `Journal`."""
        query = "SELECT 1 FROM step_names WHERE env = ? AND scenario = ? AND name = ?"
        return bool(self._rows(query, (env, scenario, name)))


def query_terms(query: StepQuery) -> tuple[list[str], list[Any]]:
    """Return the conditions on ``steps s`` that a query makes, its page apart, and their values."""
    wanted = {
        "s.env = ?": query.env,
        "s.scenario = ?": query.scenario,
        "s.step = ?": query.step,
        "s.state = ?": query.state,
        "s.run_group = ?": query.group,
        "s.run_id = ?": query.run_id,
        "s.step_id = ?": query.step_id,
        "s.start_ns < ?": query.to_ns,
        "(s.end_ns IS NULL OR s.end_ns > ?)": query.from_ns,
    }
    terms = [term for term, value in wanted.items() if value is not None]
    values: list[Any] = [value for value in wanted.values() if value is not None]
    # In the words of the partial indices, so that SQLite knows that it may use them.
    if query.state == RUNNING:
        terms.append("s.end_ns IS NULL")
    elif query.state in _ODD_STATES:
        terms.append("s.state IN ('failed', 'aborted', 'lost')")
    if query.roots:
        terms.append("s.run_id = s.step_id")
    if query.tag is not None:
        terms.append(_TAGGED)
        tag = query.tag
        values += [json.dumps(tag.keys), json.dumps(tag.values), tag.prefix, tag.prefix]
    return terms, values


def _spans(before_ns: int) -> list[tuple[int, int]]:
    """Return, for each length in hexadecimal digits, when such a step that began before has ended."""
    return [(digits, min(before_ns + 16**digits, _MOST_NS)) for digits in range(1, 17)]


def _newest(found: Iterable[StepWithResult], limit: int) -> list[StepWithResult]:
    newest_first = sorted(found, key=lambda pair: (pair[0].start_ns, pair[0].step_id), reverse=True)
    return newest_first[:limit]


def _with_result(row: tuple[Any, ...]) -> StepWithResult:
    return row_step(row[:-3]), row_result(*row[-3:])
