"""Runs a test in a loop whose time passes only while it waits: exact to the microsecond on any machine."""

from __future__ import annotations

import asyncio
import functools
import selectors

START_NS = 1_700_000_000 * 10**9


class _Selector(selectors.DefaultSelector):
    """Lets time pass instead of waiting for it."""

    def __init__(self, settle_s):
        super().__init__()
        self.now_s, self._settle_s = 1000.0, settle_s

    def select(self, timeout=None):
        """Return what is ready; if nothing is, it is ``timeout`` later."""
        ready = super().select(timeout if timeout is None else min(timeout, self._settle_s))
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while anything is done.

    Args:
        settle_s: Real time in which what was sent to a socket of this process has arrived, seconds; 0 where
            there are no sockets.
    """

    def __init__(self, settle_s=0.0):
        self._virtual = _Selector(settle_s)
        super().__init__(self._virtual)

    def time(self):
        """Return seconds that have passed."""
        return self._virtual.now_s

    def wall_ns(self):
        """Return nanoseconds since the Unix epoch on a wall clock that never steps."""
        return START_NS + round(self.time() * 1e9)


def in_virtual_time(test):
    """Make a test that is a coroutine function run in a `VirtualLoop`."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
