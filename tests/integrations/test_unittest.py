"""What classes of unittest must become at a real annotator."""

import sys

import pytest

SUITE = """
    import time
    import unittest
    from energyrecorder.integrations.unittest_mixin import EnergyMixin

    class TestLab(EnergyMixin, unittest.TestCase):
        case_name = "{scenario}"
        energy_servers = ("node-1",)

        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            time.sleep(0.1)

        def test_boot(self):
            time.sleep(0.2)

        def test_broken(self):
            self.fail("broken")

        def test_parts(self):
            for part in range(3):
                with self.subTest(part=part):
                    self.assertNotEqual(part, 1)

        @unittest.skip("not here")
        def test_skipped(self):
            pass

    class TestForgetful(EnergyMixin, unittest.TestCase):
        case_name = "{scenario}-forgetful"

        @classmethod
        def setUpClass(cls):
            pass

        def test_one(self):
            pass

    class TestUnready(EnergyMixin, unittest.TestCase):
        case_name = "{scenario}-unready"

        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            raise LookupError("no lab")

        def test_never(self):
            pass
"""


@pytest.mark.parametrize("runner", ["unittest", "pytest"])
def test_a_class_is_a_run_and_its_tests_are_steps(write, run, runs, runner):
    """Under unittest's own runner and under pytest: nesting, outcomes, servers, each once."""
    scenario = f"class-{runner}"
    write("test_lab.py", SUITE.format(scenario=scenario))
    more = ("-v",) if runner == "unittest" else ("-q", "-p", "no:cacheprovider")
    result = run(sys.executable, "-m", runner, *more, "test_lab.py")
    assert result.returncode == 1, result.stdout + result.stderr
    expected = [("test_boot", "passed", []), ("test_broken", "failed", []), ("test_parts", "failed", [])]
    name, state, children = runs.tree(scenario)
    assert (name, state) == (scenario, "failed")
    assert [child for child in children if child[0] != "test_skipped"] == expected
    steps = runs.by_name(scenario)
    assert steps[scenario]["servers"] == ["node-1"]
    assert 0.15 <= steps["test_boot"]["duration_s"] < 2
    assert 0.05e9 <= steps["test_boot"]["started_ns"] - steps[scenario]["started_ns"] < 2e9
    assert runs.tree(f"{scenario}-forgetful")[1:] == ("passed", [("test_one", "passed", [])])
    assert runs.tree(f"{scenario}-unready") == (f"{scenario}-unready", "aborted", [])


def test_within_a_run_a_class_is_a_step_of_it(write, run, runs):
    """`energy-step run` around the runner makes one run of all classes."""
    write("test_lab.py", SUITE.format(scenario="inner"))
    run(
        "energy-step",
        "run",
        "--scenario",
        "all-classes",
        "--",
        sys.executable,
        "-m",
        "unittest",
        "test_lab.py",
    )
    _, state, children = runs.tree("all-classes")
    assert state == "failed"
    classes = [grandchild[0] for child in children for grandchild in ([child] if child[2] else child[2])]
    assert {"inner", "inner-forgetful"} <= {*classes, *(child[0] for child in children)}
