"""What every journal must find among any steps, by lists and by what overlaps; see `test_journal`."""

import tempfile
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder_annotator.journal.base import StepQuery
from energyrecorder_annotator.lifecycle import Step
from support.journal import OPENERS


@contextmanager
def journal_of(name, steps):
    with tempfile.TemporaryDirectory() as folder:
        journal = OPENERS[name](Path(folder) / "journal.db")
        try:
            journal.submit(lambda transaction: transaction.put_steps(steps)).result(30)
            yield journal
        finally:
            journal.close()


def step(step_id, **more):
    values = {"run_id": step_id, "parent_id": None, "env": "pod1", "scenario": step_id, "step": None}
    return Step(step_id=step_id, version=1, **{**values, **more})


@pytest.mark.parametrize("name", sorted(OPENERS))
@settings(max_examples=30, deadline=None)
@given(
    spans=st.lists(
        st.tuples(st.integers(0, 2**40), st.sampled_from([0, 1, 15, 16, 2**20, 2**39, 2**62])), max_size=8
    ),
    mine=st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
)
def test_what_overlaps_is_found_whatever_its_length(name, spans, mine):
    began_ns, ended_ns = mine[0], sum(mine)
    others = [
        step(f"{n}", start_ns=start_ns, end_ns=start_ns + length)
        for n, (start_ns, length) in enumerate(spans)
    ]
    with journal_of(name, others) as journal:
        found = {one.step_id for one in journal.overlapping(step("mine", start_ns=began_ns, end_ns=ended_ns))}
    assert found == {one.step_id for one in others if one.end_ns > began_ns and one.start_ns < ended_ns}


ENVS = ["pod1", "pod2", "site-a", "site-b"]
MOMENTS = st.integers(0, 40)


@st.composite
def journals(draw):
    """Steps of a few environments, some of them long, some running, with state and group."""
    steps = {}
    for number in range(draw(st.integers(0, 14))):
        start_ns = draw(MOMENTS)
        length = draw(st.sampled_from([None, 0, 1, 7, 300, 2**50]))
        ended = ["passed", "failed", "lost"]
        steps[f"{number:02}"] = step(
            f"{number:02}",
            env=draw(st.sampled_from(ENVS)),
            scenario=f"s{number}",
            run_id="00" if draw(st.booleans()) else f"{number:02}",
            group=draw(st.sampled_from([None, "g"])),
            start_ns=start_ns,
            end_ns=None if length is None else start_ns + length,
            state="running" if length is None else draw(st.sampled_from(ended)),
        )
    return steps


QUERIES = st.builds(
    StepQuery,
    env=st.sampled_from([None, None, *ENVS, "nobody"]),
    state=st.sampled_from([None, None, "running", "passed", "failed", "lost"]),
    group=st.sampled_from([None, None, "g"]),
    roots=st.booleans(),
    from_ns=st.one_of(st.none(), MOMENTS),
    to_ns=st.one_of(st.none(), MOMENTS),
    limit=st.integers(1, 6),
    after=st.one_of(st.none(), st.tuples(MOMENTS, st.sampled_from(["05", "10"]))),
    envs=st.sampled_from([None, None, (), ("pod*",), ("site-a", "pod?"), ("nobody",)]),
)


def wanted(one, query):
    """Tell what `StepQuery` says in other words."""
    return (
        (query.env in {None, one.env})
        and (query.state in {None, one.state})
        and (query.group in {None, one.group})
        and (not query.roots or one.run_id == one.step_id)
        and (query.from_ns is None or one.end_ns is None or one.end_ns > query.from_ns)
        and (query.to_ns is None or one.start_ns < query.to_ns)
        and (query.after is None or (one.start_ns, one.step_id) < query.after)
        and (query.envs is None or any(fnmatchcase(one.env, pattern) for pattern in query.envs))
    )


@pytest.mark.parametrize("name", sorted(OPENERS))
@settings(max_examples=100, deadline=None)
@given(steps=journals(), queries=st.lists(QUERIES, min_size=5, max_size=5))
def test_a_page_holds_the_newest_of_those_asked_for(name, steps, queries):
    with journal_of(name, list(steps.values())) as journal:
        for query in queries:
            found = [one.step_id for one, _ in journal.list_steps(query)]
            fitting = [one for one in steps.values() if wanted(one, query)]
            fitting.sort(key=lambda one: (one.start_ns, one.step_id), reverse=True)
            assert found == [one.step_id for one in fitting[: query.limit]]
