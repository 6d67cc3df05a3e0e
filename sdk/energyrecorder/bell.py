"""Wakes a thread, and may be rung by a signal handler that interrupts the ringing of the same bell."""

from __future__ import annotations

import contextlib
import threading


class Bell:
    """Remembers that it was rung until somebody waits for it; one thread does.

    A bare lock: events, and PyPy's queues, hold theirs for a moment; a signal handler that rings just then
    would wait for the code that it interrupts.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake who waits, or who will; never blocks."""
        if self._silent.locked():
            with contextlib.suppress(RuntimeError):  # rung by another one since
                self._silent.release()

    def wait(self, timeout_s: float) -> bool:
        """Return whether it was rung, at once or within ``timeout_s`` seconds; it is silent again."""
        return self._silent.acquire(timeout=timeout_s)
