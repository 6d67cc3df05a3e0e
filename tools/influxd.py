"""A real InfluxDB 1.x on loopback, for tests and benchmarks."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Self

PROGRAM = "influxd"
_CONFIG = """
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
  auth-enabled = {guarded}
[monitor]
  store-enabled = false
"""
# Far beyond what they take here: a busy machine must not fail a test.
_START_S = 60.0
_ANSWER_S = 60.0
_BATCH = 5000
"""Lines; InfluxDB's own recommendation."""


def program() -> str | None:
    """Return the path of InfluxDB's server, None where it is not installed."""
    return shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Influxd:
    """One ``influxd`` process.

    Args:
        folder: Where its data are.
        guarded: Whether it asks for passwords.
    """

    def __init__(self, folder: Path, *, guarded: bool = False) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "influxdb.conf"
        flag = str(guarded).lower()
        self._config.write_text(
            _CONFIG.format(folder=folder, rpc=free_port(), http=self.port, guarded=flag), encoding="utf-8"
        )
        self._log = folder / "influxd.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers a ping.

        Raises:
            FileNotFoundError: InfluxDB is not installed.
            RuntimeError: It does not start; the message has the end of its log.
        """
        found = program()
        if found is None:
            raise FileNotFoundError(PROGRAM)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [found, "-config", str(self._config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self._ask("/ping", timeout_s=2)
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise RuntimeError(f"influxd did not start: {self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)
            else:
                return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process; harmless when it is not running."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(_START_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def write(self, database: str, lines: str, *, policy: str = "") -> None:
        """Write line protocol, by default to the default policy; refused: ``urllib.error.HTTPError``."""
        self._ask(f"/write?{urllib.parse.urlencode({'db': database, 'rp': policy})}", lines.encode())

    def fill(self, database: str, lines: Iterable[str], *, policy: str = "") -> None:
        """Write any number of lines into a database, which is made where it is not there."""
        self.query(f'CREATE DATABASE "{database}"')
        rest = iter(lines)
        while batch := list(itertools.islice(rest, _BATCH)):
            self.write(database, "\n".join(batch), policy=policy)

    def query(self, text: str, database: str = "") -> list[dict[str, object]]:
        """Return the series of one InfluxQL statement, times in ns.

        Raises:
            RuntimeError: It is refused; the message is InfluxDB's.
        """
        form = urllib.parse.urlencode({"q": text, "db": database, "epoch": "ns"}).encode()
        result = json.loads(self._ask("/query", form))["results"][0]
        if "error" in result:
            raise RuntimeError(result["error"])
        series: list[dict[str, object]] = result.get("series", [])
        return series

    def _ask(self, path: str, body: bytes | None = None, *, timeout_s: float = _ANSWER_S) -> bytes:
        # Always this process, by HTTP.
        with urllib.request.urlopen(self.url + path, body, timeout_s) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found
