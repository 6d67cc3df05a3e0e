"""The documents of SDK and command: the reference is fresh, and what is shown in ten lines works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.patience import PATIENT_COMMAND

ROOT = Path(__file__).resolve().parents[2]
ON_PYPY = sys.implementation.name == "pypy"
ORDER = re.compile(r"  ([a-z]+) +\S")


@pytest.fixture
def told(annotator, monkeypatch, tmp_path):
    """Point everything at the fake annotator, and `energy-step` at this source tree."""
    monkeypatch.setenv("ENERGY_URL", annotator.url)
    monkeypatch.setenv("ENERGY_ENV", "pod1")
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "energy-step"
    script.write_text(f"#!{sys.executable}\n{PATIENT_COMMAND}\nfrom energyrecorder.cli import main\nmain()\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return annotator


def example(page, language):
    """Return the first block of ``language``."""
    return re.search(
        rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL
    )[1]


@pytest.mark.skipif(ON_PYPY, reason="the page is generated with the click of constraints.txt")
def test_the_reference_of_the_command_is_fresh():
    script = ROOT / "tools" / "cli_reference.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_verb_shows_examples_as_they_are_typed(energy_step):
    for verb in ORDER.findall(energy_step("--help").stdout.partition("Commands:")[2]):
        lines = energy_step(verb, "--help").stdout.splitlines()
        assert [line for line in lines if line.startswith(f"    energy-step {verb}")], verb
        assert "\\b" not in "".join(lines)


def test_the_shell_example_works(told):
    script = example("cli.md", "sh")
    script = re.sub(r"^export .*\n|^energy-step report.*\n", "", script, flags=re.MULTILINE)
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert told.told("stop") == [
        ("stop", "functest", "boot"),
        ("stop", "functest", "ping"),
        ("stop", "functest", "traffic"),
        ("stop", "functest", None),
    ]


def test_the_python_example_works(told, python):
    code = "def boot(): pass\ndef traffic(): pass\n" + example("sdk.md", "python") + "\nrun()\n"
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert told.told("stop") == [
        ("stop", "functest", "boot"),
        ("stop", "functest", "traffic"),
        ("stop", "functest", None),
    ]
    assert [event["title"] for event in told.events if event["op"] == "mark"] == ["vm destroyed"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_for_each_shell(energy_step, shell):
    done = energy_step(env={"_ENERGY_STEP_COMPLETE": f"{shell}_source"})
    assert (done.returncode, "_ENERGY_STEP_COMPLETE" in done.stdout) == (0, True)
    words = {"COMP_WORDS": "energy-step st", "COMP_CWORD": "st" if shell == "fish" else "1"}
    done = energy_step(env={"_ENERGY_STEP_COMPLETE": f"{shell}_complete", **words})
    assert {"start", "step", "stop", "status"} <= set(re.split(r"[\n,\t]", done.stdout))
