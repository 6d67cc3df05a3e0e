"""Hosts that were switched on or off are marked once, also when the journal refused at first."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from energyrecorder_annotator.journal.base import JournalError
from energyrecorder_annotator.power_marks import MOST_KEPT, PowerMarks
from energyrecorder_annotator.samples.base import BmcPoll


class Journal:
    """Keeps what is submitted until the test says how it ended."""

    def __init__(self):
        self.works = []
        self.marks = {}

    def submit(self, work):
        self.works.append((work, Future()))
        return self.works[-1][1]

    def add_mark(self, mark):
        self.marks[mark.mark_id] = mark

    def end(self, error=None):
        work, future = self.works.pop()
        if error is None:
            future.set_result(work(self))
        else:
            future.set_exception(error)


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def marks(journal):
    return PowerMarks(journal)


def off(second):
    return BmcPoll("pod1", "n1", second * 10**9, True, "off", "")


def test_a_host_that_goes_off_is_a_mark(journal, marks):
    marks.take([off(1)])
    journal.end()
    assert [(mark.title, mark.t_ns, mark.kind) for mark in journal.marks.values()] == [
        ("n1: power off", 10**9, "power")
    ]
    marks.take([])
    assert not journal.works, "nothing is left to be done"


def test_what_the_journal_refused_is_tried_again_with_what_comes_later(journal, marks):
    marks.take([off(1)])
    marks.take([off(2)])
    assert len(journal.works) == 1, "one after the other"
    journal.end(JournalError("disk full"))
    marks.take([])
    journal.end()
    assert sorted(mark.t_ns for mark in journal.marks.values()) == [10**9, 2 * 10**9]
    marks.take([])
    assert not journal.works


def test_memory_is_bounded_while_the_journal_is_away(journal, marks):
    marks.take([off(second) for second in range(MOST_KEPT + 5)])
    journal.end(JournalError("disk full"))
    marks.take([off(MOST_KEPT + 9)])
    journal.end()
    assert len(journal.marks) == MOST_KEPT


def test_the_same_poll_seen_again_is_the_same_mark(journal, marks):
    for _ in range(2):
        marks.take([off(1)])
        journal.end()
    assert len(journal.marks) == 1
