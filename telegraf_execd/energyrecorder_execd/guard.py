"""Asks the lock-out guard before each poll and tells it how the poll ended."""

from __future__ import annotations

import asyncio
import os

from energyrecorder.clock import Clock
from energyrecorder_execd.lockout import Claim, Pair, Verdict
from energyrecorder_execd.lockout_file import LockoutFile

_LOOK_AGAIN_S = 1.0
_CLAIM_MARGIN_S = 5.0


class LockoutGuard:
    """The guard of one process.

    Args:
        file: What all processes of the state directory know.
        clock: Wall clock, nanoseconds since the Unix epoch, UTC.
    """

    def __init__(self, file: LockoutFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()

    async def admit(self, pair: Pair, longest_s: float) -> Verdict:
        """Return whether a log-in may begin; while log-ins of other BMCs decide, wait for them.

        After `Verdict.GO` the caller tells how it ended by `accepted`, `refused` or `undecided`.

        Args:
            pair: Credential and BMC.
            longest_s: Time after which the log-in has ended in any case, seconds.
        """
        while (verdict := self.decide(pair, longest_s)) is Verdict.WAIT:
            await self._change()
        return verdict

    def decide(self, pair: Pair, longest_s: float) -> Verdict:
        """Return what `admit` returns, but `Verdict.WAIT` rather than to wait."""
        now_s = self._now_s()
        state = self._file.current()
        verdict = state.decide(pair, now_s)
        if verdict is not Verdict.GO or not state.needs_care(pair):
            return verdict
        with self._file.change() as state:
            verdict = state.decide(pair, now_s)
            if verdict is Verdict.GO:
                state.claim(pair, Claim(now_s + longest_s + _CLAIM_MARGIN_S, os.getpid()))
        return verdict

    async def _change(self) -> None:
        """Wait until something changed here; look again after a second for what other processes changed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        handle = loop.call_later(_LOOK_AGAIN_S, _wake, future)
        self._waiting.add(future)
        try:
            await future
        finally:
            handle.cancel()
            self._waiting.discard(future)

    def accepted(self, pair: Pair) -> None:
        """Note that the BMC accepted the credential."""
        state = self._file.known
        # Another BMC may have proven the credential since this log-in was claimed: its claim still ends here.
        if pair not in state.claims and not state.needs_care(pair):
            return
        with self._file.change() as state:
            state.accepted(pair)
        self._wake_all()

    def refused(self, pair: Pair) -> None:
        """Note that the BMC refused the credential."""
        with self._file.change() as state:
            state.refused(pair, self._now_s())
        self._wake_all()

    def undecided(self, pair: Pair) -> None:
        """Note that the poll ended without a word on the credential."""
        if pair not in self._file.known.claims:
            return
        with self._file.change() as state:
            state.undecided(pair)
        self._wake_all()

    def _wake_all(self) -> None:
        for future in self._waiting:
            _wake(future)

    def _now_s(self) -> float:
        return self._clock() / 1e9


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
