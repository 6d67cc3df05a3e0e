"""Makes a fleet file of the original's YAML, ``PODS:`` (pure); comments name what is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import tables
from energyrecorder_execd.fleet.hosts import parse_host
from energyrecorder_execd.fleet.render import Accounts, Entry, fleet_file, server_id

TYPES: Mapping[str, tuple[str, str]] = {
    "ipmi": ("ipmi", ""),
    "redfish": ("redfish", ""),
    "ilo": ("ilo", ""),
    "ilo-gui": ("auto", "the web page of iLO was read; its REST interface or IPMI is now"),
    "idrac8-gui": (
        "auto",
        "the web page of iDRAC8 was read; Redfish (firmware 2.40 and later) or IPMI is now",
    ),
    "ibmc-gui": ("auto", "the web page of iBMC was read; Redfish or IPMI is now"),
    "intel-gui": ("auto", "the web page of the Intel BMC was read; Redfish or IPMI is now"),
}
"""The original's type → protocol, and what changes (peers: bherard/energyrecorder, collectors)."""

_KNOWN_POD = {"environment", "servers", "polling_interval", "active"}
_KNOWN_SERVER = {"id", "type", "host", "user", "pass", "active", "power"}
_BRIDGE = re.compile(r"(?P<host>.+):(?P<bridge>0x[0-9a-fA-F]{1,2})")
_MILLISECOND_DIGITS = 3


@dataclass(slots=True)
class _Import:
    name: str
    accounts: Accounts = field(default_factory=Accounts)
    notes: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)


def fleet_from_pods(text: str, name: str) -> str:
    """Return the fleet file for a configuration of the original's collector.

    Args:
        text: YAML with the top key ``PODS``.
        name: Of the file, for messages and the comment at the top.

    Raises:
        ConfigError: It is no YAML, or has no ``PODS`` list, or none of its servers can be carried over.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such day
        mark = getattr(error, "problem_mark", None)
        where = f"{name}: line {mark.line + 1}" if mark else name
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML: {why}") from None
    pods = document.get("PODS") if isinstance(document, dict) else None
    if not isinstance(pods, list):
        found = "missing key 'PODS'" if pods is None else f"key 'PODS' is {pods!r}"
        raise ConfigError(f"{name}: {found}; allowed: a list of environments with their servers")
    work = _Import(name)
    for number, pod in enumerate(pods, start=1):
        if isinstance(pod, dict):
            _add_pod(work, pod, number)
        else:
            work.notes.append(f"PODS: {pod!r} was not carried over: it is no environment")
    if not work.entries:
        why = "; ".join(work.notes) or "it names none"
        raise ConfigError(f"{name}: none of its servers can be carried over: {why}")
    notes = [
        f"Made of {name} by energy-execd import-pods.",
        "Passwords were not carried over: put them into the variables named below.",
        "Certificates are verified, which the original did not do by itself: see energy-execd pin.",
    ]
    notes += [f"{key} was not carried over: it is not part of a fleet" for key in document if key != "PODS"]
    return fleet_file(work.entries, notes=[*notes, *work.notes], accounts=work.accounts.tables())


def _add_pod(work: _Import, pod: Mapping[str, Any], number: int) -> None:
    env = str(pod.get("environment") or f"pod{number}")
    _note_unknown(work, f"PODS {env!r}", pod, _KNOWN_POD)
    servers = pod.get("servers")
    for raw in servers if isinstance(servers, list) else ():
        if not isinstance(raw, dict):
            work.notes.append(f"PODS {env!r}: {raw!r} was not carried over: it is no server")
            continue
        entry = _entry(work, raw, env)
        if isinstance(entry, str):
            work.notes.append(f"server {raw.get('id')!r} of {env!r} was not carried over: {entry}")
            continue
        values = dict(entry.values)
        interval = _interval(pod.get("polling_interval"))
        if interval:
            values["interval"] = interval
        if pod.get("active") is False or raw.get("active") is False:
            values["enabled"] = False
        work.entries.append(Entry(values, entry.notes))


def _entry(work: _Import, raw: Mapping[str, Any], env: str) -> Entry | str:
    kind, host = str(raw.get("type")), str(raw.get("host") or "")
    if kind not in TYPES:
        return f"type {kind!r} is read by Telegraf's own inputs (modbus, snmp, file, http)"
    protocol, note = TYPES[kind]
    notes = [note] if note else []
    bridge = _BRIDGE.fullmatch(host) if kind == "ipmi" else None
    if bridge is not None:
        host = bridge["host"]
    try:
        parse_host(host)
    except ValueError:
        return f"its host is {host!r}"
    own = server_id(str(raw.get("id") or host))
    if own in work.taken:
        own = server_id(f"{env}-{own}")
        notes.append("its id stands twice in the file")
    if not own or own in work.taken:
        return "its id cannot be made one of its own"
    work.taken.add(own)
    if own != str(raw.get("id")):
        notes.append(f"called {raw.get('id')!r} before")
    notes += [f"{key} was not carried over" for key in raw if key not in _KNOWN_SERVER]
    values: dict[str, Any] = {"id": own, "host": host, "env": env, "protocol": protocol}
    if bridge is not None:
        values["bridge"] = bridge["bridge"]
    values["credentials"] = work.accounts.name(str(raw.get("user") or "monitor"), str(raw.get("pass") or ""))
    return Entry(values, notes)


def _interval(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # The original turns 0 and less into 0.1 s, which no BMC keeps up with.
    seconds = min(tables.MAX_INTERVAL_S, max(tables.MIN_INTERVAL_S, float(value)))
    return f"{round(seconds, _MILLISECOND_DIGITS):g}s"


def _note_unknown(work: _Import, where: str, table: Mapping[str, Any], known: set[str]) -> None:
    unknown = [str(key) for key in table if key not in known]
    if unknown:
        work.notes.append(f"{where}: not carried over: {', '.join(unknown)}")
