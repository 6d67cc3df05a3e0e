"""Names of tests as names of steps: few, short and equal from run to run, so that they make a series."""

from __future__ import annotations

from typing import Optional, Tuple

LONGEST = 80


def step_name(full: object, longest: int = LONGEST) -> Tuple[str, Optional[str]]:
    """Return the name of a step, and the full name as its title when the two differ, else None.

    Parameters in brackets at the end are left out: each would begin a series of its own. Control characters
    become spaces; a long name keeps its end, which tells tests of one folder apart.

    Args:
        full: Name of a test, such as ``tests/test_boot.py::test_vm[4-cores]``.
        longest: Characters at most.
    """
    text = str(full)
    base, bracket, _ = text.partition("[")
    plain = base if base and bracket and text.endswith("]") else text
    # Nearly every test has such a name, and this runs before each: the rest takes ten times as long.
    if len(plain) > longest or not plain.isprintable() or not plain.isascii() or " " in plain:
        plain = _tidied(plain, longest)
    plain = plain or "unnamed"
    return plain, None if plain == text else text


def _tidied(text: str, longest: int) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    tidy = " ".join(printable.split())
    return tidy if len(tidy) <= longest else "…" + tidy[1 - longest :]
