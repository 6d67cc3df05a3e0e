"""A reader's own part of what is remembered of a BMC, whatever a damaged state file holds."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import asdict, fields
from typing import Any

from energyrecorder_execd.readers.base import Memory, ServerInfo

_TYPES = {"str | None": (str,), "int | None": (int,), "float | None": (int, float)}
_FIELDS = {field.name: _TYPES[str(field.type)] for field in fields(ServerInfo)}


def own_facts(memory: Memory, protocol: str) -> MutableMapping[str, Any]:
    """Return the facts of ``protocol``, made if there are none."""
    if not isinstance(memory.facts.get(protocol), dict):
        memory.facts[protocol] = {}
    own: MutableMapping[str, Any] = memory.facts[protocol]
    return own


def remember_info(facts: MutableMapping[str, Any], info: ServerInfo) -> None:
    """Keep what was learned of the server, so that it is known at once after a restart."""
    facts["info"] = {name: value for name, value in asdict(info).items() if value is not None}


def remembered_info(facts: MutableMapping[str, Any]) -> ServerInfo | None:
    """Return what `remember_info` kept; None if there is nothing."""
    kept = facts.get("info")
    if not isinstance(kept, dict):
        return None
    known: dict[str, Any] = {
        name: value for name, value in kept.items() if isinstance(value, _FIELDS.get(name, ()))
    }
    return ServerInfo(**known) if known else None
