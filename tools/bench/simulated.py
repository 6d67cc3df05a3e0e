"""Simulated BMCs in another process, for benchmarks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER, PASSWORD = "monitor", "bench-of-the-bmc"
PAYLOAD = "dell-r640-idrac9"


@dataclass(frozen=True, slots=True)
class Simulated:
    """A running simulator.

    Args:
        listing: What it printed.
        folder: For files of the benchmark.
    """

    listing: Mapping[str, Any]
    folder: Path

    @property
    def ca_file(self) -> str:
        """PEM of the CA of all BMCs."""
        return str(self.listing["ca_file"])

    def url(self, bmc_id: str) -> str:
        """Return the base URL of a BMC."""
        return next(str(bmc["url"]) for bmc in self.listing["bmcs"] if bmc["id"] == bmc_id)

    def stats(self) -> dict[str, dict[str, int]]:
        """Return what was counted per BMC since the start."""
        with urllib.request.urlopen(f"{self.listing['control']}/stats", timeout=30) as answer:  # noqa: S310  # loopback
            counted: dict[str, dict[str, int]] = json.load(answer)
        return counted

    def fleet(self, folder: Path, ids: Sequence[str], interval: str) -> Path:
        """Write a fleet file for some of the BMCs and return its path."""
        urls = {bmc["id"]: bmc["url"] for bmc in self.listing["bmcs"]}
        text = (
            f'[defaults]\nenv = "bench"\ncredentials = "lab"\nprotocol = "redfish"\ninterval = "{interval}"\n'
            f'timeout = "9s"\ntls = "ca:{self.ca_file}"\n[credentials.lab]\nuser = "{USER}"\n'
            'password = "{env=BMC_PASSWORD}"\n'
        )
        text += "".join(f'[[server]]\nid = "{one}"\nhost = "{urls[one]}"\n' for one in ids)
        path = folder / "fleet.toml"
        path.write_text(text, encoding="utf-8")
        return path


@contextlib.contextmanager
def simulated(
    folder: Path, ids: Sequence[str], *, latency_s: float = 0.0, faults: Mapping[str, str] | None = None
) -> Iterator[Simulated]:
    """Serve BMCs that draw a moving power, until the block ends.

    Args:
        folder: For the spec file.
        ids: One BMC each.
        latency_s: Time that each takes to answer.
        faults: Per id the fault that lasts from the start, as the spec file has it.
    """
    spec = folder / "sim.toml"
    tables = [
        f'[[bmc]]\nid = "{one}"\nprotocol = "redfish"\npayload = "{PAYLOAD}"\n'
        f"power = {{ formula = '300 + 50*sin(t/7)' }}\nsensor = {{ latency_s = {latency_s} }}\n"
        + (f"faults = [{faults[one]}]\n" if faults and one in faults else "")
        for one in ids
    ]
    spec.write_text(
        f'[fleet]\nuser = "{USER}"\npassword = "{PASSWORD}"\n' + "".join(tables), encoding="utf-8"
    )
    with serving(spec) as listing:
        yield Simulated(listing, folder)


@contextlib.contextmanager
def serving(spec: Path) -> Iterator[Mapping[str, Any]]:
    """Serve the BMCs of a spec file until the block ends; the value is what ``energy-bmcsim`` printed."""
    command = [sys.executable, "-m", "energyrecorder_bmcsim", "serve", "--spec", str(spec), "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise AssertionError("its output is a pipe")
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(30)
