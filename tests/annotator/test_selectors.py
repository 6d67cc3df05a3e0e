"""Which runs a selector means."""

import pytest

from energyrecorder_annotator.selectors import BRANCH_LAST, parse_selector

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "run_id", "group", "last"),
    [
        ("run:abc", "abc", None, None),
        ("abc", "abc", None, None),
        ("legacy:pod1:17", "legacy:pod1:17", None, None),
        ("group:ci-77,last=3", None, "ci-77", 3),
        ("group:a:b,c", None, "a:b,c", None),
    ],
)
def test_a_run_or_a_group(text, run_id, group, last):
    found = parse_selector(text)
    assert (found.run_id, found.group, found.last, found.text) == (run_id, group, last, text)


def test_a_branch_is_its_last_runs_that_passed():
    found = parse_selector("branch:feature/x")
    assert found.tag.values == ("feature/x", "origin/feature/x")
    assert (found.last, found.tag.prefix) == (BRANCH_LAST, None)
    query = found.query(envs=None, scenario="s")
    assert (query.state, query.limit, query.roots, query.scenario) == ("passed", BRANCH_LAST, True, "s")
    assert parse_selector("branch:main,last=7").last == 7


def test_a_commit_may_be_shortened_as_git_does():
    assert parse_selector(f"commit:{SHA}").tag.prefix is None
    assert parse_selector("commit:0123456").tag.prefix == "0123456"
    assert parse_selector("commit:v1.2").tag.prefix is None
    assert "vcs.ref.head.revision" in parse_selector(f"commit:{SHA}").tag.keys


def test_a_tag_may_hold_anything():
    found = parse_selector("tag:kernel=6.1=rt,x")
    assert (found.tag.keys, found.tag.values) == (("kernel",), ("6.1=rt,x",))


@pytest.mark.parametrize(
    "text", ["", " ", "run:", "tag:x", "tag:=x", "branch:,last=3", "group:a,last=0", "group:a,last=201"]
)
def test_anything_else_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match="is not run:ID, group:ID, commit:SHA"):
        parse_selector(text)
