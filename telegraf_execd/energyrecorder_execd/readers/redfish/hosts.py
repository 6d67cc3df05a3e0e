"""Knows whether the hosts behind one BMC are on, at the cost of few requests."""

from __future__ import annotations

from collections.abc import Mapping

from energyrecorder.clock import Clock
from energyrecorder_execd.http import Answer, BmcHttp
from energyrecorder_execd.readers.host_request import ask_state
from energyrecorder_execd.readers.host_state import HostMemory, must_verify, verified
from energyrecorder_execd.readers.redfish.totals import Total


class Hosts:
    """What is known of the hosts' power states; `readers.host_state` says when one is asked for.

    Args:
        clock: Wall clock, nanoseconds since the Unix epoch, UTC.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, HostMemory] = {}

    def may_be_on(self, path: str | None, state: str) -> bool:
        """Whether a host is on, or nothing tells whether it is.

        Args:
            path: Of the resource with its power state; None if there is none.
            state: What `state` returned.
        """
        told = self._known.get(path or "")
        return state == "on" or told is None or told.absent > 0

    async def state(self, http: BmcHttp, total: Total, fresh: Mapping[str, Answer]) -> str:
        """Return the power state of a total's host: ``on``, ``off`` or ``unknown``.

        Args:
            http: The BMC.
            total: As this poll found it.
            fresh: Resources that this poll has got already.

        Raises:
            BmcAuthError: The log-in was refused.
        """
        path = total.plan.host
        if path is None:
            return "unknown"
        memory = self._known.get(path, HostMemory())
        now_ns = self._clock()
        watts, source = total.candidate.watts, total.candidate.source
        at_hand = fresh.get(path)
        if at_hand is None and not must_verify(memory, watts=watts, source=source, now_ns=now_ns):
            return memory.state
        state = await ask_state(http, path, latency_s=total.latency_s, at_hand=at_hand)
        self._known[path] = verified(memory, state, watts=watts, source=source, now_ns=now_ns)
        return state or "unknown"
