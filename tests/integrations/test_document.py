"""docs/integrations.md must work as it stands: each section's files are written and its commands run."""

import re
from pathlib import Path

import pytest

from support.tools import need

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "integrations.md"
_BLOCK = re.compile(
    r"(?:^`(?P<file>[\w./-]+)`\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_WAIT = "--energy-wait 20"

EXPECTED = {
    "pytest": [
        ("doc-pytest", [("test_lab.py", [("test_lab.py::test_boot", []), ("traffic", [])])]),
    ],
    "Robot Framework": [
        ("doc-robot", [("Machine Boots", []), ("Packets Flow", [])]),
        ("doc-pabot", [("Lab", [("Machine Boots", []), ("Packets Flow", [])])]),
    ],
    "Functest and Xtesting": [("doc-functest", [("running", []), ("ping", [])])],
    "unittest": [("doc-unittest", [("test_boot", [])])],
    "Shell": [
        ("doc-shell", [("boot", []), ("traffic", [("iperf", [])])]),
        ("doc-energy-sh", [("running", []), ("Step1", [])]),
    ],
    "Anything that writes JUnit files": [("doc-junit", [("lab.boot", []), ("lab.traffic", [])])],
    "Testing your own recording": [],
}


def sections():
    """Return ``{title: (files, commands)}`` of the sections that have commands."""
    found = {}
    for part in re.split(r"^## ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        blocks = list(_BLOCK.finditer(body))
        files = {block["file"]: block["text"] for block in blocks if block["kind"] != "sh"}
        commands = [block["text"] for block in blocks if block["kind"] == "sh"]
        if commands:
            found[title] = (files, commands)
    return found


def names(tree):
    return tree[0], [names(child) for child in tree[2]]


def test_every_section_is_run_here():
    """A new example needs a line of what it records, and stays within ten lines; blank ones do not count."""
    assert set(sections()) == set(EXPECTED)
    for files, commands in sections().values():
        assert all(name for name in files)
        for text in (*files.values(), *commands):
            assert len([line for line in text.splitlines() if line.strip()]) <= 10, text


def test_it_says_when_not_to_use_this():
    """Where no BMC can be reached, and for what is over too soon."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition("## When not to use this")
    said = rest.partition("\n## ")[0]
    assert {"Hosted runners", "Tests of a few seconds"} <= set(re.findall(r"\*\*(.+?)\.\*\*", said))


@pytest.mark.parametrize("title", EXPECTED)
def test_the_example_records_what_the_section_says(title, write, run, runs, told, tmp_path):
    """Files as written, commands as written."""
    files, commands = sections()[title]
    for name, text in files.items():
        write(name, text)
    for text in commands:
        script = text.replace(_WAIT, "--energy-wait 0")
        result = run(need("bash"), "-e", "-c", script, environ={**told, "PYTHONDONTWRITEBYTECODE": "1"})
        assert result.returncode == 0, result.stdout + result.stderr
    for expected in EXPECTED[title]:
        assert names(runs.tree(expected[0])) == expected
