"""A real InfluxDB 1.x on loopback for one test session."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from support.tools import need

CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[monitor]
  store-enabled = false
"""
# Far beyond what they take here: a busy machine must not fail a test.
START_S = 60.0
ANSWER_S = 60.0


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Influxd:
    """One ``influxd`` process with its data below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "influxdb.conf"
        self._config.write_text(CONFIG.format(folder=folder, rpc=free_port(), http=self.port))
        self._log = folder / "influxd.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers a ping."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [need("influxd"), "-config", str(self._config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/ping", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(f"influxd did not start: {self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End the process; harmless when it is not running."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(START_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def write(self, database: str, lines: str) -> None:
        """Write line protocol; an answer other than 204 raises ``urllib.error.HTTPError``."""
        url = f"{self.url}/write?{urllib.parse.urlencode({'db': database})}"
        with urllib.request.urlopen(
            urllib.request.Request(url, lines.encode(), method="POST"), timeout=ANSWER_S
        ):
            pass

    def query(self, text: str, database: str = "") -> list[dict[str, object]]:
        """Return the series of one InfluxQL statement, times in ns."""
        form = urllib.parse.urlencode({"q": text, "db": database, "epoch": "ns"}).encode()
        with urllib.request.urlopen(f"{self.url}/query", form, timeout=ANSWER_S) as answer:
            result = json.load(answer)["results"][0]
        if "error" in result:
            raise RuntimeError(result["error"])
        series: list[dict[str, object]] = result.get("series", [])
        return series
