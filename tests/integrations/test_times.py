"""Each integration's step must begin and end when the tool says so, within 50 ms, whatever clocks show."""

import sys

import pytest

WITHIN_NS = 50_000_000
HOUR_NS = 3_600 * 10**9

STAMP = """
    import time

    now_ns = time.time_ns  # a test may set another clock later

    def stamp(name):
        with open("stamps.txt", "a") as file:
            file.write(f"{name} {now_ns()}\\n")

    if __name__ == "__main__":
        import sys
        stamp(sys.argv[1])
"""
PYTHON = (sys.executable, "case.py")
SDK = {
    "case.py": """
        import energyrecorder as energy
        from stamp import stamp

        @energy.enable_recording("{run}")
        def run():
            stamp("before")
            with energy.set_step("it"):
                stamp("in")
                stamp("out")
            stamp("after")

        run()
    """
}
ANOTHER_CLOCK = """
        import time
        import stamp
        wall_ns, boot_s = time.time_ns, time.clock_gettime
"""
WRONG = {"case.py": f"{ANOTHER_CLOCK}        time.time_ns = lambda: wall_ns() - 9 * 365 * 86_400 * 10**9\n"}
STEPPED = {
    "case.py": """
        import energyrecorder as energy
        from energyrecorder import api
        from stamp import stamp
        now = api._recorder._now

        with energy.enable_recording("{run}"):
            stamp("before")
            with energy.set_step("it"):
                stamp("in")
                api._recorder._now = lambda: now()._replace(wall_ns=now().wall_ns - 3600 * 10**9)
                stamp("out")
            stamp("after")
    """
}
AWAY = """
        time.time_ns = lambda: wall_ns() - 3600 * 10**9
        time.clock_gettime = lambda clock: boot_s(clock) - 3600
        from energyrecorder import sockets
        def connect(*_address):
            raise OSError("nobody is there")
        sockets.connect = connect
"""
PYTEST = {
    "conftest.py": """
        import pytest
        from stamp import stamp

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_protocol():
            stamp("before")
            yield
            stamp("after")
    """,
    "test_it.py": """
        import pytest
        from stamp import stamp

        @pytest.fixture
        def machine():
            stamp("in")
            yield
            stamp("out")

        @pytest.mark.energy(step="it")
        def test_it(machine):
            pass
    """,
}
ROBOT = {
    "it.robot": """
        *** Settings ***
        Library    stamp.py
        Suite Setup    Stamp    before
        Suite Teardown    Stamp    after
        *** Test Cases ***
        it
            Stamp    in
            Stamp    out
    """
}
UNITTEST = {
    "test_it.py": """
        import unittest
        from energyrecorder.integrations.unittest_mixin import EnergyMixin
        from stamp import stamp

        class It(EnergyMixin, unittest.TestCase):
            case_name = "{run}"

            @classmethod
            def setUpClass(cls):
                super().setUpClass()
                stamp("before")

            @classmethod
            def tearDownClass(cls):
                stamp("after")

            def it(self):
                stamp("in")
                stamp("out")
    """
}
XTESTING = {
    "case.py": """
        from energyrecorder.compat import xtesting as energy
        from stamp import stamp

        class Case:
            case_name = "{run}"

            @energy.enable_recording
            def run(self):
                stamp("before")
                energy.Energy.set_step("it")
                stamp("in")
                stamp("out")
                energy.Energy.set_step("next")
                stamp("after")

        Case().run()
    """
}
STAMPED = "{python} stamp.py"
SHELL = {
    "case.sh": f"""
        energy-step start {{run}}
        {STAMPED} before
        energy-step step it
        {STAMPED} in
        {STAMPED} out
        energy-step step next
        {STAMPED} after
        energy-step stop
    """
}
RUN = {
    "case.sh": f"""
        {STAMPED} before
        energy-step run --scenario {{run}} --step it -- sh -c '{STAMPED} in; {STAMPED} out'
        {STAMPED} after
    """
}
ENERGY_SH = {
    "case.sh": """
        . "$({python} -m energyrecorder.integrations.shell)"
        energy-recorder-begin-session {run}
        {python} stamp.py before
        energy-recorder-set-step it
        {python} stamp.py in
        {python} stamp.py out
        energy-recorder-set-step next
        {python} stamp.py after
        energy-recorder-finish-session
    """
}
LISTENER = "energyrecorder.integrations.robot_listener.EnergyListener"
QUIET = ("--output", "NONE", "--report", "NONE", "--log", "NONE")
PLUGIN = ("-q", "-p", "no:cacheprovider", "--energy", "--energy-scenario", "{run}")
CASES = {
    "sdk": (SDK, PYTHON),
    "pytest": (PYTEST, (sys.executable, "-m", "pytest", *PLUGIN)),
    "xdist": (PYTEST, (sys.executable, "-m", "pytest", *PLUGIN, "-n", "1")),
    "robot": (ROBOT, (sys.executable, "-m", "robot", "--listener", LISTENER, "--name", "{run}", *QUIET, ".")),
    "unittest": (UNITTEST, (sys.executable, "-m", "unittest", "test_it.It.it")),
    "xtesting": (XTESTING, PYTHON),
    "shell": (SHELL, ("bash", "-e", "case.sh")),
    "run": (RUN, ("bash", "-e", "case.sh")),
    "energy.sh": (ENERGY_SH, ("bash", "-e", "case.sh")),
    "wrong clock": ({"case.py": WRONG["case.py"] + SDK["case.py"].lstrip("\n")}, PYTHON),
    "stepped clock": (STEPPED, PYTHON),
}


@pytest.fixture
def record(write, run, tmp_path):
    """Return a function that records a case under a name and returns its stamps."""

    def run_case(files, command, name):
        (tmp_path / "stamps.txt").unlink(missing_ok=True)
        write("stamp.py", STAMP)
        for path, text in files.items():
            write(path, text.replace("{run}", name).replace("{python}", sys.executable))
        result = run(*(word.replace("{run}", name) for word in command))
        assert result.returncode == 0, result.stdout + result.stderr
        lines = (tmp_path / "stamps.txt").read_text().splitlines()
        return {stamp: int(ns) for stamp, ns in map(str.split, lines)}

    return run_case


def assert_within(stamps, step, *, back_ns=0):
    """Assert that a step's edges lie between the stamps around them.

    A machine that stalls while a request is under way moves edges by no more than the step itself states.
    """
    within_ns = max(WITHIN_NS, step["clock_error_ns"])
    limits = {name: ns - back_ns for name, ns in stamps.items()}
    assert limits["before"] - within_ns <= step["started_ns"] <= limits["in"] + within_ns
    assert limits["out"] - within_ns <= step["ended_ns"] <= limits["after"] + within_ns


@pytest.fixture
def check(record, runs):
    """Return a function that fails when the step of a case lies elsewhere than its stamps."""

    def check_case(files, command, name, *, back_ns=0):
        stamps = record(files, command, name)
        (step,) = [step for step in runs.only(name)[1] if step["step"] == "it"]
        assert_within(stamps, step, back_ns=back_ns)

    return check_case


@pytest.mark.parametrize("case", CASES)
def test_a_step_begins_and_ends_when_the_tool_says_so(check, case):
    """Between the stamps before and after its first and its last line."""
    check(*CASES[case], f"times-{case.replace(' ', '-')}")


def test_what_is_sent_an_hour_later_has_the_times_at_which_it_happened(check):
    """Kept while nobody listened; both clocks of what was kept lie an hour back when it is sent."""
    files = {"case.py": ANOTHER_CLOCK + AWAY.lstrip("\n") + SDK["case.py"].lstrip("\n")}
    check(files, PYTHON, "times-later", back_ns=HOUR_NS)
