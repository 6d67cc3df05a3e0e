"""Routes and verbs that compare runs, against a real annotator that has a history of some."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from energyrecorder_annotator.auth.tokens import create_token
from support.annotator import begin, error
from support.history import lab
from support.runs import parsed, properties

MAIN = "branch:main,last=20"
BAD, GOOD = "commit:bad0bad", "commit:5a5e0f" + "0" * 34
RUN_CLI = "import sys; from energyrecorder.cli import main; sys.argv[0] = 'energy-step'; main()"


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """The annotator, a client that may do everything, and ids of some runs."""
    folder = tmp_path_factory.mktemp("lab")
    with lab(folder, token=create_token(_tokens(folder), "all", ["admin"], [])) as known:
        yield (*known, folder)


def _tokens(folder):
    (folder / "state").mkdir(mode=0o700)
    return folder / "state" / "tokens.json"


@pytest.fixture
def client(history):
    return history[1]


@pytest.fixture
def ids(history):
    return history[2]


@pytest.fixture
def energy_step(history, tmp_path):
    """Return a function that runs `energy-step` in an environment of its own."""
    annotator, folder = history[0], history[3]
    own = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "sdk"),
        "HOME": str(tmp_path),
        "ENERGY_STATE_FILE": str(tmp_path / "job.json"),
        "ENERGY_SPOOL_DIR": str(tmp_path / "spool"),
        "ENERGY_URL": f"http://127.0.0.1:{annotator.port}",
        "ENERGY_ENV": "pod1",
        "ENERGY_TOKEN": create_token(folder / "state" / "tokens.json", tmp_path.name[:40], ["read"], []),
    }

    def run(*arguments, **more):
        return subprocess.run(
            [sys.executable, "-c", RUN_CLI, *arguments],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env={**own, **more},
            cwd=tmp_path,
        )

    # A new token is known within a moment: until then the verb would be refused.
    annotator.until(lambda: run("compare", MAIN, GOOD).returncode == 0)
    return run


def gate(client, candidate, baseline=MAIN, **more):
    body = {"candidate": candidate, "baseline": baseline, **more}
    status, answer = client.post("/v1/gate", {key: value for key, value in body.items() if value is not None})
    assert status == 200, answer
    return answer


@pytest.mark.parametrize(
    ("candidate", "verdict", "told"),
    [
        (GOOD, "no-change", "less than matters"),
        (BAD, "regression", "chance alone does this in"),
        ("tag:wanted=yes", "no-change", "less than matters"),
        ("group:one", "no-change", "less than matters"),
        ("group:two", "regression", "chance alone"),
        ("group:elsewhere", "not-comparable", "other servers: n1, n2 in the baseline, n3 in the candidate"),
        (
            "group:other-side",
            "not-comparable",
            "other sensors: n1 by power_control (ac) before, n1 by power_control (dc)",
        ),
        ("group:short", "not-comparable", "no run of the candidate can be used: not resolvable"),
        ("group:nobody", "not-comparable", "the candidate has no run"),
    ],
)
def test_each_selection_of_runs_gets_its_verdict_and_the_reason(client, candidate, verdict, told):
    answer = gate(client, candidate)
    assert (answer["verdict"], told in answer["reason"]) == (verdict, True), answer["reason"]
    assert answer["failures"] == (["regression"] if verdict == "regression" else [])
    assert (answer["pending"], answer["baseline"]["selector"]) == (0, MAIN)


def test_the_answer_says_by_how_much_and_where(client):
    (scenario,) = gate(client, BAD)["scenarios"]
    whole, boot, traffic = scenario["whole"], *scenario["steps"]
    assert (whole["baseline"]["runs"], whole["candidate"]["runs"], whole["method"]) == (12, 6, "mann-whitney")
    assert whole["low"] < 1.12 < whole["high"] or whole["ratio"] == pytest.approx(1.12, abs=0.02)
    assert (boot["step"], boot["verdict"]) == (["boot"], "no-change")
    assert (traffic["step"], traffic["verdict"]) == (["traffic"], "regression")
    assert traffic["ratio"] == pytest.approx(1.15, abs=0.02)
    assert traffic["power_ratio"] == pytest.approx(1.15, abs=0.02)
    assert traffic["duration_ratio"] == pytest.approx(1.0)
    assert traffic["p"] <= traffic["p_adjusted"] < 0.05


def test_failed_runs_of_a_branch_are_not_among_its_last(client, ids):
    assert ids["failed"] not in gate(client, GOOD)["baseline"]["runs"]
    answer = gate(client, ids["failed"])
    assert (answer["verdict"], "ended as failed" in answer["reason"]) == ("not-comparable", True)


def test_a_candidate_is_never_part_of_its_own_baseline(client):
    one = gate(client, GOOD)["baseline"]["runs"][0]
    answer = gate(client, f"run:{one}")
    assert answer["candidate"]["runs"] == [one]
    assert one not in answer["baseline"]["runs"]
    assert len(answer["baseline"]["runs"]) == 11
    assert len(gate(client, f"run:{one}", "branch:main,last=5")["baseline"]["runs"]) == 5


def test_two_single_runs_differ_but_tell_nothing(client, ids):
    answer = gate(client, ids["two"], ids["one"], fail_on=["inconclusive"])
    whole = answer["scenarios"][0]["whole"]
    assert (answer["verdict"], whole["method"]) == ("inconclusive", "measurement")
    assert whole["low"] > 1.05
    assert "at least 4 runs on each side are needed" in answer["reason"]
    assert answer["failures"] == ["inconclusive"]


def test_a_run_without_a_result_yet_is_pending(client):
    step_id, _ = begin(client, "pod1", servers=["n1", "n2", "n9"], group="waiting")
    assert gate(client, "group:waiting")["reason"].endswith("still runs")
    client.post(f"/v1/steps/{step_id}/stop", {"outcome": "passed"})
    answer = gate(client, "group:waiting")
    assert (answer["pending"], answer["verdict"]) == (1, "not-comparable")
    assert answer["reason"].endswith("no result yet")


def test_a_budget_counts_the_whole_interval(client):
    answer = gate(client, BAD, None, budget_j=30_000)
    assert (answer["verdict"], answer["failures"]) == (None, ["budget"])
    (budget,) = answer["budgets"]
    assert (budget["verdict"], budget["runs"]) == ("exceeded", 6)
    assert budget["energy_j"] - budget["u95_j"] > 30_000
    assert gate(client, BAD, None, budget_j=40_000)["budgets"][0]["verdict"] == "kept"


def test_several_candidates_have_one_baseline(client, ids):
    body = client.get(f"/v1/compare?baseline={MAIN}&candidate={BAD}&candidate={ids['one']}&documents=md")
    assert [one["verdict"] for one in body["comparisons"]] == ["regression", "no-change"]
    assert body["comparisons"][0]["documents"]["md"].startswith("## Energy: ✗ more energy")
    wholes = client.get(f"/v1/compare?baseline={MAIN}&candidate={BAD}&steps=false&min_effect=0.3")
    assert (wholes["comparisons"][0]["verdict"], wholes["comparisons"][0]["scenarios"][0]["steps"]) == (
        "no-change",
        [],
    )


def test_a_plan_is_learned_from_the_last_runs(client):
    plan = client.get("/v1/plan?scenario=functest&env=pod1&last=200")
    assert plan["whole"]["runs"] >= 3
    assert 0 < plan["whole"]["cv"] < 0.03
    assert 4 <= plan["whole"]["runs_needed"] <= plan["whole"]["runs_needed_upper"]
    assert {tuple(step["step"]) for step in plan["steps"]} == {("boot",), ("traffic",)}
    nothing = client.get("/v1/plan?scenario=nobody")
    assert (nothing["whole"]["runs_needed"], nothing["servers"]) == (None, [])
    assert "0 runs do not tell" in nothing["whole"]["reason"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/compare?baseline=branch:main", 422, "invalid_request"),
        ("/v1/compare?baseline=tag:x&candidate=a", 422, "invalid_request"),
        ("/v1/compare?baseline=branch:main&candidate=run:nobody", 404, "unknown_run"),
        ("/v1/compare?baseline=branch:main&candidate=group:one&alpha=0", 422, "invalid_request"),
        ("/v1/plan", 422, "invalid_request"),
        ("/v1/plan?scenario=x&min_effect=-1", 422, "invalid_request"),
    ],
)
def test_what_makes_no_sense_is_refused(client, path, status, code):
    assert error(client.json("GET", path)) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        {"candidate": "group:one"},
        {"candidate": "", "budget_j": 1},
        {"candidate": "group:one", "budget_j": 0},
        {"candidate": "group:one", "baseline": MAIN, "fail_on": ["everything"]},
        {"candidate": "group:one", "baseline": MAIN, "min_effect": "5%"},
        {"candidate": "group:one", "baseline": MAIN, "candidates": 3},
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(client, body):
    assert error(client.post("/v1/gate", body)) == (422, "invalid_request")


def test_runs_of_other_environments_are_as_if_they_were_not_there(history, ids):
    annotator, _, _, folder = history
    client = annotator.client(create_token(folder / "state" / "tokens.json", "bound", ["read"], ["pod2"]))
    annotator.until(lambda: client.json("GET", "/v1/runs")[0] == 200)
    assert gate(client, "group:secret", None, budget_j=1e9)["candidate"]["runs"] == [ids["secret"]]
    assert gate(client, "group:one", None, budget_j=1e9)["candidate"]["runs"] == []
    assert gate(client, "group:secret", MAIN)["baseline"]["runs"] == []
    body = {"candidate": ids["one"], "budget_j": 1}
    assert error(client.post("/v1/gate", body)) == (404, "unknown_run")
    assert client.get("/v1/plan?scenario=functest")["whole"]["runs"] == 1
    # A gate changes nothing: reading is enough; a step is another matter.
    assert error(client.post("/v1/steps", {"env": "pod2", "scenario": "x"})) == (403, "forbidden")


@pytest.mark.parametrize(
    ("kind", "media_type"), [("xml", "application/xml"), ("svg", "image/svg+xml"), ("md", "text/markdown")]
)
def test_a_run_as_a_file(client, ids, kind, media_type):
    status, headers, raw = client.ask("GET", f"/v1/runs/{ids['one']}/report.{kind}")
    assert (status, headers["Content-Type"]) == (200, f"{media_type}; charset=utf-8")
    if kind == "md":
        return
    root = parsed(raw.decode())
    if kind == "xml":
        assert [case.get("name") for case in root.iter("testcase")] == ["boot", "traffic"]
        assert float(properties(root.find("testsuite"))["energy_j"]) == pytest.approx(30_000, rel=0.05)
    else:
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert {"n1", "n2"} <= {one.text for one in root.iter() if one.tag.endswith("}text")}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--candidate", BAD, "--baseline", MAIN), 4),
        (("--candidate", GOOD, "--baseline", MAIN), 0),
        (("--candidate", GOOD, "--baseline", MAIN, "--budget", "5Wh"), 4),
        (("--candidate", GOOD, "--budget", "43kJ"), 0),
        (("--candidate", "group:elsewhere", "--baseline", MAIN), 0),
        (("--candidate", "group:elsewhere", "--baseline", MAIN, "--fail-on", "regression,not-comparable"), 6),
        (("--candidate", "group:two", "--baseline", "group:one"), 0),
        (("--candidate", "group:two", "--baseline", "group:one", "--fail-on", "regression,inconclusive"), 5),
        (("--candidate", "run:nobody", "--baseline", MAIN), 3),
        (("--candidate", "tag:x", "--baseline", MAIN), 2),
    ],
)
def test_the_gate_ends_with_the_code_of_its_verdict(energy_step, arguments, code):
    done = energy_step("gate", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == (1 if code in (2, 3) else 0)


def test_the_gate_tells_a_person_and_the_job(energy_step, tmp_path):
    done = energy_step(
        "gate", "--candidate", BAD, "--baseline", MAIN, GITHUB_STEP_SUMMARY=str(tmp_path / "s")
    )
    lines = done.stdout.splitlines()
    assert lines[0] == f"{BAD} against {MAIN}: regression"
    (traffic,) = [line for line in lines if line.startswith("  traffic  ")]
    assert "Wh" in traffic
    assert " J → " in traffic
    assert (tmp_path / "s").read_text().startswith("## Energy: ✗ more energy")


def test_the_gate_writes_the_formats_of_ci(energy_step, tmp_path):
    done = energy_step("gate", "--candidate", BAD, "--baseline", MAIN, "--format", "junit", "-o", "e.xml")
    assert (done.returncode, done.stdout) == (4, "")
    assert parsed((tmp_path / "e.xml").read_text(encoding="utf-8")).find("testsuite").get("failures") == "2"
    told = json.loads(energy_step("gate", "--candidate", BAD, "--baseline", MAIN, "--format", "json").stdout)
    assert (told["verdict"], "documents" in told) == ("regression", False)
    assert (
        "| ✗ more energy |"
        in energy_step("gate", "--candidate", BAD, "--baseline", MAIN, "--format", "md").stdout
    )


def test_compare_and_plan_tell_a_person(energy_step, ids):
    done = energy_step("compare", ids["one"], ids["two"], GOOD)
    assert done.returncode == 0, done.stderr
    assert f"{ids['two']} against {ids['one']}: inconclusive" in done.stdout
    assert f"{GOOD} against {ids['one']}: no-change" in done.stdout
    done = energy_step("plan", "--scenario", "functest", "--min-effect", "2%")
    assert done.returncode == 0, done.stderr
    assert "to see 2 % more in 80 % of cases" in done.stdout
    assert "run as a whole" in done.stdout


@pytest.mark.parametrize(("kind", "begins"), [("junit", "<?xml"), ("svg", "<?xml")])
def test_a_report_as_a_file(energy_step, ids, kind, begins):
    done = energy_step("report", ids["one"], "--format", kind)
    assert (done.returncode, done.stdout[:5]) == (0, begins), done.stderr
