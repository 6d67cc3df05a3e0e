"""Where the totals of one BMC are read, as it is remembered from one poll to the next (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from energyrecorder.schema import SCOPES, SIDES, SOURCES
from energyrecorder_execd import quirks
from energyrecorder_execd.readers.redfish.counters import CounterPlace
from energyrecorder_execd.readers.redfish.definition import Declared

PLAN_VERSION = 7
"""Raised when the meaning of a remembered plan changes; an older one is then discovered anew."""

FORMS = ("power", "pointer", "supplies", "environment", "sensor", "member", "metrics", "meter")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one total stands and how it is taken out.

    Args:
        form: ``power`` (a Power resource), ``pointer`` (a vendor's value in any resource), ``supplies``
            (power supplies of a Power resource added up), ``environment``
            (EnvironmentMetrics), ``sensor`` (one sensor), ``member`` (one sensor inside an expanded
            collection), ``metrics`` (PowerSupplyMetrics or sensors, one per supply, added up), ``meter`` (an
            iLO's FastPowerMeter).
        source: One of `energyrecorder.schema.SOURCES`.
        paths: Resources to get, all of them in each poll.
        member: For ``member``: id of the sensor; for ``pointer``: JSON pointer to the watts.
        side: For sensors: ``ac``, ``dc`` or ``unknown``.
        distinct: For ``supplies`` and ``metrics``: the supplies' values have been seen to differ, so they are
            parts, not one total repeated; never unlearned.
        supplies: Likewise: how many of them had a value at the same time so far.
    """

    form: str
    source: str
    paths: tuple[str, ...]
    member: str = ""
    side: str = "unknown"
    distinct: bool = False
    supplies: int = 0


@dataclass(frozen=True, slots=True)
class TotalPlan:
    """One total that is expected of this BMC in every poll.

    Args:
        node: Node of a multi-node BMC; None where the BMC has one computer.
        scope: One of `energyrecorder.schema.SCOPES`.
        place: Where it stands.
        host: Path of the resource with the power state; None if there is none.
        counter: Its energy counter, if that stands in a resource of its own; else None.
        declared: What is declared of it elsewhere; None: nothing.
        stand_ins: Other places of the same power, best first, for polls in which ``place`` is silent.
        at_part: It stands at a chassis that is a part of a computer, since nothing else is metered.
    """

    node: str | None
    scope: str
    place: Place
    host: str | None
    counter: CounterPlace | None = None
    declared: Declared | None = None
    stand_ins: tuple[Place, ...] = ()
    at_part: bool = False

    def is_less_than(self, other: TotalPlan) -> bool:
        """Whether this would pass an enclosure, or a part, off as the computer that ``other`` shows."""
        elsewhere = other.scope == "server" and self.scope != "server"
        return elsewhere or (self.at_part and not other.at_part)

    def completed(self, before: TotalPlan | None) -> TotalPlan:
        """Return it with what accompanied it before, as a BMC that boots shows its power before all that.

        Args:
            before: The same total as it was known; None: it was not.
        """
        if before is None or (self.place.form, self.place.paths) != (before.place.form, before.place.paths):
            return self
        return replace(
            self,
            host=self.host or before.host,
            counter=self.counter or before.counter,
            declared=self.declared or before.declared,
        )


@dataclass(frozen=True, slots=True)
class PartPlan:
    """One part of a computer or its enclosure whose power stands in a resource of its own.

    Args:
        node: Node of a multi-node BMC; None where the BMC has one computer.
        part: Name of the part, such as ``gpu3``.
        path: Of the resource.
        pointer: JSON pointer to the watts; empty: it is an EnvironmentMetrics or PowerSupplyMetrics resource.
        scope: One of `energyrecorder.schema.SCOPES`.
    """

    node: str | None
    part: str
    path: str
    pointer: str = ""
    scope: str = "component"


@dataclass(frozen=True, slots=True)
class Plan:
    """All totals of this BMC.

    Args:
        totals: Empty: no resource with power was found.
        made_ns: When it was discovered, nanoseconds since the Unix epoch, UTC.
        effects: What the quirk table says of this BMC.
        parts: Parts with a resource of their own; looked for only when parts are wanted.
        inlet: Path of the resource with the inlet temperature; None if there is none.
    """

    totals: tuple[TotalPlan, ...]
    made_ns: int
    effects: quirks.Effects = field(default_factory=quirks.Effects)
    parts: tuple[PartPlan, ...] = ()
    inlet: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Resources to get in a poll, each once."""
        return tuple(dict.fromkeys(path for total in self.totals for path in total.place.paths))

    @property
    def differing(self) -> frozenset[tuple[str, str]]:
        """Source and path of the resources whose power supplies were seen to differ."""
        places = (place for total in self.totals for place in (total.place, *total.stand_ins))
        return frozenset((place.source, path) for place in places if place.distinct for path in place.paths)

    def views(self, place: Place) -> tuple[Place, ...]:
        """Return all places of the total that has ``place`` among them; empty if none has."""
        every = ((total.place, *total.stand_ins) for total in self.totals)
        return next((views for views in every if place in views), ())

    def completed(self, before: Plan) -> Plan:
        """Return this plan with what it lacks of an earlier one; ``before`` itself if that showed more.

        Args:
            before: It has totals.
        """
        known = {total.node: total for total in before.totals}
        mine = tuple(total.completed(known.get(total.node)) for total in self.totals)
        nodes = {total.node for total in mine}
        if None in nodes:
            old = known.get(None)
            return before if old is None or mine[0].is_less_than(old) else replace(self, totals=mine)
        lacking = [total for total in before.totals if total.node is not None and total.node not in nodes]
        return replace(self, totals=(*mine, *lacking))

    def lacks(self, before: Plan) -> bool:
        """Whether a total of an earlier plan is not in this one, or is no more than a part of it here."""
        whole = self.completed(before)
        return whole is before or len(whole.totals) > len(self.totals)


def as_facts(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values."""
    return {
        "version": PLAN_VERSION,
        "made_ns": plan.made_ns,
        "effects": list(astuple(plan.effects)),
        "parts": [list(astuple(part)) for part in plan.parts],
        "inlet": plan.inlet,
        "totals": [
            {
                "node": total.node,
                "scope": total.scope,
                "host": total.host,
                "places": [list(astuple(place)) for place in (total.place, *total.stand_ins)],
                "counter": None if total.counter is None else list(astuple(total.counter)),
                "declared": None if total.declared is None else list(astuple(total.declared)),
                "at_part": total.at_part,
            }
            for total in plan.totals
        ],
    }


def from_facts(facts: Any) -> Plan | None:
    """Return what `as_facts` wrote; None for anything else, which is then discovered anew."""
    try:
        if facts["version"] != PLAN_VERSION:
            return None
        totals = tuple(_total_from(item) for item in facts["totals"])
        effects = _effects_from(facts["effects"])
        parts = tuple(_part_from(item) for item in facts["parts"])
        inlet = facts["inlet"]
        return Plan(totals, int(facts["made_ns"]), effects, parts, None if inlet is None else str(inlet))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _effects_from(item: Any) -> quirks.Effects:
    rating, shared, share, *timing = item
    return quirks.Effects(bool(rating), bool(shared), bool(share), *map(_number_from, timing))


def _total_from(item: Mapping[str, Any]) -> TotalPlan:
    if item["scope"] not in SCOPES:
        raise ValueError(item["scope"])
    place, *stand_ins = (_place_from(one) for one in item["places"])
    counter, declared = _counter_from(item["counter"]), _declared_from(item["declared"])
    node, host = _text_from(item["node"]), _text_from(item["host"])
    at_part = bool(item["at_part"])
    return TotalPlan(node, item["scope"], place, host, counter, declared, tuple(stand_ins), at_part)


def _text_from(item: Any) -> str | None:
    if item is not None and not isinstance(item, str):
        raise ValueError(item)
    return item


def _number_from(item: Any) -> float | None:
    return None if item is None else float(item)


def _place_from(item: Any) -> Place:
    form, source, listed, member, side, distinct, supplies = item
    paths = tuple(str(path) for path in listed)
    if form not in FORMS or source not in SOURCES or side not in SIDES or not paths:
        raise ValueError(form)
    return Place(form, source, paths, str(member), side, distinct=bool(distinct), supplies=int(supplies))


def _part_from(item: Any) -> PartPlan:
    node, *texts = item
    part, path, pointer, scope = (str(text) for text in texts)
    if scope not in SCOPES:
        raise ValueError(scope)
    return PartPlan(_text_from(node), part, path, pointer, scope)


def _counter_from(item: Any) -> CounterPlace | None:
    if item is None:
        return None
    path, pointer, joules, wrap_j = item
    return CounterPlace(str(path), str(pointer), float(joules), _number_from(wrap_j))


def _declared_from(item: Any) -> Declared | None:
    if item is None:
        return None
    accuracy_pct, refresh_s, window_s = map(_number_from, item)
    return Declared(accuracy_pct, refresh_s, window_s)
