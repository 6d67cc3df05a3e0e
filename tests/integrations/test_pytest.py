"""What a session with `--energy` must bring to a real annotator, and what it must leave as it is."""

import re
import threading
from xml.etree import ElementTree as ET

import pytest

from energyrecorder.spool_line import decode
from support.fake_server import FakeServer

SUITE = """
    import time
    import pytest
    import energyrecorder as energy

    @pytest.fixture
    def machine():
        time.sleep(0.1)
        yield
        time.sleep(0.1)

    @pytest.mark.net
    def test_boot(machine):
        with energy.set_step("inner"):
            time.sleep(0.2)

    @pytest.mark.parametrize("cores", [2, 4])
    def test_cores(cores):
        assert cores == 2

    @pytest.mark.skip(reason="not here")
    def test_skipped():
        pass

    @pytest.mark.xfail
    def test_known():
        raise LookupError
"""
INI = """
    [pytest]
    markers = net: needs a network
    energy_servers = node-*
"""


def children(tree):
    return {name: state for name, state, _ in tree[2]}


def test_modules_and_tests_become_steps_with_their_outcomes(write, energy_pytest, runs):
    """Run, module, test, the SDK's own step: nested, once each, with outcomes, phases and titles."""
    write("pytest.ini", INI)
    write("test_a.py", SUITE)
    write("sub/test_b.py", "def test_b(): pass")
    result = energy_pytest("--energy", "--energy-scenario", "suite-1", "-q")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 failed, 3 passed, 1 skipped, 1 xfailed" in result.stdout
    tree = runs.tree("suite-1")
    assert tree[:2] == ("suite-1", "failed")
    assert children(tree) == {"sub/test_b.py": "passed", "test_a.py": "failed"}
    module = next(child for child in tree[2] if child[0] == "test_a.py")
    assert [(name, state) for name, state, _ in module[2]] == [
        ("test_a.py::test_boot", "passed"),
        ("test_a.py::test_cores", "passed"),
        ("test_a.py::test_cores", "failed"),
        ("test_a.py::test_skipped", "passed"),
        ("test_a.py::test_known", "passed"),
    ]
    assert module[2][0][2] == [("inner", "passed", [])]
    run, steps = runs.only("suite-1")
    assert run["servers"] == ["node-*"]
    named = {step["title"] or step["step"]: step for step in steps}
    assert {"test_a.py::test_cores[2]", "test_a.py::test_cores[4]"} <= set(named)
    boot = named["test_a.py::test_boot"]["tags"]
    assert boot["pytest.markers"] == "net"
    phases = {name: float(boot[f"pytest.{name}_s"]) for name in ("setup", "call", "teardown")}
    assert phases["setup"] >= 0.1
    assert phases["call"] >= 0.2
    assert phases["teardown"] >= 0.1
    assert named["test_a.py::test_skipped"]["tags"]["pytest.outcome"] == "skipped"
    assert named["test_a.py::test_known"]["tags"]["pytest.outcome"] == "xfailed"


def test_workers_of_xdist_share_one_run(write, energy_pytest, runs):
    """Two workers, one run: each test exactly once, below a module step of it."""
    write("test_a.py", "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_a(n): assert n != 3")
    write("test_b.py", "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_b(n): pass")
    result = energy_pytest("-n", "2", "--energy", "--energy-scenario", "xdist-1", "-q")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 failed, 7 passed" in result.stdout
    run, steps = runs.only("xdist-1")
    assert run["state"] == "failed"
    by_id = {step["step_id"]: step for step in (run, *steps)}
    tests = [step for step in steps if step["title"]]
    assert sorted(step["title"] for step in tests) == sorted(
        [f"test_a.py::test_a[{n}]" for n in range(4)] + [f"test_b.py::test_b[{n}]" for n in range(4)]
    )
    for test in tests:
        module = by_id[test["parent_id"]]
        assert test["step"].startswith(module["step"])
        assert module["parent_id"] == run["step_id"]
    assert {step["title"] for step in tests if step["state"] == "failed"} == {"test_a.py::test_a[3]"}
    assert "running" not in {step["state"] for step in steps}


@pytest.mark.parametrize(("level", "depth"), [("session", []), ("module", ["test_b.py"])])
def test_levels_say_what_becomes_a_step(write, energy_pytest, runs, level, depth):
    """With `session` the run alone is recorded, with `module` no single test."""
    write("test_b.py", "def test_b(): pass")
    energy_pytest("--energy", "--energy-level", level, "--energy-scenario", f"level-{level}", "-q")
    _, steps = runs.only(f"level-{level}")
    assert [step["step"] for step in steps] == depth


def test_a_marker_names_repeats_and_limits(write, energy_pytest, runs, tmp_path):
    """Step name, servers, calls in one bracket; the nearest marker counts; what it cannot be is told."""
    write(
        "test_a.py",
        """
        import pytest, unittest
        CALLS = []

        class TestLab:
            pytestmark = pytest.mark.energy(servers="node-1", repeat=2)

            @pytest.mark.energy(repeat=4)
            @pytest.mark.asyncio
            async def test_async(self):
                CALLS.append("async")

        class TestCase(unittest.TestCase):
            @pytest.mark.energy(repeat=2)
            def test_once(self):
                CALLS.append("once")

        @pytest.mark.energy(step="iperf", servers="node-1", repeat=3)
        def test_three(tmp_path):
            CALLS.append(tmp_path)

        @pytest.mark.energy(min_duration="300ms")
        def test_long():
            CALLS.append("long")

        @pytest.mark.energy(budget="12", repeat=0)
        def test_mistaken():
            assert CALLS.count("long") > 3 and CALLS.count("async") == 4 and CALLS.count("once") == 1
            assert len(set(CALLS)) == 4

        @pytest.mark.energy(budgt="12Wh")
        def test_mistyped():
            pass
        """,
    )
    result = energy_pytest("--energy", "--energy-scenario", "marker-1", "-q")
    assert result.returncode == 0, result.stdout
    assert "test_mistaken: marker energy: repeat is 0; allowed: a whole number from 1" in result.stdout
    assert "'budgt' is not known; allowed: step, servers, budget, repeat, min_duration" in result.stdout
    assert "test_once: marker energy: repeat and min_duration are for functions" in result.stdout
    steps = runs.by_name("marker-1")
    assert steps["iperf"]["servers"] == ["node-1"]
    assert steps["iperf"]["work"] == 3.0
    asynchronous = steps["test_a.py::TestLab::test_async"]
    assert (asynchronous["servers"], asynchronous["work"]) == (["node-1"], 4.0)
    assert steps["iperf"]["title"] == "test_a.py::test_three"
    assert 0.25 <= steps["test_a.py::test_long"]["duration_s"] < 5
    assert steps["test_a.py::test_long"]["work"] > 3


@pytest.mark.e2e
def test_the_summary_shows_energy_and_a_budget_fails_when_asked(write, energy_pytest, tmp_path):
    """Known power of 300 W: module, marker and test in Wh; the short test folded; JUnit carries joules."""
    write(
        "test_a.py",
        """
        import time, pytest

        @pytest.mark.energy(budget="0.1Wh")
        def test_long():
            time.sleep(4)

        def test_short():
            pass
        """,
    )
    arguments = ("--energy", "--energy-scenario", "sum-1", "--energy-wait", "60", "--junitxml", "out.xml")
    result = energy_pytest(*arguments, "--energy-fail-on-budget")
    assert result.returncode == 1, result.stdout
    row = re.search(r"^module +test_a.py +([\d.]+) s +([\d.]+) ± [\d.]+ Wh", result.stdout, re.MULTILINE)
    assert row, result.stdout
    assert float(row[2]) == pytest.approx(300 * float(row[1]) / 3600, rel=0.1)
    assert re.search(r"1 test too short to measure: these servers resolve from 0\.4\d* s", result.stdout)
    assert "is above the budget of 0.1 Wh" in result.stdout
    assert "2 passed, 1 error" in result.stdout
    cases = ET.parse(tmp_path / "out.xml").iter("testcase")  # noqa: S314  # our own
    values = {
        case.get("name"): {item.get("name"): item.get("value") for item in case.iter("property")}
        for case in cases
    }
    assert float(values["test_long"]["energy_j"]) == pytest.approx(1200, rel=0.2)
    assert values["test_short"]["energy_quality"] == "unresolvable"
    assert "energy_j" not in values["test_short"]
    kept = energy_pytest(*arguments)
    assert kept.returncode == 0, kept.stdout
    assert "budget exceeded: test_a.py::test_long" in kept.stdout


def test_a_service_that_is_away_changes_neither_result_nor_output(write, energy_pytest, environ, tmp_path):
    """Exit code, reports and the tests' own output are the same; the steps wait in the spool."""
    write("pytest.ini", INI)
    write("test_a.py", SUITE)
    away = {**environ, "ENERGY_URL": "http://127.0.0.1:9", "ENERGY_ENV": "pod1"}
    quiet = ("-v", "-p", "no:terminalreporter")
    plain = energy_pytest(*quiet, "--junitxml", "plain.xml", environ={**away, "ENERGY_DISABLED": "1"})
    recorded = energy_pytest(*quiet, "--energy", "--junitxml", "rec.xml", environ=away)
    assert (plain.returncode, plain.stdout) == (recorded.returncode, recorded.stdout)

    def outcomes(name):
        cases = ET.parse(tmp_path / name).iter("testcase")  # noqa: S314  # our own
        return [
            (case.get("name"), [child.tag for child in case if child.tag != "properties"]) for case in cases
        ]

    assert outcomes("plain.xml") == outcomes("rec.xml")
    files = [file.read_bytes() for file in (tmp_path / "spool").glob("*/*.jsonl")]
    spooled = [decode(line) for raw in files for line in raw.splitlines()]
    # The run, a module, five tests and the SDK's own step.
    assert len({event["step_id"] for event in spooled if event["op"] == "start"}) == 1 + 1 + 5 + 1


def test_a_service_that_hangs_is_asked_for_no_results(write, energy_pytest, environ):
    """Sending the last steps has used up what a session may wait at its end."""
    released = threading.Event()

    def hang(*_request):
        released.wait(60)
        return 500, {}, {}

    service = FakeServer(hang)
    try:
        write("test_b.py", "def test_b(): pass")
        told = {**environ, "ENERGY_URL": service.url, "ENERGY_ENV": "pod1"}
        result = energy_pytest("--energy", environ=told)
    finally:
        released.set()
        service.close()
    assert result.returncode == 0, result.stdout
    assert "no results: the annotator did not answer in time" in result.stdout
    assert {request[0] for request in service.requests} == {"POST"}


def test_without_the_option_nothing_is_loaded_or_recorded(write, energy_pytest, environ):
    """A project that merely has energyrecorder installed pays for one small module."""
    write(
        "test_a.py",
        """
        import sys

        def test_it():
            ours = [name for name in sys.modules if name.startswith("energyrecorder.")]
            assert ours == ["energyrecorder.integrations", "energyrecorder.integrations.pytest_plugin"]
        """,
    )
    result = energy_pytest("-q", environ=environ)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("variables", "note"),
    [
        ({}, "the environment is not known: set ENERGY_ENV; steps are kept"),
        ({"ENERGY_ENV": "pod1", "ENERGY_URL": "http://127.0.0.1:9"}, "annotator at http://127.0.0.1:9: "),
    ],
)
def test_what_was_told_while_tests_ran_stands_in_the_summary(write, energy_pytest, environ, variables, note):
    """Its line on stderr went into a capture; a run without an environment is not asked for."""
    write("test_b.py", "def test_b(): pass")
    shown = energy_pytest("-q", "--energy", environ={**environ, **variables}).stdout
    assert shown.count(f"note: {note}") == 1
    assert ("no results: nothing was sent" in shown) == ("ENERGY_ENV" not in variables)


def test_what_workers_of_xdist_were_told_stands_in_the_summary_once(write, energy_pytest, environ):
    """Two workers tell of the disk; they and the controller tell of the annotator."""
    write(
        "test_a.py",
        """
        import pytest
        from energyrecorder.api import notices

        @pytest.mark.parametrize("n", range(2))
        def test_a(n):
            notices.tell("disk", "the disk of the workers is full")
        """,
    )
    away = {**environ, "ENERGY_ENV": "pod1", "ENERGY_URL": "http://127.0.0.1:9"}
    lines = energy_pytest("-n", "2", "--dist", "each", "--energy", environ=away).stdout.splitlines()
    notes = [line for line in lines if line.startswith("note: ")]
    assert notes[1:] == ["note: the disk of the workers is full"], lines
    assert notes[0].startswith("note: annotator at http://127.0.0.1:9: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "energy_level=class"), "energy_level is 'class'; allowed: session, module, test"),
        (("--energy-wait", "soon"), "energy_wait is 'soon'; allowed: seconds"),
    ],
)
def test_a_mistake_in_the_settings_is_one_line(write, energy_pytest, arguments, said):
    """It names the setting and what is allowed."""
    write("test_b.py", "def test_b(): pass")
    result = energy_pytest("--energy", *arguments)
    assert result.returncode == 4
    assert said in result.stderr
    assert "Traceback" not in result.stderr
