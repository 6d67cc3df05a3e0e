"""A JUnit file as a tree of suites and cases, whoever wrote it; pure.

There is no standard. Read are what Ant's task began (`testsuite`, `testcase`, `failure`, `error`, `skipped`),
nested suites and `testsuites`, and the retries of Maven Surefire (`flakyFailure`, `flakyError`,
`rerunFailure`, `rerunError`; maven.apache.org/surefire, "Rerun Failing Tests").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat  # entities are refused, see `_Reader`

from energyrecorder.errors import EnergyError

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
MOST_ELEMENTS = 100_000
MOST_LEVELS = 50
_BAD = frozenset({"failure", "error"})
_BEFORE = frozenset({"flakyFailure", "flakyError"})
_AFTER = frozenset({"rerunFailure", "rerunError"})


class JUnitError(EnergyError, ValueError):
    """A file is not the JUnit XML that we read; the message is one line."""


@dataclass(slots=True)
class Case:
    """One test case.

    Args:
        name: As written; empty if not given.
        classname: As written; empty if not given.
        time_s: Length in seconds; None if not given.
        timestamp: Start as written; None if not given.
        outcome: ``passed``, ``failed`` or ``skipped``.
        attempts: Lengths of tries that failed before (`True`) or after (`False`) the one that is told.
    """

    name: str
    classname: str
    time_s: float | None
    timestamp: str | None
    outcome: str = PASSED
    attempts: list[tuple[bool, float]] = field(default_factory=list)


@dataclass(slots=True)
class Suite:
    """A suite, or all of a file.

    Args:
        name: As written; empty if not given.
        time_s: Length in seconds; None if not given.
        timestamp: Start as written; None if not given.
        parts: Suites and cases in the order of the file.
    """

    name: str
    time_s: float | None
    timestamp: str | None
    parts: list[Suite | Case] = field(default_factory=list)


def parse_junit(raw: bytes) -> Suite:
    """Return what a file holds; several suites lie in one that stands for the file.

    Args:
        raw: The file, in the encoding that it declares.

    Raises:
        JUnitError: It is not XML, holds no suite, has a document type, or is too deep or too long.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise JUnitError(f"not XML: line {error.lineno}: {expat.ErrorString(error.code)}") from None
    except (ValueError, LookupError) as error:
        raise error if isinstance(error, JUnitError) else JUnitError(f"not XML: {error}") from None
    return reader.result()


def _refuse_doctype(*_: Any) -> None:
    # No tool writes one, and entities are how a small file becomes a large one.
    raise JUnitError("a document type is not read")


class _Reader:
    """Builds the tree from expat's calls; text is never looked at, however much of it there is."""

    def __init__(self) -> None:
        self._file = Suite("", None, None)
        self._open: list[Suite | Case | None] = [self._file]
        self._elements = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take an element."""
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._open) > MOST_LEVELS:
            raise JUnitError(f"more than {MOST_ELEMENTS} elements, or {MOST_LEVELS} within one another")
        around = self._open[-1]
        inner = self._inner(tag.rpartition(":")[2], attributes, around)
        if inner is not None and isinstance(around, Suite):
            around.parts.append(inner)
        self._open.append(inner)

    def end(self, _tag: str) -> None:
        """Take the end of an element."""
        self._open.pop()

    def result(self) -> Suite:
        """Return the tree.

        Raises:
            JUnitError: There is none.
        """
        parts = self._file.parts
        if not parts or not isinstance(parts[0], Suite):
            raise JUnitError("no <testsuites> or <testsuite> in it")
        return _unwrapped(parts[0])

    @staticmethod
    def _inner(tag: str, attributes: dict[str, str], around: Suite | Case | None) -> Suite | Case | None:
        name, timestamp = attributes.get("name", ""), attributes.get("timestamp") or None
        time_s = seconds(attributes.get("time"))
        if isinstance(around, Suite) and tag in {"testsuites", "testsuite"}:
            return Suite(name, time_s, timestamp)
        if isinstance(around, Suite) and tag == "testcase":
            return Case(name, attributes.get("classname", ""), time_s, timestamp)
        if isinstance(around, Case) and tag in _BAD:
            around.outcome = FAILED
        elif isinstance(around, Case) and tag == "skipped" and around.outcome == PASSED:
            around.outcome = SKIPPED
        elif isinstance(around, Case) and tag in _BEFORE | _AFTER:
            around.attempts.append((tag in _BEFORE, time_s or 0.0))
        return None


def _unwrapped(suite: Suite) -> Suite:
    """Return the only suite of a nameless ``<testsuites>``, with the time stamp of either."""
    only = suite.parts[0] if len(suite.parts) == 1 else None
    if suite.name or not isinstance(only, Suite):
        return suite
    only.timestamp = only.timestamp or suite.timestamp
    only.time_s = suite.time_s if only.time_s is None else only.time_s
    return only


def seconds(text: str | None) -> float | None:
    """Return a length such as ``0.012`` or, as some tools write it, ``1,234.5``; None where it is none."""
    try:
        value = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
