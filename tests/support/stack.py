"""A small simulated fleet with its fleet file, for the tests of Telegraf, InfluxDB and Grafana."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from support.bmcsim import FLEET, Command, serving
from support.execd import write_fleet

BMCS = """
[[bmc]]
id = "dell-1"
protocol = "redfish"
payload = "dell-r640-idrac9"
power = { formula = "300 + 60*sin(t/7)" }
sensor = { refresh_s = 1.0, window_s = 1.0, quantum_w = 1.0, latency_s = 0.02 }

[[bmc]]
id = "hpe-1"
protocol = "ilo5"
payload = "hpe-dl385-ilo5"
power = { formula = "250 + 40*sin(t/9)" }
sensor = { refresh_s = 1.0, window_s = 1.0, quantum_w = 1.0, latency_s = 0.02 }

[[bmc]]
id = "ipmi-1"
protocol = "ipmi"
power = { formula = "200 + 30*sin(t/11)" }
sensor = { refresh_s = 1.0, window_s = 1.0, quantum_w = 1.0, latency_s = 0.005 }
dcmi = true
"""
PROTOCOLS = {"dell-1": "redfish", "hpe-1": "ilo", "ipmi-1": "ipmi"}


@contextlib.contextmanager
def three_bmcs(folder: Path, *, interval: str = "1s", bmcs: str = BMCS) -> Iterator[Command]:
    """Serve a Redfish, an iLO and an IPMI BMC and write ``fleet.toml`` for them."""
    spec = folder / "sim.toml"
    spec.write_text(FLEET + bmcs, encoding="utf-8")
    with serving(spec) as sim:
        servers = {name: {"protocol": protocol, "interval": interval} for name, protocol in PROTOCOLS.items()}
        write_fleet(folder, sim, servers)
        yield sim


def ask_control(sim: Command, path: str, **query: object) -> dict[str, object]:
    """Return what the simulator's control port answers."""
    url = f"{sim.listing['control']}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        parsed: dict[str, object] = json.load(answer)
        return parsed


def order_control(sim: Command, path: str, body: dict[str, object]) -> dict[str, object]:
    """Return what the simulator's control port answers to a POST."""
    request = urllib.request.Request(
        f"{sim.listing['control']}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        parsed: dict[str, object] = json.load(answer)
        return parsed
