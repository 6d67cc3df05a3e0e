"""A fleet of simulated IPMI BMCs and a collector that polls it, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self, cast

from bench.simulated import PASSWORD, USER, serving

BIN = Path(sys.executable).parent
_SIM = f'[fleet]\nseed = 7\nuser = "{USER}"\npassword = "{PASSWORD}"\n'
_BMC = '[[bmc]]\nid = "bmc-{number}"\nprotocol = "ipmi"\npower = {{ constant_w = 216.0 }}\n'
_FLEET = f'[defaults]\nenv = "bench"\ncredentials = "lab"\ninterval = "{{interval}}"\n\
[credentials.lab]\nuser = "{USER}"\npassword = "{PASSWORD}"\n'
_SERVER = '[[server]]\nid = "bmc-{number}"\nhost = "127.0.0.1"\nport = {port}\nprotocol = "ipmi"\n'


@contextmanager
def simulated(folder: Path, count: int, keys: str = "") -> Iterator[Mapping[str, Any]]:
    """Run ``count`` BMCs, each with these lines of TOML; the value is what ``energy-bmcsim`` printed."""
    spec = folder / f"sim-{count}.toml"
    bmcs = (_BMC.format(number=number) + keys for number in range(count))
    spec.write_text(_SIM + "".join(bmcs), encoding="utf-8")
    with serving(spec) as listing:
        yield listing


def order_fault(sim: Mapping[str, Any], fault: Mapping[str, Any]) -> None:
    """Let something go wrong now."""
    request = urllib.request.Request(  # noqa: S310  # our own simulator on loopback
        f"{sim['control']}/fault", json.dumps(fault).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310  # as above
        pass


class Collector:
    """``energy-execd run`` over simulated BMCs while the ``with`` block runs.

    Args:
        folder: Where fleet file and state go.
        bmcs: Entries of the simulator's list.
        interval: Polling interval, such as ``10s``.
    """

    def __init__(self, folder: Path, bmcs: list[Mapping[str, Any]], *, interval: str = "10s") -> None:
        folder.mkdir()
        servers = (_SERVER.format(number=n, port=bmc["port"]) for n, bmc in enumerate(bmcs))
        fleet = folder / "fleet.toml"
        fleet.write_text(_FLEET.format(interval=interval) + "".join(servers), encoding="utf-8")
        self._command = [
            *(str(BIN / "energy-execd"), "run"),
            *("--fleet", str(fleet), "--state", str(folder / "state")),
        ]
        (folder / "state").mkdir()
        self._log = folder / "log"
        self.readings = 0
        self.up: set[bytes] = set()

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        cast("IO[bytes]", self._process.stdin).close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(5)
        cast("IO[bytes]", self._process.stdout).close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def poll_at_once(self) -> None:
        """Ask for every server that was not polled yet, as Telegraf's STDIN signal does."""
        stdin = cast("IO[bytes]", self._process.stdin)
        stdin.write(b"\n")
        stdin.flush()

    def wait_for(self, count: int, *, within_s: float) -> float:
        """Wait until ``count`` servers were up once; return how long that took, seconds.

        Raises:
            TimeoutError: It took too long; the message holds the end of the log.
        """
        begun = time.perf_counter()
        while len(self.up) < count:
            if time.perf_counter() - begun > within_s:
                log = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise TimeoutError(f"{len(self.up)} of {count} servers are up after {within_s:g} s\n{log}")
            time.sleep(0.01)
        return time.perf_counter() - begun

    def _listen(self) -> None:
        for line in cast("IO[bytes]", self._process.stdout):
            if line.startswith(b"server_power"):
                self.readings += 1
            elif b",up=1i" in line or b" up=1i" in line:
                self.up.add(line.split(b"server=", 1)[1].split(b" ", 1)[0].split(b",", 1)[0])


def tree_cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its children that have ended, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def thread_cpu_s(pid: int) -> float:
    """Return the CPU time of a running process to the nanosecond, its threads together, seconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9
