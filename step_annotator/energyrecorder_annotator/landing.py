"""Brings what the journal's thread has completed back to the event loop, all that wait in one call."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Landing:
    """Awaits futures of other threads.

    `asyncio.wrap_future` wakes the loop once for each of them; works that share one write to the disk are
    completed together, and may come back together. Who is cancelled while waiting leaves the work alone.
    """

    def __init__(self) -> None:
        self._done: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._is_called = False

    async def of(self, future: Future[T]) -> T:
        """Return the result of a future, or raise what it carries."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()

        def land(done: Future[T]) -> None:
            self._done.append((waiter, done))
            # Whoever sets this after us also sees what we have appended.
            if not self._is_called:
                self._is_called = True
                loop.call_soon_threadsafe(self._deliver)

        future.add_done_callback(land)
        return await waiter

    def _deliver(self) -> None:
        self._is_called = False
        while self._done:
            waiter, done = self._done.popleft()
            if waiter.done():
                continue
            error = done.exception()
            if error is None:
                waiter.set_result(done.result())
            else:
                waiter.set_exception(error)
