"""The threads of the event loop, and how long the end of the service may take.

The standard library's executor waits for its threads when the process ends: one that hangs in a request to a
database that does not answer would hold up the end for as long as that request may take.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

MOST_THREADS = 32
END_S = 4.8
"""The service has ended so long after it was told to."""


class DaemonThreads(ThreadPoolExecutor):
    """An executor whose threads end with the process, whatever they do.

    A subclass because event loops take no other; nothing of the base class's workings is used.
    """

    def __init__(self, most: int = MOST_THREADS) -> None:
        super().__init__(1)
        self._most = most
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._counts = threading.Lock()
        self._started = 0
        self._free = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn`` in a thread."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # the future hands it to the caller
                future.set_exception(error)

        with self._counts:
            self._free -= 1
            needed = self._free < 0 and self._started < self._most
            if needed:
                self._started += 1
                self._free += 1
        self._work.put(work)
        if needed:
            threading.Thread(target=self._run, name="worker", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # the base class's signature
        """Wait for nobody."""

    def _run(self) -> None:
        while True:
            self._work.get()()
            with self._counts:
                self._free += 1


class End:
    """The time that is left to the service once it was told to end."""

    def __init__(self) -> None:
        self._by_s: float | None = None

    def begin(self) -> None:
        """Begin to count; the first time counts."""
        if self._by_s is None:
            self._by_s = time.monotonic() + END_S

    def left_s(self, *, most: float, least: float = 0.2) -> float:
        """Return what is left, within bounds: something is always tried."""
        self.begin()
        by_s = 0.0 if self._by_s is None else self._by_s
        return min(most, max(least, by_s - time.monotonic()))
