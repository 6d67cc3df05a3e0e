"""The pure parts of the plugins: names, budgets, summaries, and trees of results."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.errors import AnnotatorError
from energyrecorder.integrations.budget import EXCEEDED, KEPT, UNDECIDED, parse_energy_j, verdict
from energyrecorder.integrations.junit_properties import add_energy
from energyrecorder.integrations.pytest_results import default_wait_s
from energyrecorder.integrations.pytest_summary import summary_lines
from energyrecorder.integrations.run_results import StepResult, below, read_run
from energyrecorder.step_names import LONGEST, step_name


@pytest.mark.parametrize(
    ("full", "name", "title"),
    [
        ("tests/test_a.py::test_b", "tests/test_a.py::test_b", None),
        ("t.py::test_b[1-[x]]", "t.py::test_b", "t.py::test_b[1-[x]]"),
        ("[only]", "[only]", None),
        ("a\nb\x1b[31m", "a b [31m", "a\nb\x1b[31m"),
        ("", "unnamed", ""),
        ("Prüfung läuft", "Prüfung läuft", None),
        ("x" * 90, "…" + "x" * 79, "x" * 90),
    ],
)
def test_names_are_short_printable_and_without_parameters(full, name, title):
    assert step_name(full) == (name, title)


@given(st.text())
def test_any_text_becomes_one_fit_line(text):
    """Never empty, never long, always printable; the same name again gives the same."""
    name, title = step_name(text)
    assert 0 < len(name) <= LONGEST
    assert name.isprintable()
    assert title in (None, text)
    if "[" not in name:
        assert step_name(name) == (name, None)


@pytest.mark.parametrize(
    ("text", "energy_j"),
    [("12Wh", 43200.0), ("43 kJ", 43e3), ("0.5 kWh", 1.8e6), ("2e3 J", 2000.0), (" 1MJ ", 1e6)],
)
def test_a_budget_has_a_unit(text, energy_j):
    assert parse_energy_j(text) == energy_j


@pytest.mark.parametrize("text", ["12", "12 W", "-1Wh", "0J", "Wh", "", None, 12, "1,5Wh", "12wh"])
def test_a_budget_without_a_known_unit_is_refused(text):
    with pytest.raises(ValueError, match="a number with a unit: J, kJ, MJ, Wh or kWh"):
        parse_energy_j(text)


@pytest.mark.parametrize(
    ("energy_j", "u95_j", "quality", "said"),
    [
        (90.0, 5.0, "resolved", KEPT),
        (98.0, 5.0, "resolved", UNDECIDED),
        (103.0, 5.0, "coarse", UNDECIDED),
        (106.0, 5.0, "coarse", EXCEEDED),
        (500.0, 1.0, "unresolvable", UNDECIDED),
        (None, None, "pending", UNDECIDED),
        (500.0, None, "resolved", UNDECIDED),
    ],
)
def test_a_budget_is_exceeded_only_when_the_whole_interval_is(energy_j, u95_j, quality, said):
    assert verdict(100.0, energy_j, u95_j, quality) == said


@pytest.mark.parametrize(("session_s", "wait_s"), [(0, 0), (60, 0), (99, 0), (150, 3.0), (36000, 60)])
def test_short_sessions_wait_for_nothing(session_s, wait_s):
    assert default_wait_s(session_s) == wait_s


def result(step_id, parent=None, *, name=None, energy=None, quality="resolved", reason="", **more):
    values = {"state": "passed", "tags": {}, "duration_s": 60.0, "overlap": 0, **more}
    return StepResult(
        step_id=step_id,
        parent_id=parent,
        name=name or step_id,
        energy_j=energy,
        u95_j=None if energy is None else energy * 0.02,
        quality=quality,
        reason=reason,
        **values,
    )


def test_what_lies_below_a_step_is_found_in_any_order():
    """Children before parents, a cycle and strangers do no harm."""
    steps = [result("c", "b"), result("a"), result("b", "a"), result("x", "y"), result("y", "x"), result("z")]
    assert [step.step_id for step in below(steps, "a")] == ["c", "a", "b"]
    assert below(steps, "nobody") == []


def test_the_summary_by_module_marker_and_test():
    """Energy in Wh, short ones folded with the shortest length, others by reason, budgets."""
    short = "shorter than two periods of the readings (20 s)"
    tests = [
        result("t1", "m1", energy=36000.0, tags={"pytest.markers": "net,slow", "pytest.budget_j": "1800.0"}),
        result("t2", "m1", energy=3600.0, tags={"pytest.markers": "net", "pytest.call_s": "1"}, overlap=2),
        result("t3", "m2", quality="unresolvable", reason=short, tags={"pytest.call_s": "1"}),
        result("t4", "m2", quality="unresolvable", reason=short, tags={"pytest.call_s": "1"}),
        result("t5", "m2", quality="unresolvable", reason="node-1: no readings", tags={"pytest.call_s": "1"}),
        result("t6", "m2", quality="pending", tags={"pytest.call_s": "1"}),
    ]
    steps = [
        result("s", energy=43200.0),
        result("m1", "s", energy=39600.0),
        result("m2", "s", energy=3600.0),
        *tests,
    ]
    lines = summary_lines(steps, "run-1")
    text = "\n".join(lines)
    assert lines[0] == "session s: 12.00 ± 0.24 Wh in 1 min 00 s, resolved"
    assert [line.split()[:2] for line in lines[2:7]] == [
        ["module", "m1"],
        ["module", "m2"],
        ["marker", "net"],
        ["marker", "slow"],
        ["test", "t1"],
    ]
    assert "11.00 ± 0.22 Wh" in lines[4]
    assert "2 of 2 tests" in lines[4]
    assert "resolved, 2 beside it" in text
    assert "2 tests too short to measure: these servers resolve from 20 s" in text
    assert "1 test not measured: node-1: no readings" in text
    assert "budget exceeded: t1: energy 10.00 ± 0.20 Wh is above the budget of 0.5 Wh" in text
    assert "1 of 9 results are still pending: energy-step report run-1 --wait 120" in text


@pytest.mark.parametrize("answer", [{}, {"run": None, "steps": []}, {"run": {"step_id": "a"}, "steps": [1]}])
def test_an_answer_that_is_no_run_is_told(answer):
    with pytest.raises(AnnotatorError, match="not a run"):
        read_run(answer)


def test_properties_are_added_to_known_cases_only(tmp_path):
    """Other cases and the rest of the file stay as they are; without a match the file is not touched."""
    path = tmp_path / "out.xml"
    case = '<testcase name="{0}"><properties><property name="id" value="{0}" /></properties></testcase>'
    text = f"<testsuite>{case.format('a')}{case.format('b')}</testsuite>"
    path.write_text(text)
    assert add_energy(str(path), {"c": result("c", energy=1.0)}, key="id") == 0
    assert path.read_text() == text
    assert add_energy(str(path), {"a": result("a", energy=1234.5678)}, key="id") == 1
    written = path.read_text()
    assert '<property name="energy_j" value="1234.57" />' in written
    assert written.count("energy_quality") == 1
    short = result("b", energy=1.5, quality="unresolvable", reason="shorter than <two> periods")
    assert add_energy(str(path), {"b": short}, key="id") == 1
    assert 'name="energy_reason" value="shorter than &lt;two&gt; periods"' in path.read_text()
    assert path.read_text().count("energy_j") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["out.xml"]
