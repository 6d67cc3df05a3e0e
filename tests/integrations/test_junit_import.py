"""JUnit files of real tools, imported by `energy-step import` and over HTTP into a real annotator."""

import datetime as dt
import os
import sys

import pytest

from energyrecorder_annotator.auth.tokens import create_token
from support.annotator import running


def test_a_file_of_pytest_arrives_once_however_often_it_is_imported(write, run, energy_pytest, environ, runs):
    """Suites and cases with names, outcomes and times; the second import changes nothing."""
    write(
        "test_a.py",
        """
        import time, pytest
        def test_slow(): time.sleep(0.3)
        @pytest.mark.parametrize("n", [1, 2])
        def test_n(n): assert n == 1
        @pytest.mark.skip
        def test_not(): pass
        """,
    )
    energy_pytest("-q", "--junitxml", "out.xml", "-o", "junit_suite_name=lab", environ=environ)
    first = run("energy-step", "import", "out.xml", "--scenario", "junit-1")
    assert (first.returncode, first.stderr) == (0, "")
    assert "junit-1: 6 steps, 6 new, run " in first.stdout
    second = run("energy-step", "import", "out.xml", "--scenario", "junit-1")
    assert ", 0 new, run " in second.stdout
    run_, steps = runs.only("junit-1")
    cases = {step["title"] or step["step"]: step for step in steps}
    assert run_["state"] == "failed"
    assert cases["test_a.test_n[1]"]["state"] == "passed"
    assert cases["test_a.test_n[2]"]["state"] == "failed"
    assert cases["test_a.test_n[2]"]["step"] == "test_a.test_n"
    assert cases["test_a.test_not"]["tags"]["junit.outcome"] == "skipped"
    assert cases["test_a.test_slow"]["duration_s"] == pytest.approx(0.3, abs=0.25)
    assert "times_added_up" in cases["test_a.test_slow"]["flags"]
    written_ns = dt.datetime.now(tz=dt.UTC).timestamp() * 1e9
    assert abs(written_ns - run_["ended_ns"]) < 60e9


def test_a_file_of_robot_framework_is_read(write, run, environ, runs):
    """Robot's `--xunit` nests suites."""
    write("lab/boot.robot", "*** Test Cases ***\nBoots\n    Log    fine\nStops\n    Fail    no")
    options = ("--output", "NONE", "--report", "NONE", "--log", "NONE", "--xunit", "x.xml", "--name", "RLab")
    run(sys.executable, "-m", "robot", *options, "lab", environ=environ)
    result = run("energy-step", "import", "x.xml")
    assert result.returncode == 0, result.stderr
    tree = runs.tree("RLab")
    assert tree[1] == "failed"
    cases = [child for suite in tree[2] for child in (suite[2] or [suite])]
    assert {(name.rpartition(".")[2], state) for name, state, _ in cases} == {
        ("Boots", "passed"),
        ("Stops", "failed"),
    }


def test_the_zone_of_this_machine_counts_where_none_is_given(write, run, told, runs):
    """A time stamp without zone is local time; `--tz` says otherwise."""
    write("a.xml", '<testsuite name="tz-1" timestamp="2026-03-01T12:00:00" time="1"/>')
    local = run("energy-step", "import", "a.xml", environ={**told, "TZ": "Asia/Tokyo"})
    assert local.returncode == 0, local.stderr
    assert runs.only("tz-1")[0]["started_ns"] == 1772334000 * 10**9
    run("energy-step", "import", "a.xml", "--scenario", "tz-2", "--tz", "-05:00")
    assert runs.only("tz-2")[0]["started_ns"] == 1772384400 * 10**9


def test_without_time_stamps_the_file_ended_when_it_was_written(write, run, runs):
    """Maven Surefire's files carry lengths only."""
    path = write("s.xml", '<testsuite name="surefire-1" time="10"><testcase name="a" time="4"/></testsuite>')
    os.utime(path, (1772366400, 1772366400))
    assert run("energy-step", "import", "s.xml").returncode == 0
    top = runs.only("surefire-1")[0]
    assert (top["started_ns"], top["ended_ns"]) == (1772366390 * 10**9, 1772366400 * 10**9)


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("<html/>", (), 2, "no <testsuites> or <testsuite> in it"),
        ("<testsuite/>", ("--tz", "Mars/Olympus"), 2, "tz is 'Mars/Olympus'; allowed"),
    ],
)
def test_a_bad_file_or_zone_is_one_line(write, run, text, arguments, code, said):
    """Exit 2, no traceback."""
    write("bad.xml", text)
    result = run("energy-step", "import", "bad.xml", *arguments)
    assert (result.returncode, result.stderr.count("\n")) == (code, 1)
    assert said in result.stderr


def test_a_service_that_is_away_is_exit_3(write, run, environ):
    """A file can be imported later: nothing is spooled."""
    write("a.xml", '<testsuite name="x" timestamp="2026-03-01T12:00:00Z"/>')
    away = {**environ, "ENERGY_URL": "http://127.0.0.1:9", "ENERGY_ENV": "pod1"}
    assert run("energy-step", "import", "a.xml", environ=away).returncode == 3


def test_over_http_with_other_times_is_a_conflict(service):
    """The same file at other times contradicts what is known: 409, nothing changes."""
    client = service.client()
    raw = b'<testsuite name="http-1" timestamp="2026-03-01T12:00:00" time="1"/>'
    status, _, _ = client.ask("POST", "/v1/import/junit?env=pod1&tz=UTC", raw)
    assert status == 201
    assert client.ask("POST", "/v1/import/junit?env=pod1&tz=UTC", raw)[0] == 200
    status, _, answer = client.ask("POST", "/v1/import/junit?env=pod1&tz=%2B01:00", raw)
    assert status == 409
    assert b"imported before with other times" in answer
    status, _, answer = client.ask("POST", "/v1/import/junit?env=pod1", raw)
    assert status == 422
    assert b'"code":"invalid_junit"' in answer
    assert client.ask("POST", "/v1/import/junit", raw)[0] == 422


def _large(output_bytes):
    case = (
        '<testcase name="case-{}" time="0.1"><system-out>' + "x" * output_bytes + "</system-out></testcase>"
    )
    cases = "".join(case.format(number) for number in range(1000))
    return f'<testsuite name="large" timestamp="2026-03-01T12:00:00Z">{cases}</testsuite>'.encode()


def test_a_large_file_is_taken(service):
    """1,000 cases with 4 MB of output in one import: the output is not kept. Above 4 MiB it is refused."""
    status, body = service.client().json("POST", "/v1/import/junit?env=large", _large(4000))
    assert (status, body["new"]) == (201, 1001)
    status, body = service.client().json("POST", "/v1/import/junit?env=large", _large(5000))
    assert (status, "4194304 bytes" in body["error"]["message"]) == (413, True), body


def test_a_token_bound_to_environments_imports_into_those_alone(tmp_path):
    """403 elsewhere, and nothing of the file is taken."""
    (tmp_path / "state").mkdir(mode=0o700)
    token = create_token(tmp_path / "state" / "tokens.json", "site-a", ["read", "write"], ["a-*"])
    raw = b'<testsuite name="bound" timestamp="2026-03-01T12:00:00Z" time="1"/>'
    with running(tmp_path) as annotator:
        client = annotator.client(token)
        assert client.ask("POST", "/v1/import/junit?env=pod1", raw)[0] == 403
        assert client.ask("POST", "/v1/import/junit?env=a-1", raw)[0] == 201
        assert [run["env"] for run in client.get("/v1/runs")["runs"]] == ["a-1"]
