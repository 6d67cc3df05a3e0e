"""Writes pins into the text of a fleet file, everything else in it left as it is (pure)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from energyrecorder_execd.fleet.ranges import expand
from energyrecorder_execd.fleet.render import toml_value

_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*server[ \t]*\]\]", re.MULTILINE)
_ANY_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)


def with_pins(text: str, pins: Mapping[str, str]) -> str | None:
    """Return the file with ``tls = "pin:…"`` for the servers of it that ``pins`` names.

    A table that stands for several servers becomes one table for each of them, since each has a certificate
    of its own.

    Args:
        text: The file.
        pins: Server id → SHA-256 in hex.

    Returns:
        The new text; None when it cannot be changed with certainty (such as a header inside a text of
        several lines): then a person has to.
    """
    before = tomllib.loads(text).get("server", [])
    starts = [match.start() for match in _HEADER.finditer(text)]
    if len(starts) != len(before):
        return None
    pieces, end, expected = [], 0, []
    for start, raw in zip(starts, before, strict=True):
        following = _ANY_HEADER.search(text, text.index("]]", start))
        stop = following.start() if following else len(text)
        block = text[start:stop]
        changed = _pinned(raw, pins)
        pieces.append(text[end:start])
        pieces.append(block if changed == [raw] else "".join(_block(block, raw, one) for one in changed))
        expected += changed
        end = stop
    pieces.append(text[end:])
    after = "".join(pieces)
    try:
        parsed = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        return None
    whole = {**tomllib.loads(text), "server": expected} if expected else tomllib.loads(text)
    return after if parsed == whole else None


def _pinned(raw: Mapping[str, Any], pins: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the tables that take the place of one."""
    ids, hosts = expand(str(raw.get("id"))), expand(str(raw.get("host")))
    if not any(one in pins for one in ids) or len(ids) != len(hosts):
        return [dict(raw)]
    tables = []
    for one, host in zip(ids, hosts, strict=True):
        table = {**raw, "id": one, "host": host}
        if one in pins:
            table["tls"] = f"pin:sha256:{pins[one]}"
        tables.append(table)
    return tables


def _block(block: str, raw: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    for key in ("id", "host", "tls"):
        if raw.get(key) == wanted.get(key):
            continue
        line = f"{key} = {toml_value(wanted[key])}"
        if key in raw:
            # What follows on the line is a comment; a value that goes on below shows when the file is parsed.
            pattern = re.compile(rf"^([ \t]*){key}[ \t]*=[^\n#]*?([ \t]*#[^\n]*)?$", re.MULTILINE)
            found = pattern.search(block)
            if found is not None:
                changed = f"{found[1]}{line}{found[2] or ''}"
                block = f"{block[: found.start()]}{changed}{block[found.end() :]}"
        else:
            head, newline, rest = block.partition("\n")
            block = f"{head}{newline or chr(10)}{line}\n{rest}"
    return block if block.endswith("\n") else f"{block}\n"
