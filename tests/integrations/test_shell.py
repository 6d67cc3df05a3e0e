"""The original's shell functions under bash, against a real annotator."""

import subprocess
import sys
from pathlib import Path

import pytest

from energyrecorder.integrations.shell import FUNCTIONS
from support.tools import need

SESSION = f"""
    set -eu -o pipefail
    . "$({sys.executable} -m energyrecorder.integrations.shell)"
    energy-recorder-begin-session "sh-session"
    echo "program is starting"
    energy-recorder-set-step "Step 1, with \\"quotes\\" and ümlauts"
    {sys.executable} -c 'import energyrecorder as e
    with e.set_step("of a child"): pass'
    energy-recorder-get-current-scenario
    test "$CURRENT_SCENARIO" = sh-session
    energy-recorder-begin-session "inner"
    energy-recorder-set-step "deep"
    energy-recorder-finish-session
    energy-recorder-get-current-scenario
    echo "$CURRENT_STEP"
    STORED_SCENARIO="" energy-recorder-finish-session
    energy-recorder-get-current-scenario
    test -z "$CURRENT_SCENARIO$(printenv ENERGY_RUN_ID || true)"
"""


@pytest.fixture
def bash(write, run):
    """Return a function that runs a script under bash."""

    def run_script(text, **more):
        write("script.sh", text)
        return run(need("bash"), "script.sh", **more)

    return run_script


def test_a_session_with_a_nested_one(bash, runs):
    """Steps, a nested session and a child process nest rightly, and stdout is the script's alone."""
    result = bash(SESSION.replace("\n    with", "\nwith"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["program is starting", 'Step 1, with "quotes" and ümlauts']
    name, state, children = runs.tree("sh-session")
    assert (name, state) == ("sh-session", "passed")
    assert [child[0] for child in children] == ["running", 'Step 1, with "quotes" and ümlauts', "of a child"]
    assert children[1][2] == [("inner", "passed", [("running", "passed", []), ("deep", "passed", [])])]


def test_energy_conf_is_read_as_before(bash, runs, write, environ, service):
    """Environment and URL of the original's file count; the URL may carry the original's root."""
    write(
        "energy.conf",
        f"ENERGY_ENVIRONMENT_NAME=pod1\nENERGY_API_URL=http://127.0.0.1:{service.port}/resources\n",
    )
    script = f". {FUNCTIONS}\nenergy-recorder-start sh-conf\nenergy-recorder-stop failed"
    result = bash(script, environ=environ)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert runs.tree("sh-conf")[1] == "failed"


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ("ENERGY_API_URL=http://127.0.0.1:9", "ENERGY_ENVIRONMENT_NAME and ENERGY_API_URL must be set"),
        ("", "must be set"),
    ],
)
def test_a_bad_energy_conf_is_told_once_and_the_script_goes_on(bash, write, environ, conf, said):
    """Nothing is recorded; no function fails under `set -e`."""
    write("energy.conf", conf)
    functions = "energy-recorder-start a\nenergy-recorder-set-step b\nenergy-recorder-stop\necho done"
    result = bash(f"set -eu\n. {FUNCTIONS}\n{functions}", environ=environ)
    assert (result.returncode, result.stdout) == (0, "done\n")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_without_energy_step_the_script_goes_on(write, run, environ):
    """One line says what to install."""
    write("script.sh", f"set -eu\n. {FUNCTIONS}\nenergy-recorder-start a\necho done")
    bare = {**environ, "PATH": "/usr/bin:/bin"}
    if subprocess.run(
        ["bash", "-c", "command -v energy-step"], env=bare, check=False, capture_output=True
    ).stdout:
        pytest.skip("energy-step is installed system-wide here")
    result = run(need("bash"), "script.sh", environ=bare)
    assert (result.returncode, result.stdout) == (0, "done\n")
    assert "pip install energyrecorder" in result.stderr


def test_the_functions_pass_shellcheck(run):
    """No quoting mistake, no unset variable."""
    result = run(Path(sys.executable).with_name("shellcheck"), FUNCTIONS)
    assert result.returncode == 0, result.stdout
