"""What every journal must do for sinks; `support.journal.OPENERS` names them."""

import pytest

from energyrecorder_annotator.journal.base import Mark, StepQuery
from energyrecorder_annotator.journal.outbox import DAY_NS, NAMES_PER_DAY, Cursor, DeadLetter, Delivered
from support.journal import put, step

HOSTILE = 'newline\n, comma="quote" \\ \x00 \u2028 🎉 </script> ' + "x" * 10_000


def test_marks_come_to_sinks_in_order_and_once(journal):
    for number in (3, 1, 2):
        mark = Mark(f"m{number}", "pod1", "note", number, "t")
        journal.submit(lambda t, mark=mark: t.add_mark(mark)).result(60)
        journal.submit(lambda t, mark=mark: t.add_mark(mark)).result(60)
    found = journal.mark_changes(0, 10)
    assert [mark.mark_id for _, mark in found] == ["m3", "m1", "m2"]
    assert [mark.mark_id for _, mark in journal.mark_changes(found[0][0], 1)] == ["m1"]
    put(journal, step("a"))
    assert journal.changes(0, 10)[0][0] > found[-1][0]
    assert journal.last_seq() == journal.changes(0, 10)[0][0]


def test_how_far_a_sink_has_got_is_kept_with_what_it_was_told(opened):
    journal = opened()
    put(journal, step("a", start_ns=1), step("b", start_ns=2), step("c", start_ns=3))
    assert journal.cursor("influxdb") is None
    first, second = journal.changes(0, 10)[:2]
    cursor = Cursor(second[0], 0)
    told = [Delivered("a", 1, HOSTILE)]
    dead = [DeadLetter("influxdb", "b", 1, 7, HOSTILE)]
    journal.submit(lambda t: t.put_delivery("influxdb", cursor, told, dead)).result(60)
    again = opened()
    assert again.cursor("influxdb") == cursor
    assert again.cursor("grafana") is None
    assert again.memos("influxdb", ["a", "b", "nobody"]) == {"a": HOSTILE}
    assert again.memos("grafana", ["a"]) == {}
    assert again.dead_letters(10) == dead
    assert again.backlog(cursor) == 1
    assert again.last_told("influxdb", second[0]) == "a", "b was never there"
    assert again.last_told("influxdb", first[0] - 1) is None
    assert again.last_told("grafana", second[0]) is None
    mended = [Delivered("b", 2, "")]
    journal.submit(lambda t: t.put_delivery("influxdb", cursor, mended, [])).result(60)
    assert again.dead_letters(10) == []
    assert again.last_told("influxdb", second[0]) == "a", "nothing is kept of b"


def test_step_names_beyond_a_days_number_have_no_series_of_their_own(journal):
    many = [step(f"s{n}", step=f"n{n}", start_ns=n + 1) for n in range(NAMES_PER_DAY + 1)]
    put(journal, *many)
    put(journal, step("next", step="n-tomorrow", start_ns=DAY_NS + 1), step("t", scenario="t", step="nX"))
    last = f"n{NAMES_PER_DAY}"
    own = [("s", "n0"), ("s", last), ("s", "n-tomorrow"), ("t", "nX"), ("t", "n0")]
    assert [journal.has_own_series("pod1", *key) for key in own] == [True, False, True, True, False]
    put(journal, step("again", step=last, start_ns=DAY_NS + 2))
    assert journal.has_own_series("pod1", "s", last)


def test_thousands_of_starts_at_one_moment_each_find_a_place_of_their_own(journal):
    series = step("x", step="x").series

    def work(transaction):
        for number in range(2000):
            start_ns = transaction.free_start_ns(series, 5)
            transaction.put_steps([step(f"x{number}", step="x", start_ns=start_ns)])
            if number == 1500:
                raise LookupError

    with pytest.raises(LookupError):
        journal.submit(work).result(60)
    assert journal.submit(lambda t: t.free_start_ns(series, 5)).result(60) == 5
    for first in range(0, 2000, 500):

        def part(transaction, first=first):
            for number in range(first, first + 500):
                start_ns = transaction.free_start_ns(series, 5)
                transaction.put_steps([step(f"x{number}", step="x", start_ns=start_ns)])

        journal.submit(part).result(60)
    starts = [one.start_ns for one, _ in journal.list_steps(StepQuery(limit=5000))]
    assert starts == list(range(2004, 4, -1))
