"""Comparisons as Markdown and JUnit: the verdict and its reason, and nothing that a name could smuggle in."""

import pytest

from energyrecorder import figures
from energyrecorder_analysis.compare.budget import judge_budget
from energyrecorder_analysis.compare.family import compare
from energyrecorder_analysis.compare.judge import Rules
from energyrecorder_analysis.compare.observe import observe
from energyrecorder_analysis.report.compare_junit import render_comparison_junit
from energyrecorder_analysis.report.compare_markdown import render_comparison_markdown
from energyrecorder_analysis.report.compared import ComparisonReport
from support.runs import parsed, properties, run

HOSTILE = ["<img src=x onerror=alert(1)>", "a|b\n`c` @all #1", "]]>\x00\x1b", "\u202e&amp;\ud800"]


def runs(count, energy_j=1000.0, *, first=0, steps=None, **more):
    """Return runs by turns with another selection."""
    return [observe(run(first + 2 * n, energy_j + n, steps, **more)) for n in range(count)]


def report(candidate, *, baseline=None, budget_j=None, fail_on=("regression",)):
    compared = None if baseline is None else compare(baseline, candidate, Rules())
    budgets = [] if budget_j is None else judge_budget(candidate, budget_j)
    return ComparisonReport("branch:main", "commit:<b>", compared, budgets, budget_j, Rules(), fail_on)


def cases(found):
    (suite,) = parsed(render_comparison_junit(found)).findall("testsuite")
    return suite, {case.get("name"): case for case in suite.findall("testcase")}


STEPS = {"boot": 400.0, "traffic": 600.0}
APART = [*runs(1, 930.0, first=1), *runs(1, 1080.0, first=3)]


def test_markdown_says_the_verdict_first_and_why():
    text = render_comparison_markdown(
        report(runs(6, 1300.0, first=1, steps=STEPS), baseline=runs(6, steps=STEPS), budget_j=1000.0)
    )
    assert text.startswith("## Energy: ✗ more energy\n\ncommit:&lt;b&gt; against branch:main\n")
    (whole,) = [line for line in text.splitlines() if "**run as a whole**" in line]
    assert "| +29.9 % |" in whole
    assert "| 6 / 6 |" in whole
    assert "**Budget** of 0.2778 Wh, functest: ✗ above: 0.3" in text
    assert "A change matters from 5 % on" in text


def test_markdown_says_what_was_left_out():
    candidate = [*runs(4, first=1), *runs(2, first=101, state="failed"), *runs(1, first=201, overlap=1)]
    text = render_comparison_markdown(report(candidate, baseline=runs(4)))
    assert "Left out of the candidate: ended as failed (2); shared its servers with other runs (1)." in text


def test_a_regression_is_a_failure_and_what_cannot_be_told_is_skipped():
    baseline = runs(6, steps=STEPS)
    suite, found = cases(
        report(runs(6, 1200.0, first=1, steps={"boot": 400.0, "new": 1.0}), baseline=baseline)
    )
    assert {
        name: [one.tag for one in case if one.tag in ("failure", "skipped")] for name, case in found.items()
    } == {
        "run as a whole": ["failure"],
        "boot": [],
        "traffic": ["skipped"],
        "new": ["skipped"],
    }
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "2")
    assert properties(found["run as a whole"])["energy_verdict"] == "regression"
    assert properties(suite)["energy_baseline"] == "branch:main"


@pytest.mark.parametrize(
    ("candidate", "budget_j", "fail_on", "failures"),
    [
        (runs(6, 1200.0, first=1), None, ("regression",), ("regression",)),
        (runs(6, first=1), None, ("regression", "inconclusive", "not-comparable"), ()),
        (runs(1, first=1, servers=("n9",)), None, ("regression",), ()),
        (runs(1, first=1, servers=("n9",)), None, ("regression", "not-comparable"), ("not-comparable",)),
        (APART, None, ("regression",), ()),
        (APART, None, ("inconclusive",), ("inconclusive",)),
        (runs(6, first=1), 900.0, (), ("budget",)),
        (runs(6, first=1), 1005.0, (), ()),
        (runs(6, first=1), 1005.0, ("inconclusive",), ("inconclusive",)),
        (runs(6, 1200.0, first=1), 900.0, (), ("regression", "budget")),
    ],
)
def test_what_fails(candidate, budget_j, fail_on, failures):
    found = report(candidate, baseline=runs(6), budget_j=budget_j, fail_on=fail_on)
    assert found.failures == failures
    suite, _ = cases(found)
    assert int(suite.get("failures")) == len(failures)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.0, "+0 %"),
        (0.9999999, "+0 %"),
        (1.0479, "+4.79 %"),
        (0.5, "-50 %"),
        (21.0, "+2,000 %"),
        (None, figures.UNKNOWN),
    ],
)
def test_a_change_is_three_digits_without_exponent(ratio, text):
    assert figures.change(ratio) == text


def test_a_budget_alone_is_enough():
    found = report(runs(1), budget_j=2000.0)
    _, shown = cases(found)
    assert (list(shown), found.failures) == (["budget"], ())
    assert render_comparison_markdown(found).startswith("## Energy of commit:&lt;b&gt;")
    nothing = report([], budget_j=2000.0, fail_on=("inconclusive",))
    assert nothing.failures == ("inconclusive",)
    assert "the candidate has no run" in render_comparison_markdown(nothing)


def test_a_candidate_without_runs_is_no_empty_file():
    for fail_on, ended in (("regression", "skipped"), ("not-comparable", "failure")):
        _, shown = cases(report([], baseline=runs(6), fail_on=(fail_on,)))
        assert "the candidate has no run" in shown["candidate"].find(ended).get("message")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name):
    steps = {name: 100.0}
    found = report(
        runs(5, first=1, scenario=name, steps=steps, servers=(name,)),
        baseline=runs(5, scenario=name, steps=steps, servers=(name, "n1")),
        budget_j=10.0,
    )
    _, shown = cases(found)
    assert len(shown) == 3
    text = render_comparison_markdown(found)
    assert "<img" not in text
    assert "@all" not in text
    assert sum(line.startswith(("| \u2013 not", "| ✓")) for line in text.splitlines()) == 2
    assert text.isprintable() or {char for char in text if not char.isprintable()} == {"\n"}
