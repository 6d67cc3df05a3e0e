"""Reports show what was measured, never more, whatever the steps are called."""

import json
import math
import time
import unicodedata
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder import figures
from energyrecorder_analysis.report import words
from energyrecorder_analysis.report.html import render_html
from energyrecorder_analysis.report.markdown import render_markdown
from energyrecorder_analysis.report.model import PowerTrace, ReportMark
from energyrecorder_analysis.report.scale import power_ticks, time_ticks
from energyrecorder_analysis.report.traces import pieces, total_trace
from energyrecorder_analysis.report.wire import report_from_answers

SECOND_NS = 1_000_000_000
T0_NS = 1_772_366_400 * SECOND_NS
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "' onload='alert(1)",
    "a\nb\r\nc | d `e` **f** [g](javascript:h)",
    "\u202eevil\u0000\ud800",
    "🚀 Prüfung 試験",
    "x" * 10_000,
    "@everyone #1 & < >",
]


def answer(name, start_s, end_s, *, depth=1, quality="resolved", state="passed", **result):
    figures = {
        "energy_j": 36_000.0,
        "u95_j": 720.0,
        "avg_w": 600.0,
        "max_w": 700.0,
        "servers": 2,
        "reason": "",
    }
    return {
        "step_id": f"{name}-{start_s}",
        "run_id": "r",
        "env": "pod1",
        "scenario": name,
        "step": None if depth == 0 else name,
        "state": state,
        "depth": depth,
        "started_ns": T0_NS + start_s * SECOND_NS,
        "ended_ns": None if end_s is None else T0_NS + end_s * SECOND_NS,
        "result": None
        if quality == "pending"
        else {**figures, "quality": quality, "per_server": {"n1": figures | {"quality": quality}}, **result},
    }


def report(*steps, run="functest", marks=(), true_j=None, power=None):
    body = {"run": answer(run, 0, 100, depth=0), "steps": list(steps)}
    points = {"n1": [(T0_NS + k * SECOND_NS, 200.0 + k, 200.0 + k, 201.0 + k) for k in range(100)]}
    return report_from_answers(
        [body],
        points if power is None else power,
        title="report",
        generated_ns=T0_NS,
        marks=marks,
        true_j=true_j,
        zone=timezone(timedelta(hours=-3, minutes=-30)),
    )


class Page(HTMLParser):
    """What a browser would see: elements, attributes, text and the content of scripts."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.scripts, self.text, self._stack = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        self._stack.append(tag)

    def handle_endtag(self, tag):
        self._stack.append(None)

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script" and self._stack[-1] == "script":
            self.scripts[-1] += data
        else:
            self.text.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)


@pytest.mark.parametrize(
    ("energy_j", "u95_j", "quality", "shown"),
    [
        (36_000, 720, "resolved", "10.00 ± 0.20 Wh"),
        (44_424, 2_000, "coarse", "12.34 ± 0.56 Wh"),
        (3_600_000, 36_000, "resolved", "1.000 ± 0.010 kWh"),
        (3_599_000, 36_000, "resolved", "1,000 ± 10 Wh"),
        (36, 0.5, "resolved", "0.01000 ± 0.00014 Wh"),
        (36_000, 20_000, "unresolvable", "not resolvable (4 … 16 Wh)"),
        (3_600, 7_200, "unresolvable", "not resolvable (≤ 3.0 Wh)"),
        (0, 0, "unresolvable", "not resolvable (≤ 0.000 Wh)"),
        (None, None, "unresolvable", "not resolvable"),
        (None, None, "pending", "pending"),
    ],
)
def test_energy_in_words(energy_j, u95_j, quality, shown):
    assert words.energy(energy_j, u95_j, quality) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "\u2013"),
        (0.04, "0.0 s"),
        (12.34, "12.3 s"),
        (99.96, "1 min 40 s"),
        (125, "2 min 05 s"),
        (3725, "1 h 02 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_duration_in_words(seconds, shown):
    assert figures.duration(seconds) == shown


@pytest.mark.parametrize(
    ("watts", "shown"),
    [
        (None, figures.UNKNOWN),
        (0.0, "0.0 W"),
        (99.94, "99.9 W"),
        (99.99999999999997, "100 W"),
        (1234.5, "1,234 W"),
    ],
)
def test_a_power_has_three_digits_or_whole_watts(watts, shown):
    assert figures.power(watts) == shown


@pytest.mark.parametrize(
    ("part", "shown"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50 %"), (None, "\u2013")]
)
def test_only_what_is_complete_is_called_complete(part, shown):
    assert words.percent(part) == shown


def test_times_are_local_with_their_offset():
    zone = timezone(timedelta(hours=-3, minutes=-30))
    assert words.moment(T0_NS, zone) == "2026-03-01 08:30:00"
    assert words.offset(T0_NS, zone) == "UTC-03:30"
    assert words.offset(T0_NS, UTC) == "UTC"


@given(st.text(max_size=300), st.integers(3, 100))
def test_a_shortened_name_is_one_printable_line(name, most):
    shown = words.shorten(name, most)
    assert len(shown) <= most
    hidden = {unicodedata.category(char) for char in shown if char != "\u200d"} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    assert not hidden


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_can_become_markup(name):
    marks = [ReportMark(T0_NS + 50 * SECOND_NS, name)]
    power = {name: [(T0_NS + k * SECOND_NS, 1.0, 1.0, 1.0) for k in range(9)]}
    plain = Page(
        render_html(
            report(answer("step", 0, 50), marks=[ReportMark(marks[0].at_ns, "m")], power={"n": power[name]})
        )
    )
    html = render_html(replace(report(answer(name, 0, 50), run=name, marks=marks, power=power), title=name))
    page = Page(html)
    assert page.count("script") == plain.count("script") == 2
    assert page.count("img") == 0
    allowed = {tag for tag, _ in plain.elements} | {"text"}
    assert {tag for tag, _ in page.elements} <= allowed
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
    assert page.scripts[1] == plain.scripts[1]
    json.loads(page.scripts[0])
    html.encode("utf-8")


def test_the_whole_of_a_long_name_is_in_its_title_and_a_piece_of_it_in_sight():
    name = "long " * 2000
    page = Page(render_html(report(answer(name, 0, 50))))
    assert any(attributes.get("title") == name for _, attributes in page.elements)
    assert max(len(piece) for piece in page.text if "long" in piece) < 600


def test_the_page_loads_nothing_from_anywhere():
    html = render_html(report(answer("a", 0, 50)))
    page = Page(html)
    assert not [attributes for _, attributes in page.elements if {"src", "href"} & set(attributes)]
    assert "http://" not in html
    assert "https://" not in html
    policy = next(attributes for tag, attributes in page.elements if attributes.get("http-equiv"))["content"]
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_an_unresolvable_energy_is_never_a_bare_number(render):
    step = answer("blink", 0, 1, quality="unresolvable", energy_j=44_424.0, u95_j=20_000.0, avg_w=4321.0)
    text = render(report(step))
    assert "not resolvable" in text
    assert "12.34" not in text
    assert "44,424" not in text
    assert "4,321" not in text


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_true_energy_is_shown_only_where_known(render):
    step = answer("a", 0, 50)
    assert "True energy" not in render(report(step))
    shown = render(report(step, true_j={step["step_id"]: 36_180.0}))
    assert "True energy" in shown
    assert "10.05 Wh" in shown


def test_states_qualities_and_reasons_are_told():
    steps = [
        answer("a", 0, 10),
        answer("b", 10, 20, state="failed", quality="coarse", reason="no readings of n7"),
        answer("c", 20, 30, state="aborted"),
        answer("d", 30, 40, state="lost"),
        answer("e", 40, None, state="running", quality="pending"),
    ]
    marks = [ReportMark(T0_NS + 60 * SECOND_NS, "n1 off", "power")]
    html = render_html(report(*steps, marks=marks))
    for told in ("passed", "failed", "aborted", "lost", "running", "no readings of n7", "n1 off", "pending"):
        assert told in html
    for sign in "✓✗■?▶":
        assert sign in html
    markdown = render_markdown(report(*steps))
    assert "no readings of n7" in markdown


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_can_break_a_markdown_table(name):
    lines = render_markdown(report(answer(name, 0, 50))).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 4
    assert {line.replace("\\|", "").count("|") for line in rows} == {8}
    assert "<script" not in "\n".join(lines)
    assert "@everyone" not in "\n".join(lines)


def test_runs_far_apart_get_pictures_of_their_own():
    def body(start_s):
        return {"run": answer("functest", start_s, start_s + 100, depth=0), "steps": []}

    near = report_from_answers([body(0), body(300)], {}, title="t", generated_ns=0)
    far = report_from_answers([body(90_000), body(0)], {}, title="t", generated_ns=0)
    assert [run.whole.start_ns for run in far.runs] == [T0_NS, T0_NS + 90_000 * SECOND_NS]
    assert Page(render_html(near)).text.count("Total power") == 1
    assert Page(render_html(far)).text.count("Total power") == 2


def test_a_report_without_readings_or_runs_says_so():
    assert render_html(report(answer("a", 0, 10), power={})).count(">no readings<") == 2
    empty = report_from_answers([], {}, title="nothing", generated_ns=0)
    assert "nothing" in render_html(empty)
    assert "nothing" in render_markdown(empty)


def trace(name, seconds, watts):
    return PowerTrace(name, tuple((T0_NS + second * SECOND_NS, watts, watts, watts) for second in seconds))


def test_a_card_tells_a_mean_only_where_there_is_one():
    """And one server is not many."""
    whole = answer("a", 0, 10, depth=0, quality="unresolvable", servers=1)
    shown = render_html(report_from_answers([{"run": whole, "steps": []}], {}, title="t", generated_ns=0))
    assert "10.0 s · peak 700 W · 1 server<" in shown
    assert "mean · peak 700 W · 2 servers<" in render_html(report())


def test_a_step_shorter_than_the_spacing_of_the_readings_shows_those_that_measured_it():
    """They lie around it; a server whose reading stands alone is a dot, and no total is made up of it."""
    body = {"run": answer("functest", 94, 96, depth=0), "steps": []}
    series = {f"n{number}": trace("", range(number, 200, 10), 100.0).points for number in (0, 5)}
    shown = render_html(report_from_answers([body], series, title="t", generated_ns=0))
    assert "never known" not in shown
    assert shown.count('class="line"') == 3
    series["n7"] = trace("", [95], 100.0).points
    shown = render_html(report_from_answers([body], series, title="t", generated_ns=0))
    assert 'class="line lone"' in shown
    body = {"run": answer("functest", 100, 110, depth=0), "steps": []}
    series = {"n0": trace("", range(90, 100), 100.0).points, "n1": trace("", range(110, 120), 100.0).points}
    shown = render_html(report_from_answers([body], series, title="t", generated_ns=0))
    assert "never known of all servers at once" in shown
    assert ">no readings<" not in shown


def test_a_line_breaks_where_readings_are_missing():
    assert [len(piece) for piece in pieces(trace("a", [*range(10), *range(20, 25)], 1.0))] == [10, 5]


def test_the_total_is_unknown_where_a_server_is_missing_rather_than_too_small():
    total = total_trace([trace("a", range(100), 100.0), trace("b", [*range(40), *range(60, 100)], 50.0)])
    assert {round(point[1]) for point in total.points} == {150}
    assert not [point for point in total.points if 40 < (point[0] - T0_NS) / SECOND_NS < 59]


@given(st.floats(0, 1e6))
def test_power_axis_holds_everything_in_few_round_steps(highest):
    ticks = power_ticks(highest)
    assert ticks[0] == 0
    assert ticks[-1] >= highest * (1 - 1e-9)
    assert 2 <= len(ticks) <= 7


@given(st.integers(0, 2 * 10**18), st.integers(SECOND_NS, 10**17), st.integers(-720, 840))
def test_time_axis_has_few_round_labels_inside_its_span(from_ns, span_ns, offset_minutes):
    zone = timezone(timedelta(minutes=offset_minutes))
    ticks = time_ticks(from_ns, from_ns + span_ns, zone)
    assert len(ticks) <= 12
    assert all(from_ns <= tick_ns <= from_ns + span_ns for tick_ns, _ in ticks)


@settings(max_examples=30)
@given(
    st.text(max_size=200),
    st.sampled_from(["resolved", "coarse", "unresolvable", "pending", "new"]),
    st.text(max_size=9),
)
def test_any_name_state_and_quality_makes_a_page(name, quality, state):
    html = render_html(report(answer(name or "x", 0, 50, quality=quality, state=state)))
    assert Page(html).count("script") == 2


def test_fifty_servers_and_two_hundred_steps_are_written_within_a_second():
    power = {
        f"n{number}": [
            (T0_NS + k * SECOND_NS, 200 + 50 * math.sin(k / 9 + number), 150.0, 260.0) for k in range(600)
        ]
        for number in range(50)
    }
    body = {
        "run": answer("big", 0, 600, depth=0),
        "steps": [answer(f"s{k}", 3 * k, 3 * k + 3) for k in range(200)],
    }
    began_s = time.process_time()
    html = render_html(report_from_answers([body], power, title="big", generated_ns=0))
    took_s = time.process_time() - began_s
    print(f"report of 50 servers, 200 steps: {took_s * 1e3:.0f} ms, {len(html) / 1e6:.1f} MB")  # noqa: T201  # the figure is for whoever reads the log
    assert took_s <= 1.0
    assert len(html) < 4_000_000
