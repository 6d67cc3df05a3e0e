"""What Robot Framework's suites and tests must become at a real annotator."""

import sys

import pytest

LISTENER = "energyrecorder.integrations.robot_listener.EnergyListener"
BOOT = """
*** Settings ***
Library    OperatingSystem
Suite Setup    Sleep    0.1s
*** Test Cases ***
Machine Boots
    [Tags]    net    slow
    Sleep    0.2s
Machine Stops
    Fail    it does not
Not Here
    Skip    no machine
"""
TRAFFIC = """
*** Test Cases ***
Packets Flow
    Log    fine
"""


@pytest.fixture
def suites(write):
    write("lab/boot.robot", BOOT)
    write("lab/net/traffic.robot", TRAFFIC)


def test_suites_nest_and_tests_are_steps(suites, run, runs):
    """The top suite is the run, nested suites are steps, tests lie in them, each once with its outcome."""
    command = ("--listener", f"{LISTENER}:servers=node-1,node-2", "--name", "Lab 1", "--output", "NONE")
    result = run(sys.executable, "-m", "robot", *command, "--report", "NONE", "--log", "NONE", "lab")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "4 tests, 2 passed, 1 failed, 1 skipped" in result.stdout
    assert runs.tree("Lab 1") == (
        "Lab 1",
        "failed",
        [
            (
                "Boot",
                "failed",
                [
                    ("Machine Boots", "passed", []),
                    ("Machine Stops", "failed", []),
                    ("Not Here", "passed", []),
                ],
            ),
            ("Net", "passed", [("Traffic", "passed", [("Packets Flow", "passed", [])])]),
        ],
    )
    steps = runs.by_name("Lab 1")
    assert steps["Lab 1"]["servers"] == ["node-1", "node-2"]
    assert steps["Machine Boots"]["tags"]["robot.tags"] == "net,slow"
    assert steps["Not Here"]["tags"]["robot.outcome"] == "skipped"
    assert 0.15 <= steps["Machine Boots"]["duration_s"] < 2
    assert 0.05e9 <= steps["Machine Boots"]["started_ns"] - steps["Boot"]["started_ns"] < 2e9


def test_level_suite_records_no_tests(suites, run, runs):
    """With `level=suite` suites alone are steps."""
    options = ("--output", "NONE", "--report", "NONE", "--log", "NONE", "--name", "Lab 2")
    run(sys.executable, "-m", "robot", "--listener", f"{LISTENER}:level=suite", *options, "lab")
    _, steps = runs.only("Lab 2")
    assert [step["step"] for step in steps] == ["Boot", "Net", "Traffic"]


def test_pabot_makes_one_run_of_its_workers(suites, run, runs):
    """Within `energy-step run` the workers' suites are steps of one run, each test exactly once."""
    pabot = ("pabot", "--processes", "2", "--listener", LISTENER, "--outputdir", "out", "lab")
    result = run("energy-step", "run", "--scenario", "nightly-pabot", "--", *pabot)
    assert result.returncode == 1, result.stdout + result.stderr
    top, steps = runs.only("nightly-pabot")
    assert (top["state"], top["exit_code"]) == ("failed", 1)
    names = [step["step"] for step in steps]
    assert sorted(
        name for name in names if name in {"Machine Boots", "Machine Stops", "Not Here", "Packets Flow"}
    ) == [
        "Machine Boots",
        "Machine Stops",
        "Not Here",
        "Packets Flow",
    ]
    by_id = {step["step_id"]: step for step in steps}
    boots = by_id[next(step["parent_id"] for step in steps if step["step"] == "Machine Boots")]
    assert (boots["step"], boots["state"]) == ("Boot", "failed")


def test_a_service_that_is_away_changes_nothing(suites, run, environ):
    """Robot's exit code and console output are the same as without the listener."""
    away = {**environ, "ENERGY_URL": "http://127.0.0.1:9", "ENERGY_ENV": "pod1"}
    options = ("--output", "NONE", "--report", "NONE", "--log", "NONE")
    plain = run(sys.executable, "-m", "robot", *options, "lab", environ=away)
    recorded = run(sys.executable, "-m", "robot", "--listener", LISTENER, *options, "lab", environ=away)
    assert (plain.returncode, plain.stdout) == (recorded.returncode, recorded.stdout)
