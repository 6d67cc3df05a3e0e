"""Says which of the values found is *the* power of each computer (pure).

The rules, in order; each was needed by a captured BMC (``tests/testcases/redfish`` shows them):

1. The first PowerControl entry that is not a part and holds a number; entries are never added.
2. Else EnvironmentMetrics.PowerWatts of the chassis that contains the others.
3. Else a total sensor, known by id and name and by its unit W.
4. Else the sum of the power supplies' input, else of their output, if all that work show it.
5. Supplies that all show the same value repeat one total; they are no parts.
6. 0 W is a value only while the host is known to be off.
7. Components and contained chassis are never added to a computer; they count only if nothing else is metered,
   be it silent just now.
8. The same chassis under two ids counts once.

Rules 1 to 4 are the `rungs` that `discover` climbs down, an iLO's power meter below them; here stand those
that weigh what a rung brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from energyrecorder_execd import quirks
from energyrecorder_execd.readers.redfish.parse import Candidate
from energyrecorder_execd.readers.redfish.plan import Place
from energyrecorder_execd.readers.redfish.resources import Chassis, System, same_key


@dataclass(frozen=True, slots=True)
class Found:
    """One value at one chassis.

    Args:
        chassis: Where it was found.
        place: How to read it again.
        candidate: The value.
    """

    chassis: Chassis
    place: Place
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Chosen:
    """The value that is the power of one computer.

    Args:
        node: Node of a multi-node BMC; None where the BMC has one computer.
        scope: One of `energyrecorder.schema.SCOPES`.
        host: Path of the resource that tells the power state; None if there is none.
        found: The value.
    """

    node: str | None
    scope: str
    host: str | None
    found: Found


def supply_total(values: Sequence[float | None], *, distinct: bool) -> tuple[float | None, bool]:
    """Add up the power supplies (rules 4 and 5).

    Args:
        values: One per supply that is there; None: no reading.
        distinct: They were seen to differ before, so equal ones are parts by chance.

    Returns:
        The total, None if no supply has a reading; and whether they are known to be parts.
    """
    readings = [value for value in values if value is not None]
    if not readings:
        return None, distinct
    distinct = distinct or len(set(readings)) > 1
    return (sum(readings) if distinct else readings[0]), distinct


def is_valid(watts: float | None, host: str) -> bool:
    """Whether ``watts`` is a reading while the host is in this state (rule 6)."""
    return watts is not None and (watts > 0 or host == "off")


def tiers(chassis: Sequence[Chassis]) -> tuple[tuple[Chassis, ...], tuple[Chassis, ...]]:
    """Split chassis into computers and components (rule 7), each chassis once (rule 8)."""
    unique: dict[str, Chassis] = {}
    for item in chassis:
        unique.setdefault(same_key(item.path), item)
    ordered = tuple(unique.values())
    return tuple(c for c in ordered if not c.is_component), tuple(c for c in ordered if c.is_component)


def computers(systems: Sequence[System]) -> tuple[System, ...]:
    """Return the systems that are computers of their own."""
    own = tuple(s for s in systems if not quirks.SUBASSEMBLY_SYSTEM.search(s.system_id))
    return own or tuple(systems[:1])


def system_of(chassis: Chassis, systems: Sequence[System]) -> System | None:
    """Return the computer in ``chassis``: by its links, by theirs, or by the same id (Cray)."""
    for system in systems:
        if same_key(system.path) in chassis.systems or same_key(chassis.path) in system.chassis:
            return system
    for system in systems:
        if system.system_id.lower() == chassis.chassis_id.lower():
            return system
    return None


def choose(
    found: Sequence[Found],
    chassis: Sequence[Chassis],
    systems: Sequence[System],
    *,
    known_nodes: Iterable[str] = (),
    valid_only: bool = True,
) -> tuple[Chosen, ...]:
    """Return the total of each computer among the values that the rungs brought; empty if none is valid.

    Args:
        found: Values, best first within a chassis.
        chassis: All chassis of this BMC.
        systems: All systems of this BMC.
        known_nodes: Nodes that were seen before: their names stay even if only one is left.
        valid_only: False: places that hold no value at the moment do as well.
    """
    own = computers(systems)
    metered = _first_of_each(item for item in found if not valid_only or _is_valid(item, own))
    if not metered:
        return ()
    nodes = nodes_of(own, chassis, frozenset(known_nodes))
    if nodes:
        # The places of nodes that are off or silent just now are kept too: they are expected.
        every = metered | {k: v for k, v in _first_of_each(found).items() if k not in metered}
        mine = [(node, _of_system(node, every, own)) for node in nodes]
        chosen = [(node, _best(items, every)) for node, items in mine if items]
        return tuple(Chosen(n.system_id, "server", _host(n, item.chassis), item) for n, item in chosen)
    for system in own:
        items = _of_system(system, metered, own)
        if items:
            item = _best(items, metered)
            scope = "enclosure" if item.candidate.shared else _scope(item.chassis, chassis, linked=True)
            return (Chosen(None, scope, _host(system, item.chassis), item),)
    item = _best(list(metered.values()), metered)
    scope = _scope(item.chassis, chassis, linked=False)
    if scope == "enclosure" and valid_only and any(system_of(place.chassis, own) for place in found):
        # The computer has a place of its own, which is silent just now.
        return ()
    # An enclosure that no computer points to may feed many of them: it is nobody's power.
    only = own[0] if own and scope in {"server", "card"} else None
    return (Chosen(None, scope, _host(only, item.chassis), item),)


def _first_of_each(found: Iterable[Found]) -> dict[str, Found]:
    first: dict[str, Found] = {}
    for item in found:
        first.setdefault(same_key(item.chassis.path), item)
    return first


def _is_valid(item: Found, systems: Sequence[System]) -> bool:
    return is_valid(item.candidate.watts, _state(item.chassis, systems))


def nodes_of(
    own: Sequence[System], chassis: Sequence[Chassis], known: frozenset[str] = frozenset()
) -> list[System]:
    """Return the computers behind a BMC that has several, each in a chassis of its own; else nothing."""
    housed = {system_of(c, own) for c in chassis if not c.is_component}
    nodes = [system for system in own if system in housed]
    return nodes if len(nodes) > 1 or any(node.system_id in known for node in nodes) else []


def _of_system(system: System, metered: Mapping[str, Found], own: Sequence[System]) -> list[Found]:
    return [item for item in metered.values() if system_of(item.chassis, own) is system]


def _state(chassis: Chassis, systems: Sequence[System]) -> str:
    system = system_of(chassis, systems) or (systems[0] if systems else None)
    return system.state if system is not None and system.tells_state else chassis.state


def _host(system: System | None, chassis: Chassis) -> str | None:
    if system is not None and system.tells_state:
        return system.path
    return chassis.path if chassis.state != "unknown" else None


def _best(items: Sequence[Found], metered: Mapping[str, Found]) -> Found:
    """Prefer what is no shared enclosure, then what is not inside another metered chassis."""
    return min(
        items,
        key=lambda item: (
            item.chassis.is_enclosure,
            any(path in metered for path in item.chassis.contained_by),
        ),
    )


def _scope(chassis: Chassis, every: Sequence[Chassis], *, linked: bool) -> str:
    if quirks.RACK_SHELF.search(chassis.chassis_id) or quirks.RACK_SHELF.search(chassis.name):
        return "rack-shelf"
    if chassis.is_enclosure and not linked and len(every) > 1:
        return "enclosure"
    # A board whose BMC knows nothing but boards is a card (BlueField DPU); one inside a rack chassis is how
    # an Intel S2600BPB shows the whole computer.
    return "card" if all(c.is_component for c in every) else "server"
