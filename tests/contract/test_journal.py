"""What every journal must do; `support.journal.OPENERS` names them."""

import threading
from dataclasses import replace

import pytest

from energyrecorder_annotator.journal.base import Mark, StepQuery, TagMatch
from energyrecorder_annotator.journal.outbox import Cursor
from support.journal import ended_step, put, step, take
from support.steps import SECOND, start

MARK = Mark(mark_id="m", env="pod1", kind="note", t_ns=SECOND, title="up")
HOSTILE = 'newline\n, comma="quote" \\ \x00 \u2028 🎉 </script> ' + "x" * 10_000


def test_every_field_of_a_step_comes_back(journal):
    full = step(
        "a",
        run_id="r",
        parent_id="r",
        step=HOSTILE,
        scenario=HOSTILE,
        env=HOSTILE,
        group=HOSTILE,
        title=HOSTILE,
        url="https://ci/1",
        tags={HOSTILE: HOSTILE},
        work=2.5,
        servers=("n1", "n[2-4]*"),
        ttl_s=120.0,
        implicit=True,
        state="failed",
        exit_code=-15,
        start_ns=2**62,
        end_ns=2**62 + 1,
        stop_ns=5,
        stop_state="failed",
        ended_by="stop",
        started=True,
        start_claim="at:boot:1:2",
        depth=3,
        clock_error_ns=17,
        time_flags=("replayed_after_reboot",),
        version=9,
    )
    put(journal, full, step("b"))
    assert journal.step("a") == (full, None)
    assert journal.step("b") == (step("b"), None)
    assert journal.step("nobody") is None


def test_a_work_sees_its_own_writes_and_those_of_works_before(journal):
    put(journal, step("r"))

    def work(transaction):
        transaction.put_steps([step("c", run_id="r", parent_id="r", step="x")])
        return (
            [child.step_id for child in transaction.children("r")],
            [run.step_id for run in transaction.open_runs("pod1")],
            transaction.free_start_ns(step("c", step="x").series, SECOND),
            transaction.free_start_ns(step("c", step="y").series, SECOND),
        )

    assert journal.submit(work).result(60) == (["c"], ["r"], SECOND + 1, SECOND)


def test_running_steps_are_counted_with_the_works_own_writes(journal):
    put(journal, step("r"), step("ended", start_ns=2, end_ns=3, state="passed"))

    def work(transaction):
        before = transaction.count_open()
        transaction.put_steps([step("c", run_id="r", parent_id="r", step="x")])
        return before, transaction.count_open()

    assert journal.submit(work).result(60) == (1, 2)


def test_the_first_free_start_of_a_series_is_found(journal):
    taken = [5, 6, 7, 9]
    put(journal, *(step(f"x{ns}", step="x", start_ns=ns) for ns in taken), step("y", step="y", start_ns=8))
    put(journal, step("unstarted", step="x", start_ns=8, started=False))
    series = step("x", step="x").series
    free = journal.submit(lambda t: [t.free_start_ns(series, ns) for ns in range(4, 12)]).result(60)
    assert free == [4, 8, 8, 8, 8, 10, 10, 11]


def test_a_work_that_fails_leaves_nothing_and_harms_no_other(journal):
    entered = threading.Event()
    go_on = threading.Event()

    def slow(transaction):
        entered.set()
        assert go_on.wait(60)
        transaction.put_steps([step("slow")])

    def bad(transaction):
        transaction.put_steps([step("bad", start_ns=5)])
        raise LookupError("mine")

    first = journal.submit(slow)
    assert entered.wait(60)
    grouped = [
        journal.submit(lambda t, n=n: t.put_steps([step(f"good{n}", start_ns=n + 10)])) for n in range(3)
    ]
    failed = journal.submit(bad)
    go_on.set()
    for future in (first, *grouped):
        future.result(60)
    with pytest.raises(LookupError, match="mine"):
        failed.result(60)
    assert journal.step("bad") is None
    assert {found[0].step_id for found in journal.list_steps(StepQuery())} == {
        "slow",
        "good0",
        "good1",
        "good2",
    }


def test_works_beside_one_that_fails_see_all_but_its_writes(journal):
    entered = threading.Event()
    go_on = threading.Event()

    def slow(_transaction):
        entered.set()
        assert go_on.wait(10)

    def bad(transaction):
        transaction.put_steps([step("bad", start_ns=5)])
        transaction.add_mark(MARK)
        raise LookupError("mine")

    def after(transaction):
        return transaction.step("before"), transaction.step("bad"), transaction.add_mark(MARK)

    journal.submit(slow)
    assert entered.wait(10)
    journal.submit(lambda t: t.put_steps([step("before", start_ns=4)]))
    failed = journal.submit(bad)
    seen = journal.submit(after)
    go_on.set()
    assert seen.result(10) == (step("before", start_ns=4), None, True)
    assert isinstance(failed.exception(10), LookupError)
    assert [step_id for _, step_id, _ in journal.changes(0, 10)] == ["before"]
    assert [mark for _, mark in journal.mark_changes(0, 10)] == [MARK]


def test_a_read_after_completion_sees_the_write(journal):
    for number in range(50):
        put(journal, step(f"s{number}", start_ns=number))
        assert journal.step(f"s{number}") is not None


def test_two_writers_of_which_the_first_commits_last_nothing_is_skipped(opened):
    """A reader that follows the sequence numbers sees each change, although it reads all the time."""
    one, two, reader = opened(), opened(), opened()
    holding = threading.Event()
    release = threading.Event()

    def first_to_begin(transaction):
        transaction.put_steps([step("first", start_ns=1)])
        holding.set()
        assert release.wait(60)

    slow = one.submit(first_to_begin)
    assert holding.wait(60)
    quick = two.submit(lambda transaction: transaction.put_steps([step("second", start_ns=2)]))
    seen, cursor = [], 0

    def follow():
        nonlocal cursor
        for seq, step_id, _ in reader.changes(cursor, 100):
            assert seq > cursor
            cursor = seq
            seen.append(step_id)

    for _ in range(20):
        follow()
    release.set()
    slow.result(60)
    follow()
    quick.result(60)
    follow()
    assert sorted(seen) == ["first", "second"]


def test_changes_come_in_order_once_with_their_last_version(journal):
    put(journal, step("a", start_ns=1), step("b", start_ns=2))
    put(journal, step("a", start_ns=1, title="new", version=2))
    assert [(step_id, version) for _, step_id, version in journal.changes(0, 10)] == [("b", 1), ("a", 2)]
    last = journal.changes(0, 10)[-1][0]
    assert journal.changes(last, 10) == []
    assert [step_id for _, step_id, _ in journal.changes(0, 1)] == ["b"]


def test_the_lists_are_paged_newest_first(journal):
    steps = [step(f"s{n}", start_ns=100 + n // 2, scenario=f"sc{n}") for n in range(10)]
    put(journal, *steps)
    pages, after = [], None
    while True:
        found = journal.list_steps(StepQuery(limit=3, after=after))
        if not found:
            break
        pages.append([one.step_id for one, _ in found])
        after = (found[-1][0].start_ns, found[-1][0].step_id)
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [step_id for page in pages for step_id in page] == [f"s{n}" for n in reversed(range(10))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (StepQuery(env="pod2"), "d"),
        (StepQuery(scenario="t"), "e"),
        (StepQuery(step="x"), "b"),
        (StepQuery(state="failed"), "c"),
        (StepQuery(group="g"), "a"),
        (StepQuery(roots=True), "edca"),
        (StepQuery(from_ns=40 * SECOND), "ea"),
        (StepQuery(to_ns=20 * SECOND), "ba"),
        (StepQuery(env="pod1' OR '1'='1"), ""),
    ],
)
def test_lists_are_filtered(journal, query, expected):
    ended = {"end_ns": 35 * SECOND, "state": "passed"}
    put(
        journal,
        step("a", start_ns=SECOND, group="g"),
        step("b", start_ns=10 * SECOND, run_id="a", parent_id="a", step="x", **ended),
        step("c", start_ns=20 * SECOND, **{**ended, "state": "failed"}),
        step("d", start_ns=30 * SECOND, env="pod2", **ended),
        step("e", start_ns=36 * SECOND, scenario="t"),
    )
    assert "".join(one.step_id for one, _ in journal.list_steps(query)) == expected


def test_a_run_has_its_steps_in_order(journal):
    take(journal, start("r", 1))
    take(journal, start("b", 3, step="second", parent="r"))
    take(journal, start("a", 2, step="first", parent="r"))
    take(journal, start("other", 2, scenario="else"))
    assert [one.step_id for one, _ in journal.run_steps("r")] == ["r", "a", "b"]


def test_overlapping_steps_are_those_of_the_same_time_and_environment(journal):
    spans = {"before": (1, 10), "touches": (5, 20), "inside": (22, 25), "after": (30, 40), "open": (29, None)}
    for step_id, (began, ended) in spans.items():
        end_ns = None if ended is None else ended * SECOND
        put(journal, step(step_id, scenario=step_id, start_ns=began * SECOND, end_ns=end_ns))
    put(journal, step("elsewhere", env="pod2", start_ns=21 * SECOND, end_ns=25 * SECOND))
    mine = step("mine", start_ns=20 * SECOND, end_ns=30 * SECOND)
    put(journal, mine)
    assert {one.step_id for one in journal.overlapping(mine)} == {"inside", "open"}


def test_marks_are_kept_once(journal):
    mark = Mark("m1", "pod1", "note", 5, HOSTILE, HOSTILE, HOSTILE, "r", "n1")
    assert journal.submit(lambda t: t.add_mark(mark)).result(60)
    assert not journal.submit(lambda t: t.add_mark(replace(mark, title="other"))).result(60)
    assert journal.marks("pod1", 0, 10) == [mark]
    assert journal.marks("pod1", 6, 10) == []
    assert journal.marks("pod2", 0, 10) == []


def test_life_signs_of_ended_runs_are_dropped(journal):
    take(journal, start("r", 1))
    signs = {"r": (5, 4), "gone": (3, 2)}
    journal.submit(lambda t: t.put_life(signs)).result(60)
    assert journal.life() == {"r": (5, 4)}
    assert [(one.step_id, one.run_id) for one in journal.open_steps()] == [("r", "r")]


def test_a_probe_writes_and_nobody_sees_it(journal):
    put(journal, step("s"))
    seen, last = journal.changes(0, 10), journal.last_seq()
    journal.submit(lambda transaction: transaction.probe()).result(60)
    assert journal.changes(0, 10) == seen
    assert journal.changes(last, 10) == []
    assert journal.backlog(Cursor(last, last)) == 0
    put(journal, step("t", start_ns=2))
    assert [step_id for _, step_id, _ in journal.changes(last, 10)] == ["t"]


def test_everything_is_there_after_opening_again(opened):
    first = opened()
    look = ended_step(first)
    second = opened()
    assert second.step("r") == first.step("r")
    assert second.looks(0, 10) == [look]


@pytest.mark.parametrize(
    ("keys", "values", "prefix", "found"),
    [
        (("branch",), ("main",), None, ["b", "a"]),
        (("branch", HOSTILE), ("main", HOSTILE), None, ["c", "b", "a"]),
        (("branch",), ("mai",), None, []),
        (("branch",), ("x",), "mai", ["b", "a"]),
        (("branch",), ("x",), "%", []),
        ((HOSTILE,), (HOSTILE,), None, ["c"]),
        (("sha",), ("main",), None, []),
    ],
)
def test_steps_are_found_by_their_tags(journal, keys, values, prefix, found):
    put(
        journal,
        step("a", start_ns=SECOND, tags={"branch": "main"}),
        step("b", start_ns=2 * SECOND, tags={"branch": "main", "sha": "1"}),
        step("c", start_ns=3 * SECOND, tags={HOSTILE: HOSTILE, "branch": "other"}),
        step("d", start_ns=4 * SECOND),
    )
    query = StepQuery(roots=True, tag=TagMatch(keys, values, prefix))
    assert [pair[0].step_id for pair in journal.list_steps(query)] == found
    assert [pair[0].step_id for pair in journal.list_steps(StepQuery(tag=query.tag, limit=1))] == found[:1]
