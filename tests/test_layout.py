"""The house rules that a reader relies on: short modules and functions, a first sentence, nothing foreign."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50
PACKAGES = ("sdk", "telegraf_execd", "energy_analysis", "step_annotator", "bmc_simulator")

# Words that would tie the repository to one machine or registry.
FOREIGN = re.compile(
    r"/work/|/root/|/home/[a-z]|files\.pythonhosted|pypi\.org/simple|registry\.npmjs|proxy\.golang",
    re.IGNORECASE,
)


def _tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


MODULES = [
    path for path in _tracked("*.py") if path.relative_to(ROOT).parts[0] in (*PACKAGES, "tests", "tools")
]
OURS = [path for path in MODULES if path.relative_to(ROOT).parts[0] in (*PACKAGES, "tools")]


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_id)
def test_modules_are_short(path):
    """A file does one thing: 400 lines at most."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES


@pytest.mark.parametrize("path", OURS, ids=_id)
def test_functions_are_short_and_modules_say_what_they_do(path):
    """A function has 50 lines at most, and a module's first sentence says what it does."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "no first sentence"
    too_long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert not too_long


def test_broad_excepts_stand_at_the_two_boundaries_only():
    """`except Exception` is allowed in the collector's loop per BMC and at the SDK's edge, nowhere else."""
    broad = re.compile(r"except Exception\b")
    files = {_id(path) for path in OURS if broad.search(path.read_text(encoding="utf-8"))}
    assert {Path(name).parts[0] for name in files} <= {"sdk", "telegraf_execd"}
    assert len(files) <= 3, files


def test_the_repository_speaks_of_the_project_alone():
    """No machine path, no registry host in any file."""
    here = Path(__file__).resolve()
    found = {}
    for path in _tracked():
        if path == here:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if match := FOREIGN.search(text):
            found[_id(path)] = match[0]
    assert not found


def test_constraints_name_versions_and_nothing_else():
    """The lock file carries names and exact versions, no addresses."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9A-Za-z.+!]+", line) for line in lines)
