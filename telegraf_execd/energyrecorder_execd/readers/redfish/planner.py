"""Walks one BMC, a few requests at a time beside its readings, and remembers where its power stands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder_execd.http import Answer, BmcHttp
from energyrecorder_execd.readers.base import ServerInfo
from energyrecorder_execd.readers.redfish import plan as plans
from energyrecorder_execd.readers.redfish.discover import discover
from energyrecorder_execd.readers.redfish.plan import Place, Plan
from energyrecorder_execd.readers.redfish.rediscovery import Rediscovery
from energyrecorder_execd.readers.redfish.walk import Walk, WalkPausedError

WALK_NS = 600 * 10**9
"""A walk that was cut off goes on within this time; later its documents are too old."""

RENEWAL_REQUESTS = 4
"""Requests that a poll spends at most on renewing a plan that works."""

RENEWAL_LIMIT_S = 3.0
"""Time that a poll spends on it beyond what as many answers of the total would take."""

RENEWAL_NS = 2 * 3600 * 10**9
"""Likewise for a renewal: 80 requests through a DGX H100 are 20 polls, a minute apart where the BMC has no
sessions."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk that came to its end brought beside the plan.

    Args:
        info: What is known of the server.
        fresh: Resources that were got in this poll, by path.
    """

    info: ServerInfo
    fresh: Mapping[str, Answer]


class Planner:
    """The plan of one BMC.

    Args:
        server: For the log.
        facts: What is remembered of it: ``plan``, ``best_source`` and ``nodes``.
        components: Whether parts are looked for as well.

    Attributes:
        plan: The plan in force; None: it was never walked.
        rediscovery: Says when it is to be walked again.
    """

    def __init__(self, server: str, facts: MutableMapping[str, Any], *, components: bool) -> None:
        self._server = server
        self._facts = facts
        self._components = components
        self._walk: Walk | None = None
        self.plan: Plan | None = plans.from_facts(facts.get("plan"))
        # While the collector was down the BMC may have got new firmware.
        self.rediscovery = Rediscovery(facts.get("best_source"), cut_off=self.plan is not None)

    async def renew(
        self, http: BmcHttp, now_ns: int, failures: Mapping[str, BmcError], *, latency_s: float
    ) -> Walked | None:
        """Look again for the best source, a few requests per poll, at no risk for the reading at hand.

        Args:
            http: The BMC.
            now_ns: Nanoseconds since the Unix epoch, UTC.
            failures: By path, what failed in this poll.
            latency_s: Time that the BMC took to answer for a total, seconds.

        Returns:
            None: it has not come to its end yet, or was put off.

        Raises:
            BmcAuthError: The log-in was refused, which is never passed over in silence: somebody counts them.
        """
        try:
            async with asyncio.timeout(RENEWAL_LIMIT_S + RENEWAL_REQUESTS * latency_s):
                return await self.walk(http, now_ns, failures, allowance=RENEWAL_REQUESTS)
        except (WalkPausedError, TimeoutError):
            # The next poll goes on with it.
            return None
        except BmcAuthError:
            raise
        except BmcError as error:
            _log.debug("%s: renewal of what is known put off: %s", self._server, error)
            self._walk = None
            self.rediscovery.put_off(now_ns)
            return None

    async def walk(
        self,
        http: BmcHttp,
        now_ns: int,
        failures: Mapping[str, BmcError],
        *,
        allowance: int | None = None,
    ) -> Walked:
        """Walk the BMC, or go on with a walk that was cut off, and adopt what it finds.

        Args:
            http: The BMC.
            now_ns: Nanoseconds since the Unix epoch, UTC.
            failures: By path, what failed in this poll: it is left out.
            allowance: Requests that it may send; None: as many as it needs.

        Raises:
            BmcError: The BMC cannot be reached, refuses the log-in, is no Redfish service, or something kept
                the walk from finding anything.
            WalkPausedError: Its requests are used up.
        """
        walk = self._walk
        if walk is None or now_ns - walk.begun_ns > (WALK_NS if allowance is None else RENEWAL_NS):
            walk = self._walk = Walk(http, now_ns)
        walk.leave_out(failures)
        walk.allowance = allowance
        walk.differing = frozenset() if self.plan is None else self.plan.differing
        kept = self._facts.get("nodes")
        known = [node for node in kept if isinstance(node, str)] if isinstance(kept, list) else []
        found = await discover(
            walk, known_nodes=known, now_ns=now_ns, before=self.plan, components=self._components
        )
        self._walk = None
        if not found.plan.totals:
            self._raise_if_hindered(walk)
        self.plan = self.rediscovery.adopt(
            self.plan, found.plan, valid=found.valid, hindered=bool(walk.problems), now_ns=now_ns
        )
        self._facts["plan"] = plans.as_facts(self.plan)
        self._facts["best_source"] = self.rediscovery.best_source
        nodes = [total.node for total in self.plan.totals if total.node is not None]
        if nodes:
            self._facts["nodes"] = sorted({*known, *nodes})
        # What an earlier poll got before it was cut off is not this one's.
        got = {path: answer for path, answer in walk.answers.items() if answer is not None}
        return Walked(found.info, {path: answer for path, answer in got.items() if answer.sent_ns >= now_ns})

    def _raise_if_hindered(self, walk: Walk) -> None:
        """Raise what kept the walk from finding anything, so that nothing is concluded from it."""
        for problem in walk.problems:
            if self.plan is None or problem.reason == "busy":
                raise problem

    def learn(self, index: int, place: Place) -> None:
        """Remember what a poll learned of the place of a total.

        Args:
            index: Of the total in the plan.
            place: As it is known now.
        """
        if self.plan is not None:
            totals = list(self.plan.totals)
            totals[index] = replace(totals[index], place=place)
            self.plan = replace(self.plan, totals=tuple(totals))
            self._facts["plan"] = plans.as_facts(self.plan)
