"""Reports as JUnit and as SVG: well-formed whatever things are called, and never more than was measured."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder_analysis.report.junit import render_junit
from energyrecorder_analysis.report.model import ReportMark
from energyrecorder_analysis.report.svg import render_svg
from energyrecorder_analysis.report.wire import report_from_answers
from support.runs import SECOND, parsed, properties, run, step

SVG = "{http://www.w3.org/2000/svg}"
POWER = {f"node-{n}": [(at_s * SECOND, 200.0 + n, 199.0, 203.0) for at_s in range(60)] for n in range(8)}
HOSTILE = [
    '"><script>alert(1)</script>',
    "a\nb\x00\x1b[2J & ' ]]>",
    "\u202eevil\ud800",
    "試験 🚀",
    "x" * 5000,
    "",
]


def report(*steps, whole=None, power=None, marks=()):
    body = whole or run(1, 36_000.0, at_s=0)
    body["run"]["ended_ns"] = 60 * SECOND
    body["steps"] = [
        {**one, "started_ns": index * SECOND, "ended_ns": (index + 1) * SECOND, "depth": 1}
        for index, one in enumerate(steps)
    ]
    return report_from_answers(
        [body], POWER if power is None else power, title="t", generated_ns=0, marks=marks
    )


def a_step(name, energy_j=3600.0, **more):
    return step(f"id-{name}", energy_j, name=name, parent="run-1", **more)


def test_each_step_is_a_case_with_its_energy():
    root = parsed(render_junit(report(a_step("boot"), a_step("traffic", state="failed"))))
    (suite,) = root.findall("testsuite")
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped", "time")} == {
        "name": "functest",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
        "time": "60.000",
    }
    assert suite.get("timestamp") == "1970-01-01T00:00:00+00:00"
    assert properties(suite)["energy_j"] == "36000.0"
    boot, traffic = suite.findall("testcase")
    assert properties(boot) == {"energy_j": "3600.0", "energy_u95_j": "36.0", "energy_quality": "resolved"}
    assert (boot.get("name"), boot.get("classname"), boot.get("time")) == ("boot", "functest", "1.000")
    assert boot.find("failure") is None
    assert traffic.find("failure").get("message") == "the step ended as failed"


@pytest.mark.parametrize(
    ("state", "element", "counted"),
    [("aborted", "error", "errors"), ("lost", "error", "errors"), ("running", "skipped", "skipped")],
)
def test_how_a_step_ended_is_told_as_junit_knows_it(state, element, counted):
    suite = parsed(render_junit(report(a_step("a", state=state)))).find("testsuite")
    assert suite.find(f"testcase/{element}") is not None
    assert suite.get(counted) == "1"


def test_an_energy_that_is_not_resolvable_is_no_property():
    suite = parsed(render_junit(report(a_step("a", quality="unresolvable"), a_step("b", None)))).find(
        "testsuite"
    )
    unresolvable, pending = suite.findall("testcase")
    assert properties(unresolvable) == {"energy_quality": "unresolvable", "energy_reason": "a reason"}
    assert properties(pending) == {"energy_quality": "pending"}
    assert unresolvable.find("system-out").text.startswith("not resolvable (")


def test_the_picture_stands_alone_and_names_every_server():
    svg = render_svg(report(a_step("boot"), marks=[ReportMark(5 * SECOND, "host off", "power")]))
    root = parsed(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"Total power", "Power per server", *POWER} <= set(texts)
    assert "10.00 ± 0.10 Wh" in next(text for text in texts if text.startswith("functest · pod1"))
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in svg
    _, _, _, height = map(float, root.get("viewBox").split())
    assert all(float(one.get("y")) < height for one in root.iter(f"{SVG}text"))


def test_a_picture_without_readings_says_so():
    assert "no readings" in render_svg(report(a_step("boot"), power={}))


@pytest.mark.parametrize("render", [render_junit, render_svg])
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_step_is_called_the_file_is_well_formed(render, name):
    whole = run(1, 36_000.0, at_s=0, scenario=name or "x", env=name or "x")
    text = render(report(a_step(name or "x"), whole=whole, power={name or "x": POWER["node-1"]}))
    root = parsed(text)
    assert not [one for one in root.iter() if one.tag.endswith("script")]


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_any_text_at_all(name):
    for render in (render_junit, render_svg):
        parsed(render(report(a_step(name or "x"))))
