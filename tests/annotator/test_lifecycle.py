"""What becomes of steps, event by event."""

import pytest

from energyrecorder_annotator.clocks import ServerTime
from energyrecorder_annotator.lifecycle import Heartbeat, Patch, StepRefusedError, apply
from energyrecorder_annotator.lifecycle.model import END_BEFORE_START, PARENT_MISSING, START_MISSING
from support.steps import SECOND, MemoryView, set_step, start, stop


@pytest.fixture
def view():
    return MemoryView()


def times(step):
    return step.start_ns / SECOND, None if step.end_ns is None else step.end_ns / SECOND


def refused(view, event):
    with pytest.raises(StepRefusedError) as caught:
        view.take(event)
    return caught.value


def test_a_step_starts_and_stops(view):
    begun = view.take(start("r", 1))
    assert (begun.new, begun.step.state, begun.step.run_id, begun.step.depth) == (True, "running", "r", 0)
    ended = view.take(stop("r", 5, "failed", exit_code=3))
    assert ended.new
    assert (ended.step.state, ended.step.exit_code, times(ended.step)) == ("failed", 3, (1, 5))


def test_a_child_takes_run_depth_group_and_servers_from_its_parent(view):
    view.take(start("r", 1, group="build-7", servers=("n1", "n2")))
    view.take(start("c", 2, step="s1", parent="r"))
    grandchild = view.take(start("g", 3, step="s2", parent="c", servers=("n1",))).step
    assert (grandchild.run_id, grandchild.depth, grandchild.group) == ("r", 2, "build-7")
    assert view.step("c").servers == ("n1", "n2")
    assert grandchild.servers == ("n1",)


def test_the_same_start_again_changes_nothing(view):
    first = view.take(start("r", 1)).step
    again = view.take(start("r", 1))
    assert not again.new
    assert again.changed == ()
    assert view.step("r") == first


def test_a_start_without_own_time_may_be_sent_again_later(view):
    view.take(start("r", 1, claim=""))
    assert not view.take(start("r", 9, claim="")).new
    assert times(view.step("r")) == (1, None)


@pytest.mark.parametrize(
    "other",
    [
        start("c", 2, step="s1", parent="r", env="pod2"),
        start("c", 2, step="s1", parent="r", scenario="other"),
        start("c", 2, step="s2", parent="r"),
        start("c", 2, parent="r"),
        start("c", 2.001, step="s1", parent="r"),
        start("c", 2, step="s1", parent="other"),
    ],
)
def test_the_same_id_for_something_else_is_a_conflict(view, other):
    view.take(start("r", 1))
    view.take(start("c", 2, step="s1", parent="r"))
    before = dict(view.steps)
    assert refused(view, other).code == "conflict"
    assert view.steps == before


def test_starts_given_in_different_ways_are_the_same_within_their_errors(view):
    view.take(start("r", 1, claim="at:boot:1:1"))
    assert not view.take(start("r", 1.4, claim="time:1400000000")).new
    assert refused(view, start("r", 9, claim="time:9000000000")).code == "conflict"


def test_the_first_stop_wins(view):
    view.take(start("r", 1))
    view.take(stop("r", 5, "passed"))
    again = view.take(stop("r", 8, "failed"))
    assert not again.new
    assert (again.step.state, times(again.step)) == ("passed", (1, 5))


def test_a_stop_before_its_start_creates_the_step_and_the_start_fills_it(view):
    early = view.take(stop("c", 5, "failed", env="pod1", scenario="functest")).step
    assert START_MISSING in early.flags
    assert early.state == "failed"
    filled = view.take(start("c", 2, step="s1", parent="r", title="first", tags={"a": "1"}))
    assert filled.new
    assert (filled.step.state, filled.step.step, times(filled.step)) == ("failed", "s1", (2, 5))
    assert START_MISSING not in filled.step.flags
    assert view.take(start("r", 1)).new
    assert (view.step("c").run_id, view.step("c").depth) == ("r", 1)


def test_a_stop_for_a_step_nobody_knows_is_refused_without_its_place(view):
    assert refused(view, stop("c", 5)).code == "unknown_step"
    assert view.steps == {}


def test_a_child_before_its_parent_is_a_run_of_its_own_until_the_parent_comes(view):
    alone = view.take(start("c", 2, step="s1", parent="r")).step
    assert (alone.run_id, alone.depth) == ("c", 0)
    assert PARENT_MISSING in alone.flags
    view.take(start("g", 3, step="s2", parent="c"))
    view.take(start("r", 1, group="b"))
    assert [(view.step(i).run_id, view.step(i).depth, view.step(i).group) for i in "rcg"] == [
        ("r", 0, "b"),
        ("r", 1, "b"),
        ("r", 2, "b"),
    ]
    assert view.step("c").flags == ()


def test_a_step_cannot_lie_within_itself(view):
    assert refused(view, start("a", 1, parent="a")).code == "conflict"
    view.take(start("a", 1, parent="b"))
    view.take(start("b", 2, step="x", parent="c"))
    assert refused(view, start("c", 3, step="y", parent="a")).code == "conflict"


def test_an_end_before_the_start_is_kept_flagged_and_without_length(view):
    view.take(start("r", 5))
    ended = view.take(stop("r", 3)).step
    assert times(ended) == (5, 5)
    assert END_BEFORE_START in ended.flags


def test_equal_starts_of_one_series_move_by_a_nanosecond(view):
    steps = [view.take(start(f"s{i}", 1, step="x", claim="")).step for i in range(4)]
    assert [step.start_ns - SECOND for step in steps] == [0, 1, 2, 3]
    assert view.take(start("other", 1, step="y")).step.start_ns == SECOND
    assert view.take(start("scenario", 1)).step.start_ns == SECOND


def test_silence_ends_a_step_at_its_last_sign_and_a_stop_replaces_that(view):
    view.take(start("r", 1))
    lost = view.lose("r", 7).step
    assert (lost.state, times(lost)) == ("lost", (1, 7))
    assert view.lose("r", 9) is None
    stopped = view.take(stop("r", 20, "passed"))
    assert stopped.new
    assert (stopped.step.state, times(stopped.step)) == ("passed", (1, 20))


def test_a_late_renewal_brings_a_lost_step_back(view):
    view.take(start("r", 1))
    view.lose("r", 7)
    assert view.take(Heartbeat("r")).step.state == "running"
    assert view.step("r").end_ns is None


def test_a_renewal_of_a_running_step_writes_nothing(view):
    view.take(start("r", 1))
    assert view.take(Heartbeat("r")).changed == ()
    view.take(stop("r", 2))
    assert view.take(Heartbeat("r")).changed == ()
    assert refused(view, Heartbeat("nobody")).code == "unknown_step"


def test_context_is_merged(view):
    view.take(start("r", 1, tags={"a": "1", "b": "1"}, title="old"))
    step = view.take(Patch("r", tags={"b": "2"}, url="https://ci/1", work=12.0)).step
    assert (step.tags, step.title, step.url, step.work) == ({"a": "1", "b": "2"}, "old", "https://ci/1", 12.0)
    assert view.take(Patch("r", tags={"b": "2"})).changed == ()


def test_every_change_counts_one_version(view):
    assert view.take(start("r", 1)).step.version == 1
    assert view.take(start("r", 1)).step.version == 1
    assert view.take(Patch("r", title="x")).step.version == 2
    assert view.take(stop("r", 2)).step.version == 3


def test_flags_and_errors_of_both_edges_are_kept(view):
    view.take(start("r", 1))
    event = stop("r", 4)
    ended = view.take(
        type(event)(step_id="r", outcome="passed", time=ServerTime(4 * SECOND, 7, ("replayed_after_reboot",)))
    ).step
    assert ended.clock_error_ns == 7
    assert ended.flags == ("replayed_after_reboot",)


class TestImplicitSteps:
    def test_each_closes_the_one_before_and_the_run_closes_the_last(self, view):
        view.take(start("r", 1))
        for number, at_s in enumerate((2, 4, 7)):
            view.take(set_step(f"i{number}", at_s, f"step{number}"))
        view.take(stop("r", 9, "failed"))
        assert [times(view.step(f"i{n}")) for n in range(3)] == [(2, 4), (4, 7), (7, 9)]
        assert [view.step(f"i{n}").state for n in range(3)] == ["passed", "passed", "failed"]
        assert all(view.step(f"i{n}").run_id == "r" for n in range(3))

    def test_one_that_comes_late_takes_its_place(self, view):
        view.take(start("r", 1))
        view.take(set_step("b", 6, "second", run="r"))
        view.take(set_step("a", 3, "first", run="r"))
        assert [times(view.step(i)) for i in "ab"] == [(3, 6), (6, None)]

    def test_one_that_comes_after_the_end_of_its_run_still_finds_its_place(self, view):
        view.take(start("r", 1))
        view.take(stop("r", 9))
        view.take(set_step("a", 3, "first", run="r"))
        assert times(view.step("a")) == (3, 9)
        assert refused(view, set_step("z", 9.5, "too late", run="r")).code == "no_open_run"

    def test_its_own_stop_counts_when_it_is_earlier(self, view):
        view.take(start("r", 1))
        view.take(set_step("a", 2, "first"))
        view.take(set_step("b", 6, "second"))
        view.take(stop("a", 5, "failed"))
        assert (times(view.step("a")), view.step("a").state) == ((2, 5), "failed")

    def test_its_own_stop_never_reaches_into_the_next_one(self, view):
        view.take(start("r", 1))
        view.take(set_step("a", 2, "first"))
        view.take(stop("a", 8, "failed"))
        view.take(set_step("b", 6, "second"))
        assert (times(view.step("a")), view.step("a").state) == ((2, 6), "failed")

    def test_explicit_children_are_left_alone(self, view):
        view.take(start("r", 1))
        view.take(start("c", 2, step="own", parent="r"))
        view.take(set_step("a", 3, "implicit"))
        view.take(stop("r", 9))
        assert view.step("c").state == "running"
        assert view.step("a").state == "passed"

    def test_the_same_id_again_changes_nothing(self, view):
        view.take(start("r", 1))
        view.take(set_step("a", 2, "first"))
        view.take(set_step("b", 3, "second"))
        again = view.take(set_step("a", 2, "first"))
        assert not again.new
        assert times(view.step("a")) == (2, 3)
        assert refused(view, set_step("a", 2, "renamed")).code == "conflict"

    def test_without_an_open_run_it_is_refused(self, view):
        assert refused(view, set_step("a", 2, "first")).code == "no_open_run"
        view.take(start("r", 1, env="pod2"))
        assert refused(view, set_step("a", 2, "first")).code == "no_open_run"
        assert refused(view, set_step("a", 2, "first", run="r")).code == "no_open_run"

    def test_with_several_open_runs_one_must_be_named(self, view):
        view.take(start("r1", 1))
        view.take(start("r2", 2, scenario="other"))
        error = refused(view, set_step("a", 3, "first"))
        assert error.code == "several_open_runs"
        assert [run["run_id"] for run in error.details["runs"]] == ["r1", "r2"]
        assert view.take(set_step("a", 3, "first", run="r2")).step.run_id == "r2"

    def test_a_lost_run_does_not_close_what_is_replayed_into_it(self, view):
        view.take(start("r", 1))
        view.lose("r", 4)
        view.take(set_step("a", 6, "first", run="r"))
        assert view.step("a").state == "running"
        view.take(stop("r", 9))
        assert times(view.step("a")) == (6, 9)


class CountedId(str):
    """An id that counts how often it is compared."""

    __slots__ = ()
    __hash__ = str.__hash__
    compared = 0

    def __eq__(self, other):
        type(self).compared += 1
        return str(self) == other


def test_a_run_that_is_known_last_takes_its_many_steps_in_without_looking_at_each_for_each(view):
    """A spool of a hundred thousand steps whose run came apart from them must not hold up all others."""
    many = 300
    for number in range(many):
        view.take(start(f"c{number}", number + 1, step="s", parent=CountedId("r")))

    class Indexed:
        step, open_runs, free_start_ns = view.step, view.open_runs, view.free_start_ns

        def children(self, step_id):
            return list(view.steps.values()) if step_id == "r" else []

    CountedId.compared = 0
    decision = apply(stop("r", many + 1, env="pod1", scenario="functest"), Indexed())
    assert len(decision.changed) == many + 1
    assert {step.run_id for step in decision.changed} == {"r"}
    assert CountedId.compared < 20 * many
