"""`energy-step compare`, `plan` and `gate` against a fake annotator: words, codes, trouble."""

import json
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

SIDE = {"runs": 6, "energy_j": 3600.0, "cv": 0.01, "left_out": []}
WHOLE = {
    "step": [],
    "verdict": "regression",
    "reason": "the change lies between +4 % and +6 %",
    "ratio": 1.05,
    "low": 1.04,
    "high": None,
    "duration_ratio": 1.0,
    "power_ratio": 1.05,
    "baseline": {**SIDE, "left_out": [{"run_id": "a", "reason": "ended as\nfailed"}] * 2},
    "candidate": {**SIDE, "energy_j": 3780.0},
    "per_work": False,
}
UNTOLD = {
    **WHOLE,
    "step": ["outer", "pi\x1b[2Jng"],
    "verdict": "not-comparable",
    "reason": "it did not run in the candidate",
    **dict.fromkeys(("ratio", "low", "high", "duration_ratio", "power_ratio")),
    "candidate": {"runs": 0, "energy_j": None, "cv": None, "left_out": []},
}
BUDGET = {
    "scenario": "functest",
    "verdict": "kept",
    "reason": "",
    "runs": 2,
    "energy_j": 36_000.0,
    "u95_j": 360.0,
}
GATE = {
    "verdict": "regression",
    "reason": "the change lies between +4 % and +6 %",
    "scenarios": [{"scenario": "functest", "verdict": "regression", "whole": WHOLE, "steps": [UNTOLD]}],
    "warnings": [{"code": "not-interleaved", "message": "run by turns"}],
    "failures": ["regression"],
    "baseline": {"selector": "branch:main", "runs": []},
    "candidate": {"selector": "commit:1", "runs": []},
    "pending": 0,
    "budget_j": 43_000.0,
    "budgets": [BUDGET],
    "documents": {"md": "## verdict", "junit": "<?xml?>"},
}
TARGET = {
    "step": [],
    "runs": 12,
    "energy_j": 4_000_000.0,
    "duration_s": 90.0,
    "shortest_s": 4.8,
    "cv": 0.02,
    "cv_upper": 0.05,
    "runs_needed": 6,
    "runs_needed_upper": None,
    "detectable": {"1": 0.06, "10": None},
    "reason": "",
}
UNKNOWN = {
    **TARGET,
    "step": ["boot"],
    "runs": 1,
    "cv": None,
    "runs_needed": None,
    "reason": "1 run does not tell",
}
PLAN = {
    "scenario": "functest",
    "servers": ["n1"],
    "rules": {"alpha": 0.05, "min_effect": 0.05, "power": 0.8},
    "whole": TARGET,
    "steps": [UNKNOWN],
}
SELECTED = ("--candidate", "commit:1", "--baseline", "branch:main")


@pytest.fixture
def served(annotator, monkeypatch):
    monkeypatch.setenv("ENERGY_URL", annotator.url)
    monkeypatch.setenv("ENERGY_ENV", "pod1")
    annotator.pages |= {"/v1/gate": GATE, "/v1/compare": {"comparisons": [GATE, GATE]}, "/v1/plan": PLAN}
    return annotator


def asked(served):
    return [body for method, path, body in served.requests if (method, path) == ("POST", "/v1/gate")]


def test_the_gate_asks_for_what_was_given_and_tells_the_verdict(served, energy_step):
    done = energy_step(
        "gate",
        *SELECTED,
        "--budget",
        "43 kJ",
        "--min-effect",
        "2.5%",
        "--fail-on",
        "regression, inconclusive",
    )
    assert (done.returncode, done.stderr) == (4, "")
    assert asked(served) == [
        {
            "candidate": "commit:1",
            "baseline": "branch:main",
            "budget_j": 43_000.0,
            "min_effect": 0.025,
            "alpha": 0.05,
            "fail_on": ["regression", "inconclusive"],
            "steps": True,
            "documents": [],
        }
    ]
    lines = done.stdout.splitlines()
    assert lines[:2] == ["commit:1 against branch:main: regression", "the change lies between +4 % and +6 %"]
    assert "+4 … – %" in done.stdout  # noqa: RUF001  # a dash for an end that nothing bounds
    assert "3,600 J → 3,780 J" in done.stdout
    assert "  outer / pi [2Jng: it did not run in the candidate" in lines
    assert "  left out of the baseline: 2 x ended as failed" in lines
    assert "functest: budget of 11.94 Wh kept: 10.00 ± 0.10 Wh (36,000 ± 360 J) over 2 runs" in lines
    assert "note: run by turns" in lines
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ([], 0),
        (["regression"], 4),
        (["budget"], 4),
        (["inconclusive"], 5),
        (["not-comparable"], 6),
        (["regression", "not-comparable"], 4),
    ],
)
def test_exit_code(served, energy_step, failures, code):
    served.pages["/v1/gate"] = {**GATE, "failures": failures}
    assert energy_step("gate", *SELECTED).returncode == code


@pytest.mark.parametrize(("kind", "text"), [("md", "## verdict"), ("junit", "<?xml?>")])
def test_documents_are_the_annotators_own(served, energy_step, tmp_path, kind, text):
    done = energy_step("gate", *SELECTED, "--format", kind, "-o", "out")
    assert (done.returncode, done.stdout) == (4, "")
    assert (tmp_path / "out").read_text() == f"{text}\n"
    assert asked(served)[0]["documents"] == [kind]


def test_json_is_the_answer_without_what_was_rendered(served, energy_step):
    found = json.loads(energy_step("gate", *SELECTED, "--format", "json").stdout)
    assert found == {key: value for key, value in GATE.items() if key != "documents"}


def test_the_verdict_is_added_to_the_summary_of_a_github_job(served, energy_step, tmp_path):
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    energy_step("gate", *SELECTED, "--format", "junit", env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert asked(served)[0]["documents"] == ["junit", "md"]
    assert summary.read_text() == "before\n## verdict\n\n"
    energy_step("compare", "a", "b", env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text().count("## verdict") == 3
    done = energy_step("gate", *SELECTED, env={"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "summary")})
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)


def test_results_are_waited_for_and_what_is_still_missing_is_told(served, energy_step):
    waiting = {**GATE, "pending": 2, "failures": []}
    answers = [waiting, waiting, GATE]

    class Pages(dict):
        """Has the results at the third look."""

        def get(self, path, default=None):
            return answers.pop(0) if path == "/v1/gate" else super().get(path, default)

    served.pages = Pages(served.pages)
    assert energy_step("gate", *SELECTED, "--wait", "60").returncode == 4
    assert answers == []
    answers.append(waiting)
    done = energy_step("gate", *SELECTED)
    assert (done.returncode, "no result yet of 2 runs of the candidate" in done.stderr) == (0, True)


def test_compare_names_the_first_run_as_baseline(served, energy_step):
    done = energy_step("compare", "branch:main,last=5", "a b", "commit:1", "--no-steps", "--env", "pod2")
    assert done.returncode == 0, done.stderr
    (path,) = [path for method, path, _ in served.requests if method == "GET"]
    asked_for, _, query = path.partition("?")
    assert asked_for == "/v1/compare"
    assert parse_qs(query) == {
        "baseline": ["branch:main,last=5"],
        "candidate": ["a b", "commit:1"],
        "min_effect": ["0.05"],
        "alpha": ["0.05"],
        "steps": ["false"],
        "env": ["pod2"],
    }
    assert done.stdout.count("commit:1 against branch:main: regression") == 2


def test_the_plan_is_a_table(served, energy_step):
    done = energy_step("plan", "--scenario", "functest")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("functest on n1: to see 5 % more in 80 % of cases, with 5 % false alarms")
    assert "1.111 kWh" in lines[3]
    assert "1 min 30 s" in lines[3]
    assert " 4.8 s " in lines[3]
    assert "2 to 5 %" in lines[3]
    assert "6 to > 200" in lines[3]
    assert lines[-1] == "  boot: 1 run does not tell"
    assert json.loads(energy_step("plan", "--scenario", "functest", "--format", "json").stdout) == PLAN


def test_the_plan_is_asked_for_as_given(served, energy_step):
    energy_step("plan", "--scenario", "functest", "--last", "7", "--alpha", "1%", "--no-steps")
    ((_, path, _),) = served.requests
    asked = dict(parse_qsl(urlsplit(path).query))
    assert (asked["last"], asked["alpha"], asked["steps"]) == ("7", "0.01", "false")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gate", "--candidate", "a"), "give --baseline, --budget or both"),
        (("gate", *SELECTED, "--budget", "12"), "a number with a unit: J, kJ, MJ, Wh or kWh"),
        (("gate", *SELECTED, "--min-effect", "0.05"), "is not a positive number of percent, such as 5%"),
        (("gate", *SELECTED, "--min-effect", "0%"), "is not a positive number of percent"),
        (
            ("gate", *SELECTED, "--fail-on", "all"),
            "'all' is none of regression, inconclusive, not-comparable",
        ),
        (("gate", "--baseline", "a"), "--candidate"),
        (("compare", "a"), "name at least two runs"),
        (("plan",), "--scenario"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(served, energy_step, arguments, told):
    done = energy_step(*arguments)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert served.requests == []


@pytest.mark.parametrize("verb", [("gate", *SELECTED), ("compare", "a", "b"), ("plan", "--scenario", "s")])
@pytest.mark.parametrize("trouble", ["500", "html", "cut", "401", "old", "nonsense"])
def test_trouble_is_one_line_and_3(served, energy_step, verb, trouble):
    if trouble == "old":
        served.pages = {}
    elif trouble == "nonsense":
        served.pages |= {path: {"verdict": 5} for path in ("/v1/gate", "/v1/compare", "/v1/plan")}
    else:
        served.mode = trouble
    done = energy_step(*verb)
    assert (done.returncode, done.stdout) == (3, ""), done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
