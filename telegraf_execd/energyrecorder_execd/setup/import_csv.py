"""Makes a fleet file of an inventory in CSV (pure); what cannot be carried over is named in comments."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

from energyrecorder import schema
from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import tables
from energyrecorder_execd.fleet.hosts import parse_host
from energyrecorder_execd.fleet.render import Accounts, Entry, fleet_file, server_id

_BOARDS = ("bmc", "ilo", "idrac", "xcc", "ipmi", "oob", "mgmt", "management")
_ADDRESSES = ("", "_host", "_hostname", "_address", "_ip", "_ip_address")

COLUMNS: Mapping[str, Sequence[str]] = {
    "host": (
        *(f"{board}{end}" for board in _BOARDS for end in _ADDRESSES),
        "address",
        "ip",
        "ip_address",
        "host",
    ),
    "id": ("id", "server", "name", "hostname", "host"),
    "env": ("env", "environment", "pod", "lab"),
    "protocol": ("protocol", "type"),
    "port": ("port",),
    "interval": ("interval",),
    "tls": ("tls",),
    "user": ("user", "username", "login", "account"),
    "password": ("password", "pass", "pwd"),
    **{tag: (tag,) for tag in schema.STATIC_TAGS},
}
"""What a column may be called, the likeliest first; case, spaces and dashes do not count."""

_PROTOCOLS = {
    "idrac": "redfish",
    "xcc": "redfish",
    "ilo5": "redfish",
    "ilo6": "redfish",
    "ilo4": "ilo",
    "": "auto",
}
_CHECKED = {setting.name: setting for setting in tables.DEFAULTS}


def fleet_from_csv(text: str, name: str) -> str:
    """Return the fleet file for an inventory.

    Args:
        text: CSV with a header; separated by comma, semicolon or tab.
        name: Of the file, for messages and the comment at the top.

    Raises:
        ConfigError: It is no CSV, has no header with a column for the BMC's address, or no row that can be
            carried over.
    """
    lines = text.lstrip("\ufeff").splitlines()
    header = lines[0] if lines else ""
    separator = max(",;\t", key=header.count)
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise ConfigError(f"{name}: not CSV: {error}") from None
    chosen = _chosen(rows[0] if rows else [], name)
    accounts = Accounts()
    notes = [f"Made of {name} by energy-execd import-csv."]
    left_out = [cell for index, cell in enumerate(rows[0]) if index not in chosen.values() and cell.strip()]
    if left_out:
        notes.append("Columns that were not carried over: " + ", ".join(repr(cell) for cell in left_out))
    entries: list[Entry] = []
    refused: list[str] = []
    taken: set[str] = set()
    for number, row in enumerate(rows[1:], start=2):
        cells = {key: row[index].strip() for key, index in chosen.items() if index < len(row)}
        if not any(cells.values()):
            continue
        entry = _entry(cells, accounts, taken)
        if isinstance(entry, str):
            refused.append(f"Line {number} was not carried over: {entry}")
        else:
            entries.append(entry)
    if not entries:
        why = refused[0] if refused else "no row that names a BMC"
        raise ConfigError(f"{name}: {why}; allowed: a header, then one row per server")
    notes += refused
    if "password" in chosen:
        notes.append("Passwords were not carried over: put them into the variables named below.")
    return fleet_file(entries, notes=notes, accounts=accounts.tables())


def _chosen(header: Sequence[str], name: str) -> dict[str, int]:
    places = {
        "_".join(cell.lower().replace("-", " ").split()): i for i, cell in reversed(list(enumerate(header)))
    }
    chosen: dict[str, int] = {}
    for key, names in COLUMNS.items():
        # One column may be both: a host that is called as it is reached.
        found = [places[one] for one in names if one in places]
        free = [place for place in found if place not in chosen.values()]
        if free or (key == "id" and found):
            chosen[key] = (free or found)[0]
    if "host" not in chosen:
        raise ConfigError(
            f"{name}: no column for the BMC's address; allowed: 'address', 'ip', 'host', or one of "
            f"{', '.join(map(repr, _BOARDS))}, alone or with 'IP', 'address' or 'host' after it"
        )
    chosen.setdefault("id", chosen["host"])
    return chosen


def _entry(cells: Mapping[str, str], accounts: Accounts, taken: set[str]) -> Entry | str:
    host = cells.get("host", "")
    try:
        parse_host(host)
    except ValueError:
        return f"the BMC's address is {host!r}"
    wanted = cells.get("id") or host
    own = server_id(wanted)
    if not own or own in taken:
        return f"the id {wanted!r} is {'given twice' if own else 'empty'}"
    taken.add(own)
    notes = [] if own == wanted else [f"called {wanted!r} in the inventory"]
    values: dict[str, Any] = {"id": own, "host": host}
    protocol = cells.get("protocol", "").lower()
    protocol = _PROTOCOLS.get(protocol, protocol)
    if protocol not in tables.PROTOCOLS:
        notes.append(f"protocol {protocol!r} is not known; it is found out")
        protocol = "auto"
    if protocol != "auto":
        values["protocol"] = protocol
    values["credentials"] = accounts.name(cells.get("user") or "monitor", cells.get("password", ""))
    for key in ("env", "interval", "tls"):
        if not cells.get(key):
            continue
        if _allowed(key, cells[key]):
            values[key] = cells[key]
        else:
            notes.append(f"{key} {cells[key]!r} is not allowed and was left out")
    if cells.get("port", "").isdecimal():
        values["port"] = int(cells["port"])
    tags = {tag: cells[tag] for tag in schema.STATIC_TAGS if cells.get(tag)}
    if tags:
        values["tags"] = tags
    return Entry(values, notes)


def _allowed(key: str, value: str) -> bool:
    check = _CHECKED[key].check
    try:
        if check is not None:
            check(value)
    except ValueError:
        return False
    return True
