"""A ``run`` of the collector on simulated BMCs: what it prints, and what it uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from line_protocol_parser import parse_line

from execd.waiting import wait_until
from support.bmcsim import PASSWORD

_COUNTED = Path(__file__).with_name("counted_execd.py")


class Used(NamedTuple):
    """What the process has at a moment."""

    memory_mb: float
    descriptors: int
    threads: int
    tasks: int


class Run:
    """A running collector; end it by `end`, or by `close` whatever happened.

    Args:
        fleet: The fleet file.
        state: The state directory.
    """

    def __init__(self, fleet: Path, state: Path) -> None:
        self.points: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(_COUNTED), "run", "--fleet", str(fleet), "--state", str(state)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "BMC_PASSWORD": PASSWORD},
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=self._collect, daemon=True),
            threading.Thread(target=lambda: self.log.extend(self.process.stderr or ()), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _collect(self) -> None:
        for line in self.process.stdout or ():
            if not line.startswith("server_info,"):
                self.points.append(parse_line(line))

    def of(self, server: str, measurement: str = "server_bmc") -> list[tuple[int, dict[str, Any]]]:
        """Return time and fields of each point of a server, in the order in which they were printed."""
        return [
            (point["time"], point["fields"])
            for point in list(self.points)
            if point["tags"]["server"] == server and point["measurement"] == measurement
        ]

    def used(self) -> Used:
        """Return what the process uses now."""
        told = len(self._tasks())
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(self._tasks()) > told)
        folder = Path(f"/proc/{self.process.pid}")
        pages = int((folder / "statm").read_text().split()[1])
        return Used(
            pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            len(list((folder / "fd").iterdir())),
            len(list((folder / "task").iterdir())),
            self._tasks()[-1],
        )

    def _tasks(self) -> list[int]:
        return [int(line.removeprefix("tasks ")) for line in list(self.log) if line.startswith("tasks ")]

    def end(self) -> int:
        """End it by SIGTERM and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        for thread in self._threads:
            thread.join(10)
        return code

    def close(self) -> None:
        """End it in any case."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
