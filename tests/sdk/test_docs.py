"""The documents of SDK and command: the reference is fresh, and what is shown in ten lines works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from energyrecorder.sdk_settings import load
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


def examples(page, language):
    """Return the blocks of ``language``."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


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
    (script,) = examples("cli.md", "sh")
    assert script.count("\n") <= 10
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
    code = examples("sdk.md", "python")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    done = python(f"def boot(): pass\ndef traffic(): pass\n{code}\nrun()\n")
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


def test_the_example_of_a_child_process_works(told, python):
    child = "from energyrecorder import Energy, set_step\nwith set_step('child'): pass\nEnergy.flush(60)"
    (_, call) = examples("sdk.md", "python")
    code = f"""
import os, subprocess, sys
from energyrecorder import Energy, set_step
command = [sys.executable, "-c", {child!r}]
with set_step("parent"):
    {call}"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("stop", "parent", "child") in told.told()


def test_the_file_of_the_example_is_read(tmp_path):
    pytest.importorskip("tomllib", reason="reading TOML needs Python 3.11")
    (text,) = examples("sdk.md", "toml")
    (tmp_path / "energyrecorder.toml").write_text(text)
    settings = load({"LAB_ENERGY_TOKEN": "t0psecret"}, tmp_path)
    assert (settings.url, settings.env) == ("http://energy.example:8742", "pod1")
    assert settings.servers == ("node-*",)
    assert settings.authorization() == "Bearer t0psecret"


@pytest.mark.parametrize("page", ["sdk.md", "cli.md"])
def test_the_page_says_when_not_to_use_this(page):
    _, _, said = (ROOT / "docs" / page).read_text(encoding="utf-8").lower().partition("when not to use this")
    assert "hosted" in said[:300]
    assert re.search(r"few\s+seconds", said[:300])
