"""Polls one BMC once, whatever happens: guard, deadline, reader, and the one broad `except`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from energyrecorder.clock import Clock
from energyrecorder.errors import BmcAuthError, BmcError, ConfigError
from energyrecorder_execd.deadline import Deadline
from energyrecorder_execd.declared import with_timing
from energyrecorder_execd.emit import Origin, Outcome, bmc_lines, info_line, power_lines
from energyrecorder_execd.findings import Findings
from energyrecorder_execd.fleet import Server
from energyrecorder_execd.guard import LockoutGuard
from energyrecorder_execd.lockout import Pair, Verdict
from energyrecorder_execd.patience import MOST, WHOLE, Patience
from energyrecorder_execd.readers.auto import AutoReader, remembered_protocol
from energyrecorder_execd.readers.base import Context, Memory, Poll, Reader, Target

logger = logging.getLogger(__name__)

_HELD = {
    Verdict.REFUSED: "the log-in was refused once; it is tried again 60 s after that",
    Verdict.LOCKED: "log-ins were refused; tried once an hour, at once when the credential changes",
}

Make = Callable[[str, Target, Context], Reader]


@dataclass(frozen=True, slots=True)
class Tools:
    """What all pollers of a process share.

    Args:
        guard: The lock-out guard.
        make: Makes the reader of one protocol.
        credential: Tells what identifies a target's credential, see `lockout_file`.
        clock: Wall clock, nanoseconds since the Unix epoch, UTC.
        monotonic: A clock that never steps, seconds.
    """

    guard: LockoutGuard
    make: Make
    credential: Callable[[Target], str]
    clock: Clock = time.time_ns
    monotonic: Callable[[], float] = time.monotonic


class Poller:
    """One BMC and its reader.

    Args:
        server: The BMC.
        memory: What is remembered of it.
        tools: What all pollers share.
    """

    def __init__(self, server: Server, memory: Memory, tools: Tools) -> None:
        self.server = server
        self.findings = Findings(memory.facts)
        self._memory = memory
        self._tools = tools
        self._pair = Pair(server.bmc, tools.credential(server.target))
        self._reader: Reader | None = None
        self._deadline: Deadline | None = None
        self._patience = Patience(server.target.timeout_s)
        self.retry_after_s: float | None = None

    async def poll(self) -> Outcome:
        """Poll once and return how it ended; nothing but cancellation comes out of here as an exception."""
        self.retry_after_s = None
        try:
            return await self._admitted()
        finally:
            self._deadline = None

    async def _admitted(self) -> Outcome:
        # The wait for other BMCs' log-ins has its own deadline: it is not this BMC that is slow.
        longest_s = self.server.target.timeout_s * MOST
        verdict = self._tools.guard.decide(self._pair, longest_s)
        if verdict is Verdict.WAIT:
            try:
                self._deadline = Deadline(longest_s, longest_s, longest_s)
                async with self._deadline:
                    verdict = await self._tools.guard.admit(self._pair, longest_s)
            except TimeoutError:
                return self._held("locked", "waits until another BMC has accepted the credential")
        if verdict is not Verdict.GO:
            return self._held(verdict.value, _HELD[verdict])
        return await self._ask()

    def lines(self, outcome: Outcome, late_ticks: int) -> list[str]:
        """Return all lines of an outcome: readings, what is known of the server, and ``server_bmc``."""
        return [*outcome.lines, *bmc_lines(self._origin(), outcome, late_ticks)]

    def hurry(self) -> None:
        """End the poll under way now, as if its deadline had come."""
        if self._deadline is not None:
            self._deadline.hurry()

    def _heard(self, authenticated: bool) -> None:  # noqa: FBT001  # has the shape of `Heard`
        """Go on with a slow BMC as long as it answers, and let others know of an accepted log-in early."""
        if self._deadline is not None:
            self._deadline.heard()
        if authenticated:
            self._tools.guard.accepted(self._pair)

    async def close(self) -> None:
        """Log out, best effort."""
        if self._reader is None:
            return
        reader, self._reader = self._reader, None
        try:
            await reader.close()
        except Exception as error:  # noqa: BLE001  # boundary of the loop per BMC: its end must not stop others
            logger.debug("server %r: log-out failed: %r", self.server.id, error)

    def _held(self, reason: str, message: str) -> Outcome:
        return Outcome(
            at_ns=self._tools.clock(),
            scrape_s=0.0,
            poll=None,
            error=reason,
            message=f"{message} (credentials {self.server.credentials!r})",
            protocol=self._protocol,
        )

    async def _ask(self) -> Outcome:
        tools = self._tools
        started_ns, started_s = tools.clock(), tools.monotonic()
        timeout_s = self.server.target.timeout_s
        self._deadline = deadline = Deadline(self._patience.deadline_s, timeout_s, timeout_s * WHOLE)
        before = self._requests
        poll: Poll | None = None
        written: list[str] = []
        try:
            async with deadline:
                poll = with_timing(await self._open().poll(), self.server.timing)
            error, message = poll.error, poll.message
            written = self._understood(poll, started_ns)
        except TimeoutError as late:
            error, message = "timeout", f"{deadline}{_waited_for(late)}"
        except BmcError as problem:
            error, message = problem.reason, str(problem)
            self.retry_after_s = getattr(problem, "retry_after_s", None)
            self._settle(problem)
        except ConfigError as problem:  # a library that is missing
            error, message = "unsupported", str(problem)
        except Exception as problem:  # the one boundary of the loop per BMC: the others go on
            error, message = "data", f"unexpected {type(problem).__name__}: {problem!s:.200}"
            logger.debug("server %r: unexpected error", self.server.id, exc_info=True)
        finally:
            # Also when cancelled: a claim must not outlive its log-in.
            if poll is None:
                tools.guard.undecided(self._pair)
        if poll is not None:
            tools.guard.accepted(self._pair)
        scrape_s = tools.monotonic() - started_s
        if poll is not None:
            self._patience.answered(scrape_s)
        elif error == "timeout":
            self._patience.timed_out()
        else:
            self._patience.failed()
        middle_ns = started_ns + int(scrape_s * 5e8)
        sent = self._requests - before
        return Outcome(middle_ns, scrape_s, poll, error, message, self._protocol, tuple(written), sent)

    def _understood(self, poll: Poll, at_ns: int) -> list[str]:
        """Learn from a poll and return its lines; a value that no line can carry is an error of this BMC."""
        self.findings.learn(poll)
        origin = self._origin()
        written = power_lines(origin, poll)
        info = self.findings.info_to_write(poll, self._tools.monotonic())
        url = _web_server(self.server.target, poll.protocol)
        if info is not None and (line := info_line(origin, info, url, at_ns)) is not None:
            written.append(line)
        return written

    def _settle(self, problem: BmcError) -> None:
        if problem.reason == "auth":
            self._tools.guard.refused(self._pair)
        elif problem.reason == "privilege" and isinstance(problem, BmcAuthError):
            # The log-in itself was accepted; only a right is missing.
            self._tools.guard.accepted(self._pair)

    def _open(self) -> Reader:
        if self._reader is None:
            context = Context(self._memory, self._tools.clock, self._heard)
            target = self.server.target
            if self.server.protocol == "auto":
                self._reader = AutoReader(target, context, self._tools.make)
            else:
                self._reader = self._tools.make(self.server.protocol, target, context)
        return self._reader

    def _origin(self) -> Origin:
        server = self.server
        return Origin(server.id, server.env, server.tags, self.findings.nodes)

    @property
    def _requests(self) -> int:
        return 0 if self._reader is None else self._reader.requests

    @property
    def _protocol(self) -> str:
        if self.server.protocol != "auto":
            return self.server.protocol
        return remembered_protocol(self._memory.facts)


def _web_server(target: Target, protocol: str) -> str | None:
    """Return where a BMC's web server is.

    None for IPMI, which does not say whether there is one, and for an address with a zone of this machine's.
    """
    return None if protocol == "ipmi" or "%" in target.address else target.url


def _waited_for(late: TimeoutError) -> str:
    """Return what was waited for at the deadline, as noted by whoever was cancelled; empty if nobody did."""
    return "".join(f": {note}" for note in getattr(late.__cause__, "__notes__", ())[:1])
