"""Run ``energy-execd once`` on simulated BMCs and read what it printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from line_protocol_parser import parse_line

from support.bmcsim import PASSWORD, USER, Command

VOLATILE = frozenset({"latency_ms", "scrape_ms", "late_ticks", "bmc_url"})
"""Fields that differ from run to run."""


def as_toml(value: Any) -> str:
    """Return a value as TOML writes it, tables inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}" = {as_toml(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def table(header: str, values: Mapping[str, Any]) -> str:
    """Return a TOML table."""
    return f"{header}\n" + "".join(f"{key} = {as_toml(value)}\n" for key, value in values.items())


def write_fleet(folder: Path, sim: Command, servers: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a fleet file that polls simulated BMCs; each key is the id of a server and of its BMC."""
    defaults = {
        "env": "lab",
        "credentials": "lab",
        "tls": f"ca:{sim.listing['ca_file']}",
        "timeout": "60s",
    }
    text = table("[defaults]", defaults)
    text += table("[credentials.lab]", {"user": USER, "password": "{env=BMC_PASSWORD}"})
    for name, values in servers.items():
        bmc = sim.bmc(name)
        host = bmc["url"] or f"{bmc['address']}:{bmc['port']}"
        text += table("[[server]]", {"id": name, "host": host, **values})
    path = folder / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return path


def once(fleet: Path, state: Path, *, timeout_s: float = 100) -> subprocess.CompletedProcess[str]:
    """Run ``energy-execd once``; the password of the simulated BMCs appears in neither output."""
    done = subprocess.run(
        [sys.executable, "-m", "energyrecorder_execd", "once", "--fleet", str(fleet)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "BMC_PASSWORD": PASSWORD, "ENERGY_STATE_DIR": str(state)},
        check=False,
    )
    assert PASSWORD not in done.stdout + done.stderr
    return done


def points_by_server(printed: str) -> dict[str, list[dict[str, Any]]]:
    """Return the parsed points of each server, nodes with their BMC."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in printed.splitlines():
        point = parse_line(line)
        found.setdefault(point["tags"]["server"].partition("/")[0], []).append(point)
    return found
