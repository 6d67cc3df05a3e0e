"""Old Functest and Xtesting code, with one import line changed, against a real annotator."""

import sys
from base64 import b64encode

import pytest

from support.fake_server import FakeServer

CASE = """
    import logging
    from energyrecorder.compat import xtesting as energy
    from energyrecorder.compat.xtesting import Energy, EnergyRecorder

    class Inner:
        case_name = "vping"

        @energy.enable_recording
        def run(self, fail=False):
            EnergyRecorder.set_step("ping")
            assert EnergyRecorder.get_current_scenario()["scenario"] == "vping"
            if fail:
                raise LookupError("no answer")
            return "pong"

    class Outer:
        case_name = "{scenario}"

        @energy.enable_recording
        def run(self):
            current = EnergyRecorder.get_current_scenario()
            assert current == {{"environment": "pod1", "scenario": "{scenario}", "step": "running"}}, current
            assert EnergyRecorder.set_step("boot") is True
            assert Inner().run(fail=False) == "pong"
            assert EnergyRecorder.get_current_scenario()["step"] == "boot"
            try:
                Inner().run(fail=True)
            except LookupError:
                pass
            with energy.set_step("decorated"):
                pass

    assert EnergyRecorder.get_current_scenario() is None
    Outer().run()
    assert EnergyRecorder.get_current_scenario() is None
"""


def test_nested_cases_restore_the_scenario_around(write, run, runs):
    """Scenario, first step `running`, nested scenario, and the step around it goes on after it."""
    scenario = "xt-nested"
    write("case.py", CASE.format(scenario=scenario))
    result = run(sys.executable, "case.py")
    assert result.returncode == 0, result.stderr
    name, state, children = runs.tree(scenario)
    assert (name, state) == (scenario, "passed")
    assert [(child[0], child[1]) for child in children] == [
        ("running", "passed"),
        ("boot", "passed"),
        ("vping", "passed"),
        ("boot", "passed"),
        ("vping", "failed"),
        ("boot", "passed"),
        ("decorated", "passed"),
    ]
    assert [step[0] for step in children[2][2]] == ["running", "ping"]


def test_start_submit_and_stop_keep_the_rules_of_the_original_service(write, run, runs):
    """The same scenario is a set step, one below closes what is above it, stop closes everything."""
    write(
        "case.py",
        """
        from energyrecorder.compat.xtesting import EnergyRecorder, finish_session

        assert EnergyRecorder.start("xt-rules") is True
        assert EnergyRecorder.submit_scenario("xt-rules", "second") is True
        current = EnergyRecorder.get_current_scenario()
        EnergyRecorder.start("xt-above")
        EnergyRecorder.start("xt-top")
        finish_session(current)
        assert EnergyRecorder.get_current_scenario() == current
        finish_session(None)
        assert EnergyRecorder.get_current_scenario() is None
        assert EnergyRecorder.stop() is True
        """,
    )
    result = run(sys.executable, "case.py")
    assert result.returncode == 0, result.stderr
    assert runs.tree("xt-rules")[2] == [
        ("running", "passed", []),
        ("second", "passed", []),
        (
            "xt-above",
            "passed",
            [("running", "passed", []), ("xt-top", "passed", [("running", "passed", [])])],
        ),
        ("second", "passed", []),
    ]


@pytest.fixture
def configured(write):
    """Return a function that writes a package whose configuration names a recorder, and a case."""

    def write_package(package, url):
        write(f"{package}/__init__.py", "")
        write(f"{package}/utils/__init__.py", "")
        write(
            f"{package}/utils/functest_utils.py",
            f"""
            CONFIG = {{
                "energy_recorder.api_url": "{url}/resources",
                "energy_recorder.api_user": "lab",
                "energy_recorder.api_password": "s3cret",
            }}

            def get_functest_config(key):
                return CONFIG.get(key, "")

            def get_pod_name():
                return "pod1"
            """,
        )
        write(
            "case.py",
            f"from energyrecorder.compat.xtesting import Energy\nEnergy.start('xt-{package}')\nEnergy.stop()",
        )

    return write_package


@pytest.mark.parametrize("package", ["functest", "xtesting"])
def test_the_url_of_functests_configuration_is_used(configured, run, runs, environ, service, package):
    """Where no variable is set, `energy_recorder.api_url` and the pod's name are read from Functest."""
    configured(package, f"http://127.0.0.1:{service.port}")
    result = run(sys.executable, "case.py", environ=environ)
    assert result.returncode == 0, result.stderr
    assert runs.tree(f"xt-{package}")[1] == "passed"


def test_user_and_password_of_functests_configuration_are_sent(configured, run, environ):
    """As the original sent them, and never told."""
    with FakeServer(lambda *_request: (500, {}, {})) as recorder:
        configured("functest", recorder.url)
        result = run(sys.executable, "case.py", environ=environ)
    assert result.returncode == 0
    sent = {request[4]["Authorization"] for request in recorder.requests}
    assert sent == {"Basic " + b64encode(b"lab:s3cret").decode()}
    assert "s3cret" not in result.stdout + result.stderr


def test_a_service_that_is_away_is_no_business_of_the_case(write, run, environ):
    """Results and output are those of the case; nothing raises."""
    away = {**environ, "ENERGY_RECORDER_API_URL": "http://127.0.0.1:9/resources", "NODE_NAME": "pod1"}
    write("case.py", CASE.format(scenario="xt-away"))
    result = run(sys.executable, "case.py", environ=away)
    assert (result.returncode, result.stdout) == (0, "")


def test_disabled_records_nothing_and_says_so(write, run, environ):
    """With ENERGY_DISABLED the functions still answer as the original's did without a service."""
    write(
        "case.py",
        """
        from energyrecorder.compat.xtesting import EnergyRecorder
        assert EnergyRecorder.load_config() is False
        assert EnergyRecorder.start("nothing") is True
        assert EnergyRecorder.get_current_scenario() is None
        """,
    )
    assert run(sys.executable, "case.py", environ={**environ, "ENERGY_DISABLED": "1"}).returncode == 0
