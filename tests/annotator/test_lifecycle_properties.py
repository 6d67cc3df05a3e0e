"""Whatever the order and however often events arrive, each step is there once and ends up the same."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder_annotator.lifecycle import Patch, StepRefusedError
from support.steps import SECOND, MemoryView, set_step, start, stop


@st.composite
def stories(draw):
    """Events of a few runs with nested and implicit steps, no two edges at the same time."""
    moments = iter(draw(st.permutations(range(1, 80))))
    events = []
    explicit = []
    for number in range(draw(st.integers(1, 8))):
        parent = draw(st.sampled_from([None, *explicit])) if explicit else None
        step_id = f"s{number}"
        began, ended = sorted((next(moments), next(moments)))
        step = None if parent is None else f"name{number % 3}"
        events.append(start(step_id, began, step=step, parent=parent, group=None if parent else "g"))
        if draw(st.booleans()):
            place = {"env": "pod1", "scenario": "functest", "step": step, "parent_id": parent}
            events.append(
                stop(step_id, ended, draw(st.sampled_from(["passed", "failed", "aborted"])), **place)
            )
        explicit.append(step_id)
    return events


def final(view):
    """What must not depend on the order: everything but how often a step changed."""
    return {step_id: replace(step, version=0) for step_id, step in view.steps.items()}


def told(events):
    view = MemoryView()
    for event in events:
        view.take(event)
    return view


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_order_and_repetition_do_not_matter(data):
    events = data.draw(stories())
    expected = final(told(events))
    again = data.draw(st.lists(st.sampled_from(events), max_size=10))
    shuffled = data.draw(st.permutations([*events, *again]))
    view = told(shuffled)
    assert final(view) == expected
    assert set(view.steps) == {event.step_id for event in events}


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_implicit_steps_find_their_places_in_any_order(data):
    moments = data.draw(st.lists(st.integers(2, 60), unique=True, max_size=6))
    began, ended = start("r", 1), stop("r", 61, "failed")
    implicit = [set_step(f"i{moment}", moment, f"step{moment}", run="r") for moment in moments]
    stopped = [stop(f"i{moment}", moment + 0.5) for moment in moments if data.draw(st.booleans())]
    expected = final(told([began, *implicit, *stopped, ended]))
    after_start = data.draw(st.permutations([*implicit, ended, *implicit[:2]]))
    view = told([began, *after_start, *data.draw(st.permutations(stopped))])
    assert final(view) == expected
    spans = sorted((s.start_ns, s.end_ns) for s in view.steps.values() if s.implicit)
    for (_, end_ns), (next_start_ns, _) in pairwise(spans):
        assert end_ns <= next_start_ns


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_replay_gives_the_answer_of_the_first_time(data):
    events = data.draw(stories())
    view = told(events)
    before = dict(view.steps)
    for event in events:
        decision = view.take(event)
        assert not decision.new
        assert decision.changed == ()
    assert view.steps == before


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_starts_of_a_series_stay_apart_and_never_move(data):
    view = MemoryView()
    frozen = {}
    for number in range(data.draw(st.integers(1, 20))):
        at_s = data.draw(st.integers(1, 3))
        step_id = f"s{number}"
        frozen[step_id] = view.take(start(step_id, at_s, step="x", claim="")).step.start_ns
        if data.draw(st.booleans()):
            view.take(stop(step_id, at_s + 1))
            view.take(Patch(step_id, title="later"))
    assert len(set(frozen.values())) == len(frozen)
    assert {step_id: step.start_ns for step_id, step in view.steps.items()} == frozen


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_conflicts_and_losses_never_break_a_tree(data):
    """Any events at all: refused or taken, edges stay ordered and every run is its root's."""
    view = MemoryView()
    ids = st.sampled_from("abcde")
    moment = st.integers(1, 30)
    for _ in range(data.draw(st.integers(1, 25))):
        kind = data.draw(st.sampled_from(["start", "stop", "set", "lose"]))
        step_id, at_s = data.draw(ids), data.draw(moment)
        try:
            if kind == "start":
                parent = data.draw(st.one_of(st.none(), ids))
                view.take(start(step_id, at_s, step=data.draw(st.sampled_from([None, "x"])), parent=parent))
            elif kind == "stop":
                view.take(
                    stop(step_id, at_s, env="pod1", scenario="functest", parent_id=data.draw(st.none()))
                )
            elif kind == "set":
                view.take(set_step(step_id, at_s, "x", run=data.draw(ids)))
            else:
                view.lose(step_id, at_s)
        except StepRefusedError:
            continue
    for step in view.steps.values():
        assert step.end_ns is None or step.end_ns >= step.start_ns
        assert (step.state == "running") == (step.end_ns is None)
        parent = view.step(step.parent_id) if step.parent_id else None
        assert step.run_id == (parent.run_id if parent else step.step_id)
        assert step.depth == (parent.depth + 1 if parent else 0)
        assert step.start_ns >= SECOND
