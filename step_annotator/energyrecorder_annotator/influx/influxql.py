r"""InfluxQL text from validated parts only: every name and every value from outside is quoted here.

Inside quotes InfluxQL knows the escapes ``\\``, ``\n``, ``\'`` and ``\"`` (scanner.go, ScanString); a raw
line break ends the statement with an error.
"""

from __future__ import annotations

from collections.abc import Iterable

from energyrecorder.line_protocol import tag_text


def identifier(name: str) -> str:
    """Return a measurement, tag, field, database or retention policy name in double quotes."""
    return '"' + _escaped(name).replace('"', '\\"') + '"'


def table(policy: str, measurement: str) -> str:
    """Return a measurement where a retention policy keeps it."""
    return f"{identifier(policy)}.{identifier(measurement)}"


def string(text: str) -> str:
    """Return a text in single quotes."""
    return "'" + _escaped(text).replace("'", "\\'") + "'"


def tag_is(key: str, value: str | None) -> str:
    """Return the condition that a tag has a value, as the line writer would have written it."""
    return f"{identifier(key)} = {string(tag_text(value or ''))}"


def tag_in(key: str, values: Iterable[str]) -> str:
    """Return the condition that a tag has one of some values; no value at all is never true."""
    terms = [tag_is(key, value) for value in values]
    return f"({' OR '.join(terms)})" if terms else f"({identifier(key)} = 'a' AND {identifier(key)} = 'b')"


def in_span(from_ns: int, to_ns: int) -> str:
    """Return the condition that a time is in [from, to)."""
    return f"time >= {int(from_ns)} AND time < {int(to_ns)}"


def _escaped(text: str) -> str:
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return encodable.replace("\\", "\\\\").replace("\n", "\\n").replace("\0", " ")
