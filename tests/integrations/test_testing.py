"""What `energyrecorder.testing` must give people who test code that records."""

import threading

import pytest

import energyrecorder as energy
from energyrecorder import Energy
from energyrecorder.testing import recorded


@energy.enable_recording("functest")
def suite():
    with energy.set_step("boot"):
        Energy.mark("booted")
    Energy.set_step("traffic")
    raise LookupError("no traffic")


def test_steps_marks_and_outcomes_of_a_suite_are_there():
    """Names, nesting, outcomes, marks and lengths are told, and the exception passes."""
    with recorded() as steps, pytest.raises(LookupError):
        suite()
    assert steps.tree() == [("functest", [("boot", []), ("traffic", [])])]
    assert steps.outcomes() == {"functest": "failed", "boot": "passed", "traffic": "failed"}
    assert steps.marks == ["booted"]
    assert steps["functest"].duration_s >= steps["boot"].duration_s >= 0
    assert len(steps) == 3
    with pytest.raises(KeyError, match="'reboot' was not recorded"):
        steps["reboot"]


def test_servers_tags_and_work_are_told():
    """What is stored with a step can be asserted."""
    with recorded() as steps, energy.enable_recording("io", servers=["node-1"], tags={"size": "4k"}, work=3):
        pass
    assert (steps["io"].servers, steps["io"].tags, steps["io"].work) == (("node-1",), {"size": "4k"}, 3.0)


def test_what_is_open_around_is_not_seen_and_comes_back():
    """A block is a world of its own, for threads too; afterwards everything is as before."""
    with recorded() as outer, energy.enable_recording("outer"):
        with recorded() as inner:
            assert Energy.current() is None
            thread = threading.Thread(target=lambda: Energy.start("in a thread"))
            thread.start()
            thread.join()
        with energy.set_step("after"):
            pass
    assert inner.tree() == [("in a thread", [])]
    assert inner["in a thread"].outcome is None
    assert outer.tree() == [("outer", [("after", [])])]


def test_the_fixture_of_the_pytest_plugin_records(pytester_energy):
    """A user's test asks for `energy_steps` and needs neither options nor a service."""
    result = pytester_energy(
        """
        import energyrecorder as energy

        def test_it(energy_steps):
            with energy.enable_recording("boot"):
                pass
            assert energy_steps.names() == ["boot"]
        """
    )
    assert result.returncode == 0, result.stdout
