"""The journal in one SQLite file: works that arrive together share one write to the disk."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from energyrecorder_annotator.database import open_database, open_reader
from energyrecorder_annotator.journal.base import JournalError, Transaction
from energyrecorder_annotator.journal.reads import SqliteReads
from energyrecorder_annotator.journal.transaction import Known, SqliteTransaction

T = TypeVar("T")

MAX_GROUP = 512
"""Works that share one write at most, so that the first of them does not wait for ever."""

_Work = tuple[Callable[[Transaction], Any], "Future[Any]"]
_Outcome = tuple[Any, BaseException | None]


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
        self._known = Known()
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_until_closed, name="journal", daemon=True)
        self._writer.start()

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        """See `Journal`."""
        future: Future[T] = Future()
        # It is done whether or not somebody still waits for it.
        future.set_running_or_notify_cancel()
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
        try:
            outcomes = self._run_together(group)
            if outcomes is None:
                outcomes = self._run_apart(group)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._forget()
            for _, future in group:
                future.set_exception(JournalError(f"journal cannot be written: {error}"))
            return
        for (_, future), (value, failure) in zip(group, outcomes, strict=True):
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)

    def _forget(self) -> None:
        self._known.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _run_together(self, group: list[_Work]) -> list[_Outcome] | None:
        """Run works one after the other, or return None when one fails that had written something."""
        self._connection.execute("BEGIN IMMEDIATE")
        transaction = SqliteTransaction(self._connection, self._known)
        outcomes: list[_Outcome] = []
        for work, _ in group:
            written = self._connection.total_changes
            outcome = _run_one(work, transaction)
            if outcome[1] is not None and self._connection.total_changes != written:
                self._forget()
                return None
            outcomes.append(outcome)
        transaction.finish()
        return outcomes

    def _run_apart(self, group: list[_Work]) -> list[_Outcome]:
        """Run works again, so that what one has written before it failed can be taken back.

        Seldom needed, and dear: SQLite copies each page that is written within a savepoint.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes: list[_Outcome] = []
        for work, _ in group:
            self._connection.execute("SAVEPOINT work")
            transaction = SqliteTransaction(self._connection, self._known)
            outcome = _run_one(work, transaction)
            if outcome[1] is None:
                transaction.finish()
            else:
                self._known.clear()
                self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            outcomes.append(outcome)
        return outcomes


def _run_one(work: Callable[[Transaction], Any], transaction: SqliteTransaction) -> _Outcome:
    try:
        return work(transaction), None
    except sqlite3.OperationalError:
        raise  # the disk, not this work: the whole group fails
    except BaseException as error:  # noqa: BLE001  # the future hands it to the caller
        return None, error
