"""Starts `energy-execd` as Telegraf does, with the fake readers, and reads what it prints as it comes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from execd.waiting import wait_until

PASSWORD = "sikrit-9!"
FAKE = Path(__file__).with_name("fake_execd.py")
DEFAULTS = """
[defaults]
env = "pod1"
credentials = "lab"
protocol = "redfish"
interval = "{interval}"
timeout = "{timeout}"
[credentials.lab]
user = "monitor"
password = "{{env=BMC_PASSWORD}}"
"""


def fleet_text(*servers, interval="0.5s", timeout="5s", extra=""):
    """Return a fleet file with one BMC per id."""
    tables = [
        f'[[server]]\nid = "{server}"\nhost = "10.0.0.{number}"\n{extra}'
        for number, server in enumerate(servers, start=1)
    ]
    return DEFAULTS.format(interval=interval, timeout=timeout) + "\n".join(tables)


class Plugin:
    """One `run`."""

    def __init__(self, folder, *servers, arguments=(), text=None, **more):
        self.folder = folder
        self.fleet = folder / "fleet.toml"
        if text is not None or servers:
            self.fleet.write_text(text or fleet_text(*servers, **more))
        self.lines = []
        self.errors = []
        command = [
            sys.executable,
            FAKE,
            "run",
            "--fleet",
            self.fleet,
            "--state",
            folder / "state",
            *arguments,
        ]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "BMC_PASSWORD": PASSWORD},
        )
        self._threads = [
            threading.Thread(target=self._collect, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _collect(stream, into):
        into.extend((time.monotonic(), line) for line in stream)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def newline(self, count=1):
        """Ask for a gather, as `signal = "STDIN"` does."""
        self.process.stdin.write("\n" * count)
        self.process.stdin.flush()

    def end(self, longest_s=60.0):
        """Close standard input and return (exit code, seconds it took)."""
        began = time.monotonic()
        self.process.stdin.close()
        return self._wait(began, longest_s)

    def signal(self, number, longest_s=60.0):
        """Send a signal and return (exit code, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self._wait(began, longest_s)

    def _wait(self, began, longest_s):
        code = self.process.wait(longest_s)
        took = time.monotonic() - began
        for thread in self._threads:
            thread.join(10)
        return code, took

    def bmc(self, server):
        """Return the `server_bmc` lines of one server so far."""
        return [
            line for _, line in self.lines if line.startswith("server_bmc,") and f"server={server} " in line
        ]

    def wait_for(self, server, count=1):
        """Wait until so many polls of one server were written."""
        wait_until(lambda: len(self.bmc(server)) >= count)

    def wait_for_log(self, pattern):
        """Wait for a log line."""
        wait_until(lambda: any(re.search(pattern, line) for _, line in self.errors))

    @property
    def log(self):
        """Everything logged so far."""
        return "".join(line for _, line in self.errors)
