"""Waits for what must become true, with a bound."""

from __future__ import annotations

import asyncio
import time


async def until(condition, longest_s=60.0):
    """Let the loop run until ``condition()`` holds; a test that waits for longer fails."""
    async with asyncio.timeout(longest_s):
        while not condition():  # noqa: ASYNC110  # the condition is the code's state, which has no event
            await asyncio.sleep(0.002)


def wait_until(condition, longest_s=60.0):
    """Wait until ``condition()`` holds; a test that waits for longer fails."""
    deadline = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
