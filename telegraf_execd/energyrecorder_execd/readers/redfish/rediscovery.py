"""Decides when a BMC is walked again and whether what the walk found replaces the plan (pure state)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from energyrecorder_execd.readers.redfish.plan import Plan

RENEWAL_S = 6 * 3600.0
"""A plan is renewed after this time, for hardware that changed."""

LOST_S = 15.0
"""While a total stays lost the BMC is walked again after this time, doubled each time; first at once."""

RETURN_S = 600.0
"""While a lower rung stands in, this often is looked whether the better source has healed. A BMC that was
away, or whose collector was, is walked again when its plan is older than this."""

SILENT_POLLS = 2
"""After so many polls in a row without a value, though the host is on, the BMC is walked; after so many
in which another source stood in, its plan is old after `RETURN_S`."""

LACKING_S = 6 * 3600.0
"""A total that walks do not find any more is expected for this long: a BMC that boots shows some of its
resources before the others, a sled that was pulled stays away."""

EMPTY_S = 60.0
"""A BMC without any power resource is walked again after this time, doubled each time."""

EMPTY_MAX_S = 3600.0

_RUNGS = (
    "power_control",
    "oem",
    "environment_metrics",
    "sensor",
    "psu_input_sum",
    "psu_output_sum",
    "ilo_fast_meter",
)


@dataclass(slots=True)
class Rediscovery:
    """What is remembered of the walks through one BMC.

    Args:
        best_source: Best source that it ever had; None: none yet.
        lost_ns: When a lost total last led to a walk; None: no total is lost.
        lost: How often it did.
        silent: Polls in a row in which a total had no value although the host was on.
        stood_in: Polls in a row in which another source stood in for a total's own.
        empty: Walks in a row that found nothing.
        failed: Polls that came to no end since the source last answered.
        lacking_ns: Since when walks lack a total that is expected; None: the last one found all.
        hindered: The last walk met failing resources.
        not_before_ns: A renewal that failed is tried again after this time.
        answered: The last poll came to its end.
        cut_off: One since the last walk did not, or the plan is from an earlier life of the collector: the
            BMC may have been away for new firmware.
    """

    best_source: str | None = None
    lost_ns: int | None = None
    lost: int = 0
    silent: int = 0
    stood_in: int = 0
    empty: int = 0
    failed: int = 0
    lacking_ns: int | None = None
    hindered: bool = False
    not_before_ns: int = 0
    answered: bool = True
    cut_off: bool = False

    def begin(self) -> None:
        """Note that a poll begins."""
        if not self.answered:
            self.cut_off = True
            self.failed += 1
        self.answered = False

    @property
    def is_source_doubted(self) -> bool:
        """Whether it may be the source alone that fails, and not the BMC.

        In every second poll that comes to no end it is waited for as ever: it may only take long.
        """
        return self.failed % 2 == 1

    def end(self, *, stood_in: bool) -> None:
        """Note that the poll came to its end, whatever it found; one that was cut short does not.

        Args:
            stood_in: Another source stood in for a total's own.
        """
        self.answered = True
        self.stood_in = self.stood_in + 1 if stood_in else 0
        self.failed = self.failed if stood_in else 0

    def is_due(self, plan: Plan, now_ns: int) -> bool:
        """Tell whether the plan has to be renewed before this poll.

        Args:
            plan: The plan in force.
            now_ns: Nanoseconds since the Unix epoch, UTC.
        """
        age_s = (now_ns - plan.made_ns) / 1e9
        if now_ns < self.not_before_ns <= now_ns + RETURN_S * 1e9:
            return False
        if age_s < 0:
            return True
        if not plan.totals:
            return age_s >= _doubled(EMPTY_S, self.empty)
        lower = self.best_source is not None and _rank(plan.totals[0].place.source) > _rank(self.best_source)
        doubtful = lower or self.hindered or self.cut_off or self.stood_in >= SILENT_POLLS
        return age_s >= (RETURN_S if doubtful else RENEWAL_S)

    def put_off(self, now_ns: int) -> None:
        """Note that a renewal failed."""
        self.not_before_ns = now_ns + int(RETURN_S * 1e9)

    def is_lost(self, *, gone: bool, silent: bool, walked: bool, now_ns: int) -> bool:
        """Tell whether this poll shows that the BMC has to be walked at once.

        Args:
            gone: A planned resource does not exist any more.
            silent: A total has no value although the host is on.
            walked: It was walked in this poll already.
            now_ns: Nanoseconds since the Unix epoch, UTC.
        """
        if not gone and not silent:
            self.lost_ns, self.lost, self.silent = None, 0, 0
            return False
        # One null or one broken body is no reason to walk: firmware has its moments.
        self.silent += 1
        if not gone and not walked and self.silent < SILENT_POLLS:
            return False
        wait_s = _doubled(LOST_S, self.lost - 1)
        if self.lost_ns is not None and 0 <= (now_ns - self.lost_ns) / 1e9 < wait_s:
            return False
        self.lost_ns = now_ns
        self.lost += 1
        return not walked

    def adopt(self, old: Plan | None, new: Plan, *, valid: bool, hindered: bool, now_ns: int) -> Plan:
        """Return the plan to go on with after a walk.

        A BMC that boots answers 404 for half a minute: a walk that found nothing of value never replaces a
        plan that once did, and what a walk lacks is expected for `LACKING_S`. Nothing stays of a plan that
        billed a share of the enclosure to a node.

        Args:
            old: The plan in force; None: there was none.
            new: What the walk found.
            valid: Whether a total of ``new`` holds a value.
            hindered: Whether some resource failed, so that a better source may have been missed.
            now_ns: Nanoseconds since the Unix epoch, UTC.
        """
        self.hindered = hindered
        self.cut_off = False
        self.empty = 0 if new.totals else self.empty + 1
        if old is not None and new.effects.control_includes_share and not old.effects.control_includes_share:
            old = None
        if old is not None and old.totals and not valid:
            return replace(old, made_ns=now_ns)
        if old is not None and old.totals:
            new = self._completed(old, new, now_ns)
        if valid:
            source = new.totals[0].place.source
            if self.best_source is None or _rank(source) < _rank(self.best_source):
                self.best_source = source
        return new

    def _completed(self, old: Plan, new: Plan, now_ns: int) -> Plan:
        whole = replace(new.completed(old), made_ns=now_ns)
        if not new.lacks(old):
            self.lacking_ns = None
            return whole
        if self.lacking_ns is None or now_ns < self.lacking_ns:
            self.lacking_ns = now_ns
        return new if now_ns - self.lacking_ns >= LACKING_S * 1e9 else whole


def _doubled(first_s: float, times: int) -> float:
    return float(min(first_s * 2.0 ** min(times, 10), EMPTY_MAX_S))


def _rank(source: str) -> int:
    return _RUNGS.index(source) if source in _RUNGS else len(_RUNGS)
