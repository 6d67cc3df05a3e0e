"""A real Telegraf for tests: its configuration folder, its environment, its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from support.tools import need

DROP_INS = Path(__file__).resolve().parent.parent.parent / "telegraf.conf.d"
EXECD = Path(sys.executable).parent / "energy-execd"
AGENT = """
[agent]
  interval = "{interval}"
  flush_interval = "1s"
  flush_jitter = "0s"
  collection_jitter = "0s"
  hostname = "telegraf-host"
  skip_processors_after_aggregators = true
"""


class Telegraf:
    """One configuration folder, and the process that reads it."""

    def __init__(self, folder: Path, *, main: str = "", interval: str = "1s", **environ: str) -> None:
        """Make the folder; ``main`` is added to the main file, ``environ`` to the environment."""
        self.folder = folder / "telegraf"
        self.drop_ins = self.folder / "telegraf.d"
        self.drop_ins.mkdir(parents=True)
        self.main = self.folder / "telegraf.conf"
        self.main.write_text(AGENT.format(interval=interval) + main, encoding="utf-8")
        self.environ = {
            **os.environ,
            "ENERGY_EXECD": str(EXECD),
            "ENERGY_FLEET": str(folder / "fleet.toml"),
            "ENERGY_STATE_DIR": str(folder / "state"),
            **environ,
        }
        self._log = self.folder / "telegraf.log"
        self.process: subprocess.Popen[bytes] | None = None

    def add(self, name: str, *changes: tuple[str, str]) -> Telegraf:
        """Copy one of our files, samples as ``.conf``; each change must match."""
        text = (DROP_INS / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, (name, old)
            text = text.replace(old, new)
        (self.drop_ins / name.removesuffix(".sample")).write_text(text, encoding="utf-8")
        return self

    def write(self, name: str, text: str) -> Telegraf:
        """Add a file of the user's own."""
        (self.drop_ins / name).write_text(text, encoding="utf-8")
        return self

    def _command(self, *arguments: str) -> list[str]:
        return [
            need("telegraf"),
            *arguments,
            "--config",
            str(self.main),
            "--config-directory",
            str(self.drop_ins),
        ]

    def run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run it to its end, such as ``config check`` or ``--once``."""
        return subprocess.run(
            self._command(*arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self) -> Telegraf:
        """Start it; what it says is appended to the log."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    @property
    def log(self) -> str:
        """All that was said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def send(self, number: int) -> None:
        """Send a signal to Telegraf itself."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """End it and return its exit status; harmless when it is not running."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None

    def until(self, condition, seconds: float = 60.0):
        """Return the first true value of ``condition``; it is asked five times a second."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, self.log[-4000:]
            time.sleep(0.2)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
