"""What the service needs to be installed: few packages, each with its reason."""

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MOST = 30
REASONS = (Path(__file__).resolve().parents[2] / "docs" / "adr" / "0008-dependencies.md").read_text()


def needed(name, extras=()):
    """Return the names of what a package needs directly."""
    found = set()
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        markers = requirement.marker
        if markers is None or any(markers.evaluate({"extra": extra}) for extra in ("", *extras)):
            found.add(canonicalize_name(requirement.name))
    return found


def test_the_annotator_needs_few_packages_in_all():
    installed, waiting = set(), needed("energyrecorder", ("annotator",))
    while waiting:
        name = waiting.pop()
        installed.add(name)
        waiting |= needed(name) - installed
    assert {"fastapi", "click"} <= installed
    assert len(installed) <= MOST, sorted(installed)


def test_each_that_we_chose_has_its_reason():
    chosen = needed("energyrecorder", ("annotator",))
    assert len(chosen) >= 9
    assert {name for name in chosen if name not in REASONS} == set()
