"""The small parts of sinks: pauses between tries, words that are safe in a browser, curves of runs."""

import pytest

from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.sinks.backoff import FIRST_S, pause_s
from energyrecorder_annotator.sinks.points import step_points
from energyrecorder_annotator.sinks.profile import total_power
from energyrecorder_annotator.sinks.wording import MOST_NAME, html_text, safe_link, tag_name
from support.steps import SECOND


@pytest.mark.parametrize(("failures", "longest_s"), [(1, FIRST_S), (4, 8.0), (7, 60.0), (10**6, 60.0)])
def test_pauses_double_up_to_a_bound_and_are_spread(failures, longest_s):
    pauses = [pause_s(failures, most_s=60.0) for _ in range(200)]
    assert longest_s / 2 <= min(pauses) < max(pauses) <= longest_s
    assert len(set(pauses)) > 100


def test_a_pause_that_was_asked_for_is_kept_to():
    assert pause_s(1, most_s=60.0, retry_after_s=300.0) == 300.0
    assert pause_s(30, most_s=60.0, retry_after_s=1.0) >= 30.0


@pytest.mark.parametrize("url", ["https://ci/1?a=b&c=d", "HTTP://ci/"])
def test_links_that_a_browser_may_follow(url):
    assert safe_link(url) == url


@pytest.mark.parametrize(
    "url",
    [None, "", "javascript:alert(1)", " https://x", "https://x y", "https://x\n", "data:text/html,x", "//x"],
)
def test_links_that_it_may_not(url):
    assert safe_link(url) is None


def test_nothing_foreign_becomes_html():
    step = Step("r", "r", None, "pod1", "<i>sc", "<b>step", url='https://x/"><script>')
    text = html_text(step, None)
    assert "<script>" not in text
    assert "<i>" not in text
    assert text.endswith('<a href="https://x/&quot;&gt;&lt;script&gt;" target="_blank">open</a>')
    assert "<a" not in html_text(Step("r", "r", None, "pod1", "sc", None, url="javascript:alert(1)"), None)


def test_long_names_stay_apart_in_a_bounded_tag():
    one, other = "x" * 10_000 + "1", "x" * 10_000 + "2"
    assert len(tag_name(one)) == MOST_NAME
    assert tag_name(one) != tag_name(other)
    assert tag_name("short") == "short"


@pytest.mark.parametrize(
    ("tags", "commit"),
    [
        ({"vcs.ref.head.revision": "4f1c0de"}, "4f1c0de"),
        ({"commit": "said", "vcs.ref.head.revision": "built"}, "said"),
        ({}, None),
    ],
)
def test_the_commit_is_what_somebody_says_or_else_what_ci_built(tags, commit):
    [point] = step_points(Step("r", "r", None, "pod1", "sc", None, tags=tags), None, name=None, now_ns=0)
    assert point.fields["commit"] == commit


def test_the_power_of_a_run_is_the_sum_of_its_servers_with_its_range():
    """Means between readings, least and greatest of those around a moment; where none is, the mean."""
    dense = [(second * SECOND, 100.0 + second, 90.0, 120.0 + second) for second in range(10)]
    sparse = [(0, 50.0, 40.0, 60.0), (8 * SECOND, 58.0, 57.0, 59.0)]
    moments = total_power([dense, sparse], 0, 10 * SECOND)
    assert [one.t_ns for one in moments] == [second * SECOND + SECOND // 2 for second in range(10)]
    assert moments[0] == (SECOND // 2, 100.5 + 50.5, 90.0 + 40.0, 120.0 + 60.0)
    assert moments[3] == (3 * SECOND + SECOND // 2, 103.5 + 53.5, 90.0 + 53.5, 123.0 + 53.5)
    assert moments[8] == (8 * SECOND + SECOND // 2, 108.5 + 58.0, 90.0 + 57.0, 128.0 + 59.0)
    assert total_power([], 0, SECOND) == []
