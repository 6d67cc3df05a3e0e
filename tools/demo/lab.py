"""A laboratory on loopback: simulated servers, the collector and the annotator, all ended by id."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

BIN = Path(sys.executable).parent
ENV = "demo"
USER, PASSWORD = "monitor", "simulated-bmcs-only"
START_TIMEOUT_S = 30.0
_LISTENING = re.compile(r"listening on (http://\S+)")


class LabError(RuntimeError):
    """A part of the laboratory did not start or ended by itself; the message holds its last words."""


class Lab:
    """Simulator and annotator (which hosts the collector) while the ``with`` block runs.

    Args:
        folder: Where fleet file, state and logs go.
        spec: The simulator's spec file.
        interval: Polling interval of every server, such as ``1s``.
    """

    def __init__(self, folder: Path, spec: Path, *, interval: str) -> None:
        self.folder = folder
        self._spec = spec
        self._interval = interval
        self._started: list[subprocess.Popen[Any]] = []
        self._logs: list[IO[bytes]] = []
        self.bmcs: Sequence[Mapping[str, Any]] = ()
        self.url = ""
        self._control = ""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start_simulator()
            self._write_fleet()
            self._start_annotator()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started, the last first; a part that does not end in 10 s is killed."""
        while self._started:
            process = self._started.pop()
            if process.stdin is not None:
                process.stdin.close()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        while self._logs:
            self._logs.pop().close()

    @property
    def annotator_pid(self) -> int:
        """Process id of the annotator."""
        return self._started[-1].pid

    def environ(self) -> dict[str, str]:
        """Return the environment in which a test job finds this annotator."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ENERGY_")}
        spool = str(self.folder / "spool")
        return {
            **kept,
            "ENERGY_URL": self.url,
            "ENERGY_ENV": ENV,
            "ENERGY_SPOOL_DIR": spool,
            "DEMO_CONTROL": self._control,
        }

    def get(self, path: str, **query: str | int) -> Any:
        """Return the JSON answer of the annotator."""
        return _json(f"{self.url}{path}?{urllib.parse.urlencode(query)}")

    def truth_j(self, from_ns: int, to_ns: int) -> float:
        """Return the true energy of all servers between two moments, joules."""
        query = urllib.parse.urlencode({"server": "*", "from": from_ns, "to": to_ns})
        return float(_json(f"{self._control}/truth?{query}")["energy_j"])

    def reboot(self, server: str, *, off_s: float, standby_w: float) -> None:
        """Turn a server off now, for ``off_s`` seconds."""
        post(f"{self._control}/reboot", {"server": server, "off_s": off_s, "standby_w": standby_w})

    def _start(self, command: Sequence[str], log: str, **options: Any) -> subprocess.Popen[Any]:
        file = (self.folder / log).open("wb")
        self._logs.append(file)
        # A session of its own: Ctrl-C reaches this process alone, which then ends the parts in order.
        process = subprocess.Popen(command, stderr=file, start_new_session=True, **options)
        self._started.append(process)
        return process

    def _start_simulator(self) -> None:
        command = [str(BIN / "energy-bmcsim"), "serve", "--spec", str(self._spec), "--json"]
        environ = {**os.environ, "BMC_PASSWORD": PASSWORD}
        process = self._start(
            command, "simulator.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
        )
        line = process.stdout.readline() if process.stdout is not None else b""
        if not line:
            raise LabError(self._last_words("simulator.log"))
        answer = json.loads(line)
        self.bmcs, self._control = answer["bmcs"], answer["control"]
        self._ca_file = answer["ca_file"]

    def _write_fleet(self) -> None:
        lines = [
            "[defaults]",
            f'env = "{ENV}"',
            f'interval = "{self._interval}"',
            'credentials = "demo"',
            f'tls = "ca:{self._ca_file}"',
            "[credentials.demo]",
            f'user = "{USER}"',
            'password = "{env=BMC_PASSWORD}"',
        ]
        for bmc in self.bmcs:
            family = "ilo" if bmc["protocol"].startswith("ilo") else bmc["protocol"]
            host = bmc["url"] or f"{bmc['address']}:{bmc['port']}"
            lines += ["[[server]]", f'id = "{bmc["id"]}"', f'host = "{host}"', f'protocol = "{family}"']
        (self.folder / "fleet.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _start_annotator(self) -> None:
        command = [str(BIN / "energy-annotator"), "serve", "--fleet", str(self.folder / "fleet.toml")]
        command += ["--port", "0", "--state", str(self.folder / "state")]
        environ = {**os.environ, "BMC_PASSWORD": PASSWORD}
        environ["PATH"] = f"{BIN}{os.pathsep}{environ.get('PATH', '')}"
        process = self._start(
            command, "annotator.log", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environ
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while (match := _LISTENING.search(self._read("annotator.log"))) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(self._last_words("annotator.log"))
            time.sleep(0.05)
        self.url = match[1]

    def _read(self, log: str) -> str:
        return (self.folder / log).read_text(encoding="utf-8", errors="replace")

    def _last_words(self, log: str) -> str:
        return f"{log} ends with:\n{self._read(log)[-2000:]}"


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # loopback
        return json.load(answer)


def post(url: str, body: Mapping[str, object]) -> None:
    """Send ``body`` as JSON."""
    request = urllib.request.Request(  # noqa: S310  # loopback
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310  # loopback
        pass
