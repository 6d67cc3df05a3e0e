"""When a poll is given up: after a silence, which each whole answer begins anew, up to a last moment."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Ends what runs in it with `TimeoutError`; an asynchronous context manager, to be used once.

    Args:
        first_s: Time for the first answer, seconds.
        next_s: Time for each further one, from the one before.
        whole_s: Time for everything, not less than ``first_s``.
    """

    def __init__(self, first_s: float, next_s: float, whole_s: float) -> None:
        self._silence_s = first_s
        self._next_s = next_s
        self._whole_s = whole_s
        self._answers = 0
        self._timeout = asyncio.timeout(first_s)
        self._last_s = 0.0

    async def __aenter__(self) -> None:
        self._last_s = asyncio.get_running_loop().time() + self._whole_s
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    def heard(self) -> None:
        """Put the end off: the BMC gave a whole answer. Dripping bytes are none."""
        now_s = asyncio.get_running_loop().time()
        ends_s = self._timeout.when()
        if ends_s is None or ends_s <= now_s or self._timeout.expired():
            return
        self._answers += 1
        if now_s + self._next_s > ends_s:
            self._silence_s = self._next_s
            self._timeout.reschedule(min(now_s + self._next_s, self._last_s))

    def hurry(self) -> None:
        """End it now, as if the time were over."""
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def __str__(self) -> str:
        """Say what was not done in time."""
        if not self._answers:
            return f"no answer within {self._silence_s:g} s"
        answers = "1 answer" if self._answers == 1 else f"{self._answers} answers"
        if self._timeout.when() == self._last_s:
            return f"not done within {self._whole_s:g} s: {answers}"
        return f"{answers}, then none within {self._silence_s:g} s"
