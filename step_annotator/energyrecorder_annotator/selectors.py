"""Which runs somebody means: ``run:ID``, ``group:ID``, ``commit:SHA``, ``branch:main,last=20``, ``tag:k=v``.

Without a kind it is the id of a run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from energyrecorder_annotator.journal.base import StepQuery, TagMatch

SELECTOR_ALLOWED = "run:ID, group:ID, commit:SHA, branch:NAME or tag:KEY=VALUE, each with ,last=N if wanted"
MOST_RUNS = 200
"""Runs of one scenario that a selector stands for at most: the newest."""
BRANCH_LAST = 20
COMMIT_KEYS = ("commit", "vcs.ref.head.revision")
"""Tags that name the revision under test: what somebody says, else what the CI system built."""

_KINDS = ("run", "group", "commit", "branch", "tag")
_LAST = re.compile(r"(?P<name>.*?),last=(?P<last>\d+)", re.DOTALL)
_BRANCH_KEYS = ("vcs.ref.head.name", "branch")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,39}")
"""A commit may be shortened to no less than what git shows."""


@dataclass(frozen=True, slots=True)
class Selector:
    """What somebody asked for.

    Args:
        text: As it was written.
        run_id: The one run; None for all others.
        group: Group of the runs.
        tag: Tag of the runs.
        last: So many of the newest that passed; None for all, `MOST_RUNS` at most.
    """

    text: str
    run_id: str | None = None
    group: str | None = None
    tag: TagMatch | None = None
    last: int | None = None

    def query(self, *, envs: tuple[str, ...] | None, scenario: str | None = None) -> StepQuery:
        """Return the question to the journal.

        Args:
            envs: Environments that the caller may see; None for all.
            scenario: Only runs of this one; None for all.
        """
        return StepQuery(
            run_id=self.run_id,
            group=self.group,
            tag=self.tag,
            scenario=scenario,
            # The last twenty are twenty that can be used, however many failed in between.
            state=None if self.last is None else "passed",
            roots=True,
            limit=self.last or MOST_RUNS,
            envs=envs,
        )


def parse_selector(text: str) -> Selector:
    """Return the selector that ``text`` is.

    Raises:
        ValueError: It is none; the message says what is allowed.
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _KINDS:
        # Ids may hold colons, too.
        kind, rest = "run", text
    match = _LAST.fullmatch(rest)
    name, last = (match["name"], int(match["last"])) if match else (rest, None)
    if not name.strip() or (last is not None and not 1 <= last <= MOST_RUNS):
        raise ValueError(f"{text!r} is not {SELECTOR_ALLOWED}; N is 1 to {MOST_RUNS}")
    if kind == "run":
        return Selector(text, run_id=name, last=last)
    if kind == "group":
        return Selector(text, group=name, last=last)
    if kind == "commit":
        prefix = name if _SHORT_SHA.fullmatch(name) else None
        return Selector(text, tag=TagMatch(COMMIT_KEYS, (name,), prefix), last=last)
    if kind == "branch":
        # Jenkins calls it by its remote, too.
        tag = TagMatch(_BRANCH_KEYS, (name, f"origin/{name}"))
        return Selector(text, tag=tag, last=last or BRANCH_LAST)
    key, equals, value = name.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is not {SELECTOR_ALLOWED}")
    return Selector(text, tag=TagMatch((key,), (value,)), last=last)
