"""A real annotator, an environment of its own for each test, and the frameworks as separate processes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.annotator import running
from support.recorded import Runs

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ("-p", "no:cacheprovider", "-p", "no:randomly")


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """A real annotator process whose plugin reads two servers of constant power."""
    with running(tmp_path_factory.mktemp("annotator"), commands=[[sys.executable, STEADY]]) as annotator:
        yield annotator


STEADY = str(ROOT / "tests" / "support" / "plugins" / "steady.py")


@pytest.fixture
def environ(tmp_path):
    """Variables of a process that knows no annotator: nobody's settings, spool or CI job."""
    foreign = ("ENERGY_", "GITHUB_", "CI_", "PYTEST_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith("_proxy")
    }
    for name in ("NODE_NAME", "BUILD_TAG", "RUNNER_TEMP", "WORKSPACE", "XDG_RUNTIME_DIR"):
        kept.pop(name, None)
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "/usr/bin:/bin")])
    return {
        **kept,
        "PYTHONPATH": str(ROOT / "sdk"),
        "HOME": str(tmp_path),
        "ENERGY_SPOOL_DIR": str(tmp_path / "spool"),
        "ENERGY_STATE_FILE": str(tmp_path / "job.json"),
    }


@pytest.fixture
def told(environ, service):
    """Variables of a process that records at the annotator, in an environment of the test's own."""
    return {**environ, "ENERGY_URL": f"http://127.0.0.1:{service.port}", "ENERGY_ENV": "pod1"}


@pytest.fixture
def run(tmp_path, told):
    """Return a function that runs a command in the test's folder and returns the finished process."""

    def run_command(*command, environ=told, timeout=90):
        result = once(command, environ, timeout)
        # On a machine that is busy enough two seconds are over before the last step is sent: it waits here.
        if environ.get("ENERGY_URL") == told["ENERGY_URL"] and any((tmp_path / "spool").glob("*/*.jsonl")):
            once(("energy-step", "flush"), environ, timeout)
        return result

    def once(command, environ, timeout):
        return subprocess.run(
            [str(word) for word in command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run_command


@pytest.fixture
def runs(service):
    """What the annotator recorded, by scenario."""
    return Runs(service)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file of the test's folder."""

    def write_file(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def energy_pytest(run):
    """Return a function that runs pytest, which finds our plugin by itself."""

    def run_pytest(*arguments, **more):
        return run(sys.executable, "-m", "pytest", *PLAIN, *arguments, **more)

    return run_pytest


@pytest.fixture
def pytester_energy(write, energy_pytest, environ):
    """Return a function that runs one file of tests without any service."""

    def run_file(text):
        write("test_user.py", text)
        return energy_pytest("test_user.py", environ=environ)

    return run_file
