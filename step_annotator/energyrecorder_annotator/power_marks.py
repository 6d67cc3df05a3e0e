"""Makes marks of hosts that were switched on or off, and keeps them until the journal has taken them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from energyrecorder_annotator.journal.base import Journal, Mark
from energyrecorder_annotator.samples.base import BmcPoll

MOST_KEPT = 10_000
"""Marks kept while the journal cannot be written; later ones are lost."""

_NAMESPACE = uuid.UUID("0d0c3f43-51c3-4d5c-a4a1-93f6b2e7a0d8")


class PowerMarks:
    """The way from polls to marks; safe for several threads.

    Args:
        journal: Where the marks go.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._kept: dict[str, Mark] = {}
        self._under_way = False

    def take(self, switched: Sequence[BmcPoll]) -> None:
        """Have polls that show a host switched on or off marked, and marks that were not taken before.

        Args:
            switched: The polls; none of them is the time to try those before again.
        """
        with self._lock:
            for poll in switched[: MOST_KEPT - len(self._kept)]:
                mark = _mark(poll)
                self._kept[mark.mark_id] = mark
            if not self._kept or self._under_way:
                return
            self._under_way = True
            marks = tuple(self._kept.values())
        work = self._journal.submit(lambda transaction: [transaction.add_mark(mark) for mark in marks])
        work.add_done_callback(lambda done: self._ended(done, marks))

    def _ended(self, done: Future[Any], marks: Sequence[Mark]) -> None:
        with self._lock:
            self._under_way = False
            if not done.cancelled() and done.exception() is None:
                for mark in marks:
                    del self._kept[mark.mark_id]


def _mark(poll: BmcPoll) -> Mark:
    return Mark(
        # Of the poll alone: the same poll, seen again after a restart, is the same mark.
        mark_id=str(uuid.uuid5(_NAMESPACE, f"{poll.env}\0{poll.server}\0{poll.t_ns}")),
        env=poll.env,
        kind="power",
        t_ns=poll.t_ns,
        title=f"{poll.server}: power {poll.host}",
        server=poll.server,
    )
