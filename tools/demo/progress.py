"""What runs at the moment, on one line of a terminal; plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
import urllib.error
from types import TracebackType
from typing import Self

from demo.lab import ENV, Lab

PERIOD_S = 0.5


class Progress:
    """Shows the running step and the power of all servers while the ``with`` block runs.

    Args:
        lab: Where to ask.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._terminal = sys.stdout.isatty()
        self._shown = ""
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._terminal:
            sys.stdout.write("\r\x1b[K")

    def say(self, text: str) -> None:
        """Print a line of its own."""
        clear = "\r\x1b[K" if self._terminal else ""
        print(f"{clear}{self._elapsed()} {text}", flush=True)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._started:5.0f} s"

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD_S):
            try:
                running, power_w, servers = self._look()
            except (urllib.error.URLError, OSError, KeyError):
                continue  # the next look may succeed; the demo itself notices a dead annotator
            if self._terminal:
                shown = f"{running or 'between runs':32.32} {power_w:7.0f} W on {servers} servers"
                sys.stdout.write(f"\r\x1b[K{self._elapsed()} {shown}")
                sys.stdout.flush()
            elif running != self._shown:
                self._shown = running
                print(f"{self._elapsed()} {running or 'between runs'}", flush=True)

    def _look(self) -> tuple[str, float, int]:
        steps = self._lab.get("/v1/steps", env=ENV, state="running")["steps"]
        names = [step["step"] or step["scenario"] for step in sorted(steps, key=lambda step: step["depth"])]
        since_ns = time.time_ns() - 15_000_000_000
        series = self._lab.get("/v1/power", env=ENV, max_points=20, **{"from": since_ns})["series"]
        newest = [one["points"][-1][1] for one in series if one["points"] and one["part"] is None]
        return " / ".join(names), sum(newest), len(newest)
