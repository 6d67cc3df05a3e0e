"""The lock-out guard: no account on any BMC is locked because of us. A pure state machine, time given.

Only a refused log-in counts. A pair of BMC and credential gets a second try after 60 s, then one an hour, and
starts anew when the credential changes. Until a credential has succeeded somewhere, at most three BMCs may
refuse it; log-ins under way count as possible refusals, the other BMCs wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

SECOND_TRY_S = 60.0
HOURLY_S = 3600.0
MAX_UNPROVEN = 3
MAX_TRIES = 2


class Verdict(Enum):
    """What the guard says of a log-in."""

    GO = "go"
    WAIT = "wait"  # a log-in of another BMC under way decides
    REFUSED = "auth"  # refused once; the second try comes later
    LOCKED = "locked"  # refused twice, or the credential was refused by too many BMCs


@dataclass(frozen=True, slots=True)
class Pair:
    """One credential on one BMC.

    Args:
        bmc: Address of the BMC, the same for all protocols.
        credential: What identifies the credential and changes with it, without telling it.
    """

    bmc: str
    credential: str


@dataclass(slots=True)
class Refusals:
    """How often in a row a pair was refused, and when last (seconds since the Unix epoch)."""

    count: int
    last_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A log-in under way: until when it may last (seconds since the Unix epoch), and whose it is (pid)."""

    until_s: float
    owner: int


@dataclass(slots=True)
class LockoutState:
    """All that the guard knows.

    Args:
        refusals: Per pair; a pair that was never refused, or accepted since, is absent.
        proven: Credentials that succeeded somewhere.
        claims: Log-ins under way of pairs that need care.
    """

    refusals: dict[Pair, Refusals] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    claims: dict[Pair, Claim] = field(default_factory=dict)

    def needs_care(self, pair: Pair) -> bool:
        """Tell whether the pair's next log-in must be claimed first: all but the ordinary ones."""
        return pair.credential not in self.proven or pair in self.refusals

    def decide(self, pair: Pair, now_s: float) -> Verdict:
        """Return what the guard says of a log-in at ``now_s``."""
        if self._claimed(pair, now_s):
            return Verdict.WAIT
        refused = self.refusals.get(pair)
        if refused is not None:
            # A wall clock that was set back must not make us wait longer than the rule says.
            refused.last_s = min(refused.last_s, now_s)
            first = refused.count < MAX_TRIES
            if now_s - refused.last_s >= (SECOND_TRY_S if first else HOURLY_S):
                return Verdict.GO
            return Verdict.REFUSED if first else Verdict.LOCKED
        if pair.credential in self.proven:
            return Verdict.GO
        suspects = {known.bmc for known in self.refusals if known.credential == pair.credential}
        if len(suspects) >= MAX_UNPROVEN:
            return Verdict.LOCKED
        suspects.update(
            known.bmc
            for known in self.claims
            if known.credential == pair.credential and self._claimed(known, now_s)
        )
        return Verdict.WAIT if len(suspects) >= MAX_UNPROVEN else Verdict.GO

    def _claimed(self, pair: Pair, now_s: float) -> bool:
        claim = self.claims.get(pair)
        return claim is not None and claim.until_s > now_s

    def claim(self, pair: Pair, claim: Claim) -> None:
        """Note that a log-in begins."""
        self.claims[pair] = claim

    def accepted(self, pair: Pair) -> None:
        """Note that the BMC accepted the credential."""
        self.claims.pop(pair, None)
        self.refusals.pop(pair, None)
        self.proven.add(pair.credential)

    def refused(self, pair: Pair, now_s: float) -> None:
        """Note that the BMC refused the credential."""
        self.claims.pop(pair, None)
        count = self.refusals[pair].count if pair in self.refusals else 0
        self.refusals[pair] = Refusals(count=min(count + 1, MAX_TRIES), last_s=now_s)

    def undecided(self, pair: Pair) -> None:
        """Note that a log-in ended without a word on the credential, such as by a time-out."""
        self.claims.pop(pair, None)
