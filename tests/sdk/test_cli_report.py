"""`energy-step report` and how figures are written for people."""

import json
import time

import pytest

from energyrecorder import figures

RUN_ID = "0a1b"


def step(name, depth, quality, **result):
    return {
        "step_id": name,
        "run_id": RUN_ID,
        "env": "pod1",
        "scenario": "functest",
        "step": None if depth == 0 else name,
        "state": "passed",
        "started_ns": 1_700_000_000 * 10**9,
        "duration_s": 75.0,
        "depth": depth,
        "result": None if quality is None else {"quality": quality, "reason": None, "servers": 6, **result},
    }


ANSWER = {
    "run": step("functest", 0, "resolved", energy_j=7_200_000.0, u95_j=36_000.0, avg_w=1234.5),
    "steps": [
        step("boot", 1, "coarse", energy_j=18_000.0, u95_j=1_800.0, avg_w=240.0, reason="few samples"),
        step("pi\x1b[2Jng", 1, "unresolvable", energy_j=900.0, u95_j=3600.0, avg_w=12.0, reason="too short"),
        step("tail", 2, None),
    ],
}


@pytest.fixture
def served(annotator, monkeypatch):
    monkeypatch.setenv("ENERGY_URL", annotator.url)
    monkeypatch.setenv("ENERGY_ENV", "pod1")
    annotator.pages[f"/v1/runs/{RUN_ID}"] = ANSWER
    annotator.pages["/v1/runs"] = {"runs": [{"run_id": RUN_ID}], "next_cursor": None}
    return annotator


@pytest.mark.parametrize(
    ("energy_j", "u95_j", "text"),
    [
        (3600.0, 36.0, "1.000 ± 0.010 Wh"),
        (3600.0, 3600.0, "1.0 ± 1.0 Wh"),
        (123_456.0, 7_200.0, "34.3 ± 2.0 Wh"),
        (3_599_999.0, 360.0, "1,000.00 ± 0.10 Wh"),
        (3_600_000.0, 36_000.0, "1.000 ± 0.010 kWh"),
        (360_000.0, 180_000.0, "100 ± 50 Wh"),
        (0.0, 36.0, "0.000 ± 0.010 Wh"),
        (3600.0, 0.0, "1.000 ± 0.000 Wh"),
        (3600.0, None, "1 ± ? Wh"),
        (None, None, figures.UNKNOWN),
    ],
)
def test_energy_is_shown_with_its_interval_to_two_digits(energy_j, u95_j, text):
    assert figures.energy_wh(energy_j, u95_j) == text


@pytest.mark.parametrize(
    ("energy_j", "u95_j", "text"),
    [
        (972.0, 396.0, "not resolvable (0.16 … 0.38 Wh)"),
        (900.0, 3600.0, "not resolvable (≤ 1.2 Wh)"),
        (3_500_000.0, 1_000_000.0, "not resolvable (0.7 … 1.2 kWh)"),
        (900.0, None, "not resolvable"),
        (None, None, "not resolvable"),
    ],
)
def test_an_energy_that_is_not_resolvable_is_never_a_bare_number(energy_j, u95_j, text):
    assert figures.energy_wh(energy_j, u95_j, "unresolvable") == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7260, "2 h 01 min"),
        (None, figures.UNKNOWN),
    ],
)
def test_a_duration_is_shown_in_seconds_minutes_or_hours(duration_s, text):
    assert figures.duration(duration_s) == text


def test_time_is_local_with_its_offset_or_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    try:
        assert figures.local_time(1_700_000_000 * 10**9, utc=False) == "2023-11-14 23:13:20+01:00"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert figures.local_time(1_700_000_000 * 10**9, utc=True) == "2023-11-14 22:13:20+00:00"
    assert figures.local_time(None, utc=True) == figures.UNKNOWN


def test_the_table_shows_each_step_with_interval_and_quality(served, energy_step):
    done = energy_step("report", RUN_ID, "--utc")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"functest on pod1, run {RUN_ID}"
    assert "2.000 ± 0.010 kWh" in lines[3]
    assert "5.00 ± 0.50 Wh" in lines[4]
    assert "18,000 ± 1,800 J" in lines[4]
    assert "coarse: few samples" in lines[4]
    assert "not resolvable (≤ 1.2 Wh)" in lines[5]
    assert " ± " not in lines[5]
    assert "unresolvable: too short" in lines[5]
    assert "pending" in lines[6]
    assert lines[6].startswith("    tail")
    assert "\x1b" not in done.stdout


def test_a_table_in_another_locale_has_decimal_points(served, energy_step):
    done = energy_step("report", RUN_ID, env={"LC_ALL": "de_DE.UTF-8"})
    assert "5.00 ± 0.50 Wh" in done.stdout


def test_without_a_run_it_is_the_last_one_of_this_job_then_of_the_environment(served, energy_step):
    assert f"run {RUN_ID}" in energy_step("report").stdout
    run_id = energy_step("start", "mine", "--print-id").stdout.strip()
    energy_step("stop")
    assert f"no /v1/runs/{run_id}" in energy_step("report").stderr


@pytest.mark.parametrize("kind", ["md", "html", "json"])
def test_documents_are_the_annotators_own(served, energy_step, tmp_path, kind):
    page = {"run": 5} if kind == "json" else f"<{kind}> report ±"
    served.pages[f"/v1/runs/{RUN_ID}/report.{kind}"] = page
    done = energy_step("report", RUN_ID, "--format", kind, "-o", "out.txt")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    written = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert json.loads(written)["run"] == 5 if kind == "json" else written == f"{page}\n"


def test_the_report_is_added_to_the_summary_of_a_github_job(served, energy_step, tmp_path):
    served.pages[f"/v1/runs/{RUN_ID}/report.md"] = "| step | energy |"
    (tmp_path / "summary").write_text("before\n")
    done = energy_step("report", RUN_ID, env={"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")})
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "summary").read_text() == "before\n| step | energy |\n\n"
    done = energy_step("report", RUN_ID, env={"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "summary")})
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert done.stdout.startswith("functest on pod1")


def test_waiting_ends_when_every_step_has_a_result(served, energy_step):
    answers = [ANSWER, {**ANSWER, "steps": ANSWER["steps"][:2]}]

    class Pages(dict):
        """Has the last result at the second look."""

        def get(self, path, default=None):
            if path == f"/v1/runs/{RUN_ID}":
                return answers.pop(0)
            return super().get(path, default)

    served.pages = Pages(served.pages)
    done = energy_step("report", RUN_ID, "--wait", "30")
    assert done.returncode == 0
    assert answers == []
    assert "pending" not in done.stdout
    assert done.stderr == ""


def test_waiting_ends_when_its_time_is_up(served, energy_step):
    done = energy_step("report", RUN_ID, "--wait", "0.2")
    assert (done.returncode, "pending" in done.stdout) == (0, True)


@pytest.mark.parametrize("trouble", ["away", "unknown run", "no run", "not a run", "unwritable"])
def test_trouble_is_one_line_and_a_code(served, energy_step, trouble):
    arguments = ["report", RUN_ID]
    if trouble == "away":
        served.mode = "500"
    elif trouble == "unknown run":
        arguments = ["report", "nope"]
    elif trouble == "no run":
        served.pages["/v1/runs"] = {"runs": []}
        arguments = ["report"]
    elif trouble == "not a run":
        served.pages[f"/v1/runs/{RUN_ID}"] = {"run": 5, "steps": [7]}
    else:
        arguments += ["-o", "/proc/nowhere/x"]
    done = energy_step(*arguments)
    assert done.returncode == (2 if trouble == "unwritable" else 3)
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
