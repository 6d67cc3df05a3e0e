"""What a JUnit file must become, by table: pure."""

import zoneinfo
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_annotator.junit.events import Target, digest_of, junit_events
from energyrecorder_annotator.junit.parse import JUnitError, Suite, parse_junit, seconds
from energyrecorder_annotator.junit.place import ADDED_UP, FROM_JUNIT, place, read_zone
from energyrecorder_annotator.lifecycle import Start, Stop
from support.steps import MemoryView

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
STAMP = 'timestamp="2026-03-01T12:00:00.000Z"'


def placed(text, *, zone=None, ended_s=None):
    return place(parse_junit(text.encode()), zone=zone, ended_s=ended_s)


def edges(steps):
    return [(step.name, round(step.start_s - T0, 3), round(step.end_s - T0, 3)) for step in steps]


def test_cases_lie_one_after_another_and_the_rest_is_their_error():
    """10 s of suite, 7 s of cases: 3 s lie somewhere between, said in the error and by a flag."""
    suite, one, two = placed(
        f'<testsuite name="s" time="10" {STAMP}><testcase classname="a.B" name="x" time="2.5"/>'
        '<testcase name="y" time="4.5"><failure message="no"/></testcase></testsuite>'
    )
    assert edges([suite, one, two]) == [("s", 0, 10), ("a.B.x", 0, 2.5), ("y", 2.5, 7)]
    assert (suite.outcome, one.outcome, two.outcome) == ("failed", "passed", "failed")
    assert one.error_s == pytest.approx(4.0)
    assert ADDED_UP in one.flags
    assert suite.flags == (FROM_JUNIT,)
    assert suite.error_s < 0.01


def test_nested_suites_and_their_own_time_stamps_count():
    """A suite with a time stamp begins there, one without begins where the one before ended."""
    steps = placed(
        f'<testsuites name="all"><testsuite name="a" {STAMP}><testsuite name="in" time="3"/></testsuite>'
        '<testsuite name="b" timestamp="2026-03-01T13:01:00+01:00" time="5"><testcase name="t" time="1"/>'
        "</testsuite></testsuites>"
    )
    assert edges(steps) == [("all", 0, 65), ("a", 0, 3), ("in", 0, 3), ("b", 60, 65), ("t", 60, 61)]
    assert [step.path for step in steps] == [(), (0,), (0, 0), (1,), (1, 0)]


@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", 0), ("+02:00", -2), ("-0330", 3.5), ("Europe/Paris", -1), ("z", 0)]
)
def test_a_time_stamp_without_zone_needs_one(zone, hours):
    """The zone is told, never guessed."""
    text = '<testsuite name="s" timestamp="2026-03-01T12:00:00" time="1"/>'
    assert placed(text, zone=read_zone(zone))[0].start_s - T0 == hours * 3600
    with pytest.raises(JUnitError, match="has no zone; tell it by tz"):
        placed(text)


def test_summer_time_of_a_named_zone_counts():
    """Noon in Paris is 10 UTC in July."""
    text = '<testsuite name="s" timestamp="2026-07-01T12:00:00" time="1"/>'
    start = placed(text, zone=zoneinfo.ZoneInfo("Europe/Paris"))[0].start_s
    assert datetime.fromtimestamp(start, tz=UTC).hour == 10


def test_a_file_without_any_time_stamp_ends_when_it_was_written():
    """Maven Surefire writes none; the file's own time is told beside it, or the file is refused."""
    text = '<testsuite name="s" time="10"><testcase name="a" time="4"/></testsuite>'
    steps = placed(text, ended_s=T0 + 10)
    assert edges(steps) == [("s", 0, 10), ("a", 0, 4)]
    assert all(ADDED_UP in step.flags for step in steps)
    with pytest.raises(JUnitError, match="no time stamp in it; tell by ended_at"):
        placed(text)


def test_retries_are_steps_of_their_own():
    """Flaky tries come before the one that passed, re-runs after the one that failed."""
    steps = placed(
        f'<testsuite name="s" {STAMP}><testcase name="f" time="1"><flakyFailure time="2"/></testcase>'
        '<testcase name="r" time="3"><failure/><rerunFailure time="4"/></testcase>'
        '<testcase name="twice" time="1"><failure/></testcase><testcase name="twice" time="1"/></testsuite>'
    )
    told = [(step.name, step.attempt, step.outcome, step.start_s - T0) for step in steps[1:]]
    assert told == [
        ("f", 1, "failed", 0),
        ("f", 2, "passed", 2),
        ("r", 1, "failed", 3),
        ("r", 2, "failed", 6),
        ("twice", None, "failed", 10),
        ("twice", None, "passed", 11),
    ]
    assert len({step.path for step in steps}) == len(steps)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not XML: line 1: no element found"),
        (b"<testsuite", "not XML: line 1: unclosed token"),
        (b"<html/>", "no <testsuites> or <testsuite> in it"),
        (b"<testsuites/>", "no time stamp"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>', "a document type is not read"),
        (b'<?xml version="1.0" encoding="klingon"?><testsuite/>', "not XML"),
        (b"<testsuite>" * 60 + b"</testsuite>" * 60, "50 within one another"),
        (b'<testsuite timestamp="yesterday"/>', "time stamp 'yesterday' is not ISO 8601"),
    ],
)
def test_what_is_no_junit_file_is_refused_in_one_line(raw, said):
    """The message says why, with the line where there is one."""
    with pytest.raises(JUnitError) as caught:
        place(parse_junit(raw), zone=None, ended_s=None)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["Mars/Olympus", "+99:99", "", "../../etc/passwd"])
def test_an_unknown_zone_is_refused(text):
    """The message says what is allowed."""
    with pytest.raises(JUnitError, match="allowed: UTC, an offset"):
        read_zone(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("1,234.5", 1234.5), ("", None), (None, None), ("NaN", None), ("-1", None)],
)
def test_lengths_as_tools_write_them(text, value):
    """What is no length is unknown, never 0."""
    assert seconds(text) == value


def test_encodings_and_prefixes_are_read():
    """A declared encoding counts; a name-space prefix does not matter."""
    raw = '<?xml version="1.0" encoding="iso-8859-1"?><j:testsuite xmlns:j="x" name="Prüfung"/>'
    assert parse_junit(raw.encode("iso-8859-1")).name == "Prüfung"


TARGET = Target("pod1", None, None, None, digest_of(b"file"))


def test_parameters_make_no_series_and_full_names_are_titles():
    """Names are normalised as those of the pytest plugin are; a skipped case says so."""
    steps = placed(
        f'<testsuite name="s" {STAMP}><testcase name="t[1-2]" time="1"><skipped/></testcase></testsuite>'
    )
    root, case = [event for event in junit_events(steps, TARGET) if isinstance(event, Start)]
    assert (root.scenario, root.step, case.step, case.title) == ("s", None, "t", "t[1-2]")
    assert case.parent_id == root.step_id
    assert case.tags["junit.outcome"] == "skipped"


cases = st.builds(
    lambda length, bad, tries: (length, bad, tries),
    st.floats(0, 1000).map(lambda value: round(value, 3)),
    st.booleans(),
    st.lists(st.booleans(), max_size=2),
)
trees = st.recursive(
    cases.map(lambda case: ("case", *case)), lambda inner: st.lists(inner, max_size=4), max_leaves=12
)


def as_xml(tree, name="n"):
    if isinstance(tree, tuple):
        _, length, bad, tries = tree
        retries = "".join(f'<{"flaky" if before else "rerun"}Failure time="1"/>' for before in tries)
        return f'<testcase name="{name}" time="{length}">{"<failure/>" if bad else ""}{retries}</testcase>'
    inner = "".join(as_xml(part, f"{name}{number}") for number, part in enumerate(tree))
    return f'<testsuite name="{name}">{inner}</testsuite>'


@given(st.lists(trees, min_size=1, max_size=4))
def test_every_file_becomes_a_tree_of_ended_steps_and_twice_changes_nothing(parts):
    """Each step lies within its parent, is ended with its outcome, and a second import is a replay."""
    raw = f'<testsuites name="all" {STAMP}>{"".join(as_xml(part) for part in parts)}</testsuites>'.encode()
    steps = place(parse_junit(raw), zone=None, ended_s=None)
    events = junit_events(steps, TARGET)
    view = MemoryView()
    assert all(view.take(event).new for event in events)
    known = dict(view.steps)
    assert not any(view.take(event).new for event in events)
    assert view.steps == known
    assert len(known) == len(steps) == sum(isinstance(event, Stop) for event in events)
    for step in known.values():
        assert step.state in {"passed", "failed"}
        if step.parent_id is not None:
            parent = known[step.parent_id]
            # A start moves on by nanoseconds where two steps of one name would begin at once.
            assert parent.start_ns - 1000 <= step.start_ns
            assert step.end_ns <= parent.end_ns + 1000
            assert parent.state == "failed" or step.state == "passed" or "junit.attempt" in step.tags


def test_the_type_of_a_file_is_a_suite():
    """Several suites lie in one that stands for the file."""
    assert isinstance(parse_junit(b"<testsuites><testsuite/><testsuite/></testsuites>"), Suite)
