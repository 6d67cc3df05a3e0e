"""Writes fleet files: for `init`, `probe`, `pin` and the imports (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_ID = 64

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._:-]+")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``[[server]]`` to be written.

    Args:
        values: Its keys, in the order in which they are written.
        notes: What a person has to know of it, written as comments above it.
    """

    values: Mapping[str, Any]
    notes: Sequence[str] = ()


@dataclass(slots=True)
class Accounts:
    """The accounts of an import: one table for each user and password, the passwords left out.

    The file gets the name of an environment variable in place of each password.
    """

    _names: dict[tuple[str, str], str] = field(default_factory=dict)

    def name(self, user: str, password: str) -> str:
        """Return the name of the table for this log-in."""
        key = (user, password)
        if key not in self._names:
            number = len(self._names) + 1
            self._names[key] = "lab" if number == 1 else f"lab{number}"
        return self._names[key]

    def tables(self) -> Mapping[str, tuple[str, str]]:
        """Return per table the user and the variable that is to hold the password."""
        return {
            name: (user, "BMC_PASSWORD" if name == "lab" else f"BMC_PASSWORD_{name.removeprefix('lab')}")
            for (user, _), name in self._names.items()
        }


def server_id(text: str) -> str:
    """Return ``text`` with what a server id may not hold replaced; empty if nothing is left."""
    return _NOT_IN_ID.sub("-", text.strip()).strip("-")[:MAX_ID]


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it, tables inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (int, float)):
        return repr(value)
    return '"' + "".join(_escaped(character) for character in str(value)) + '"'


def server_table(entry: Entry) -> str:
    """Return one ``[[server]]`` table with its comments."""
    lines = [_comment(note) for note in entry.notes]
    lines.append("[[server]]")
    lines += [f"{_key(key)} = {toml_value(value)}" for key, value in entry.values.items()]
    return "\n".join(lines) + "\n"


def fleet_file(
    entries: Sequence[Entry],
    *,
    notes: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
    accounts: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    """Return a whole fleet file.

    Args:
        entries: Its servers.
        notes: Comments at its top.
        defaults: Keys of ``[defaults]``.
        accounts: Name of each credentials table → user and environment variable of the password.
    """
    parts = ["".join(f"{_comment(note)}\n" for note in notes)] if notes else []
    if defaults:
        lines = [f"{_key(key)} = {toml_value(value)}" for key, value in defaults.items()]
        parts.append("\n".join(["[defaults]", *lines]) + "\n")
    for name, (user, variable) in (accounts or {}).items():
        parts.append(
            f'[credentials.{_key(name)}]\nuser = {toml_value(user)}\npassword = "{{env={variable}}}"\n'
        )
    parts += [server_table(entry) for entry in entries]
    return "\n".join(parts)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_value(name)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _comment(text: str) -> str:
    return "# " + "".join(character if character.isprintable() else " " for character in text)
