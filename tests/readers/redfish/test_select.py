"""The eight rules that say which value is the power of a computer."""

from __future__ import annotations

import pytest

from energyrecorder_execd.quirks import Effects, effects, total_sensor_rank
from energyrecorder_execd.readers.redfish.measure import measure
from energyrecorder_execd.readers.redfish.parse import Candidate
from energyrecorder_execd.readers.redfish.plan import Place, Plan, TotalPlan, as_facts, from_facts
from energyrecorder_execd.readers.redfish.rediscovery import EMPTY_S, LOST_S, RENEWAL_S, RETURN_S, Rediscovery
from energyrecorder_execd.readers.redfish.resources import Chassis, System
from energyrecorder_execd.readers.redfish.select import Found, choose, is_valid, supply_total, tiers

NOW = 1_800_000_000 * 10**9


def _chassis(name, kind="rackmount", *, systems=(), contained_by=(), state="on"):
    return Chassis(
        f"/c/{name}",
        chassis_id=name,
        kind=kind,
        state=state,
        systems=tuple(f"/s/{s}" for s in systems),
        contained_by=tuple(f"/c/{c}".lower() for c in contained_by),
    )


def _system(name, state="on", chassis=()):
    return System(f"/s/{name}", system_id=name, state=state, tells_state=True, chassis=tuple(chassis))


def _found(chassis, watts):
    return Found(
        chassis,
        Place("power", "power_control", (f"{chassis.path}/Power",)),
        Candidate(watts, "power_control"),
    )


def _chosen(found, chassis, systems, **more):
    return [
        (c.node, c.scope, c.host, c.found.candidate.watts) for c in choose(found, chassis, systems, **more)
    ]


@pytest.mark.parametrize(
    ("values", "distinct", "expected"),
    [
        ([303.0, 309.5], False, (612.5, True)),
        ([361.0, 363.0, None, None], False, (724.0, True)),
        ([894.0] * 4, False, (894.0, False)),
        ([894.0] * 4, True, (3576.0, True)),
        ([937.4], False, (937.4, False)),
        ([0.0, 90.0], False, (90.0, True)),
        ([None, None], False, (None, False)),
        ([], True, (None, True)),
    ],
)
def test_supplies_are_added_unless_they_repeat_the_total(values, distinct, expected):
    """Once seen to differ they are parts for ever, so that chance equality never halves a sum."""
    assert supply_total(values, distinct=distinct) == expected


@pytest.mark.parametrize(
    ("watts", "host", "valid"),
    [
        (8.0, "off", True),
        (0.0, "off", True),
        (0.0, "on", False),
        (0.0, "unknown", False),
        (1.0, "unknown", True),
    ],
)
def test_zero_is_a_value_of_an_off_host_only(watts, host, valid):
    """And nothing is none."""
    assert is_valid(watts, host) is valid
    assert not is_valid(None, host)


def test_a_contained_chassis_is_not_added():
    """The outer one is the computer."""
    outer, inner = _chassis("1", systems=["1"]), _chassis("b", "storageenclosure", contained_by=["1"])
    assert _chosen([_found(inner, 20.0), _found(outer, 614.0)], [inner, outer], [_system("1")]) == [
        (None, "server", "/s/1", 614.0)
    ]


def test_an_enclosure_is_not_billed_to_a_node():
    """The chassis that the system points to wins over the enclosure around it."""
    enclosure, node = _chassis("E", "enclosure"), _chassis("1", systems=["1"], contained_by=["E"])
    chassis, systems = [enclosure, node], [_system("1")]
    assert _chosen([_found(enclosure, 2406.0), _found(node, 144.0)], chassis, systems) == [
        (None, "server", "/s/1", 144.0)
    ]
    assert _chosen([_found(enclosure, 2406.0)], chassis, systems) == [(None, "enclosure", "/c/E", 2406.0)]


def test_several_nodes_behind_one_bmc():
    """One total each, in the systems' order; a node that is silent is expected all the same."""
    chassis = [_chassis("Node1", "blade"), _chassis("Node0", "blade"), _chassis("Enclosure", "enclosure")]
    systems = [_system("Node0"), _system("Node1", "off")]
    found = [_found(chassis[0], None), _found(chassis[1], 467.0), _found(chassis[2], 121.0)]
    assert _chosen(found, chassis, systems) == [
        ("Node0", "server", "/s/Node0", 467.0),
        ("Node1", "server", "/s/Node1", None),
    ]


def test_a_node_keeps_its_name_when_it_is_alone():
    """Series do not change their names."""
    chassis, systems = [_chassis("Node0", "blade")], [_system("Node0")]
    found = [_found(chassis[0], 467.0)]
    assert _chosen(found, chassis, systems)[0][0] is None
    assert _chosen(found, chassis, systems, known_nodes=["Node0", "Node1"])[0][0] == "Node0"


def test_a_gpu_board_is_no_computer():
    """DGX H100 and GB200 list it among their systems."""
    chassis = [
        _chassis("HGX", "rackmount", systems=["HGX_Baseboard_0"]),
        _chassis("DGX", "other", systems=["DGX"]),
    ]
    systems = [_system("HGX_Baseboard_0"), _system("DGX")]
    found = [_found(chassis[0], 825.0), _found(chassis[1], 1950.0)]
    assert _chosen(found, chassis, systems) == [(None, "server", "/s/DGX", 1950.0)]


@pytest.mark.parametrize(
    ("name", "kind", "scope"),
    [("PowerShelf_0", "rackmount", "rack-shelf"), ("Card1", "card", "card"), ("1", "rackmount", "server")],
)
def test_scope(name, kind, scope):
    """What is metered, told by the chassis."""
    chassis = [_chassis(name, kind)]
    assert _chosen([_found(chassis[0], 5.0)], chassis, [])[0][1] == scope


def test_nothing_valid_is_nothing_chosen():
    """Unless places without a value are asked for too."""
    chassis, systems = [_chassis("1")], [_system("1")]
    found = [_found(chassis[0], 0.0)]
    assert _chosen(found, chassis, systems) == []
    assert _chosen(found, chassis, systems, valid_only=False) == [(None, "server", "/s/1", 0.0)]
    assert _chosen(found, chassis, [_system("1", "off")]) == [(None, "server", "/s/1", 0.0)]


def test_the_same_chassis_under_two_spellings_is_one():
    """Its first spelling counts."""
    own, parts = tiers([_chassis("EnclosureChassis"), _chassis("enclosurechassis"), _chassis("M", "module")])
    assert [c.chassis_id for c in own] == ["EnclosureChassis"]
    assert [c.chassis_id for c in parts] == ["M"]


@pytest.mark.parametrize(
    ("sensor_id", "name", "is_total"),
    [
        ("total_power_in", None, True),
        ("total_power_in_A", None, False),
        ("total_power_out", None, False),
        ("PWR_SYSTEM", None, True),
        ("PWR_GB1_TOT_HSC", None, False),
        ("Chassis_0_TotalHSC_Power_0", None, True),
        ("HGX_Chassis_0_TotalHSC_Power_0", None, False),
        ("HGX_Chassis_0_TotalGPU_Power_0", None, False),
        ("TotalPower", None, True),
        ("TotalEnergy", None, False),
        ("ChassisVoltageRegulator0InputPower", "Node", True),
        ("ChassisVoltageRegulator0InputPower", "12V_HSS ECB", False),
        ("PSU.Slot.1_InputPower", None, False),
        ("CPU1Power", None, False),
    ],
)
def test_total_sensors(sensor_id, name, is_total):
    """Known by id, and by name where the id is not enough."""
    assert (total_sensor_rank(sensor_id, name) is not None) is is_total


def test_quirks_match_by_vendor_model_and_firmware():
    """And nothing matches what is unknown."""
    assert effects("Dell Inc.", "PowerEdge M630", "2.41.40.40").supply_input_is_rating
    assert not effects("Dell Inc.", "PowerEdge R750", "6.00.30.00").supply_input_is_rating
    assert effects("Supermicro", "X10DFF-CTG", "3.25").supplies_are_shared
    assert effects(None, None, None) == Effects()


def test_equal_supplies_that_differ_later_are_learned_to_be_parts():
    """The place remembers it."""
    place = Place("supplies", "psu_input_sum", ("/p",))
    document = {"PowerSupplies": [{"PowerInputWatts": 150}, {"PowerInputWatts": 150}]}
    candidate, same = measure(place, {"/p": document}, Effects())
    assert (candidate.watts, same.distinct) == (150.0, False)
    document["PowerSupplies"][0]["PowerInputWatts"] = 151
    candidate, learned = measure(place, {"/p": document}, Effects())
    assert (candidate.watts, learned.distinct) == (301.0, True)
    document["PowerSupplies"][0]["PowerInputWatts"] = 150
    assert measure(learned, {"/p": document}, Effects())[0].watts == 300.0


def _plan(source="power_control", made_ns=NOW):
    total = TotalPlan(None, "server", Place("power", source, ("/p",)), "/s/1")
    return Plan((total,), made_ns, Effects(window_s=1.0))


def test_a_plan_survives_being_remembered():
    """As JSON; anything else in the state file is no plan."""
    assert from_facts(as_facts(_plan())) == _plan()
    for broken in (None, [], {}, {"version": 0}, {**as_facts(_plan()), "totals": [{"form": "magic"}]}, "x"):
        assert from_facts(broken) is None


def _after(seconds):
    return NOW + int(seconds * 1e9)


def test_when_a_bmc_is_walked_again():
    """After hours; sooner while a lower rung stands in; with growing distance while it has nothing."""
    memory = Rediscovery(best_source="power_control")
    assert not memory.is_due(_plan(), _after(RENEWAL_S - 1))
    assert memory.is_due(_plan(), _after(RENEWAL_S))
    assert memory.is_due(_plan(), _after(-1))
    assert not memory.is_due(_plan("sensor"), _after(RETURN_S - 1))
    assert memory.is_due(_plan("sensor"), _after(RETURN_S))
    empty = Plan((), NOW)
    assert memory.is_due(empty, _after(EMPTY_S))
    memory.adopt(None, empty, valid=False, hindered=False, now_ns=NOW)
    assert not memory.is_due(empty, _after(EMPTY_S))
    assert memory.is_due(empty, _after(2 * EMPTY_S))


def test_a_lost_total_leads_to_a_walk_and_then_to_patience():
    """At once when the resource is gone, at the second silent poll otherwise, then ever more rarely."""
    memory = Rediscovery()
    assert not memory.is_lost(gone=False, silent=True, walked=False, now_ns=NOW)
    assert memory.is_lost(gone=False, silent=True, walked=False, now_ns=NOW)
    assert not memory.is_lost(gone=True, silent=True, walked=False, now_ns=_after(LOST_S - 1))
    assert memory.is_lost(gone=True, silent=False, walked=False, now_ns=_after(LOST_S))
    assert not memory.is_lost(gone=True, silent=False, walked=False, now_ns=_after(2 * LOST_S))
    assert not memory.is_lost(gone=False, silent=False, walked=False, now_ns=_after(2 * LOST_S))
    assert memory.is_lost(gone=True, silent=False, walked=False, now_ns=_after(2 * LOST_S + 1))


def test_a_walk_that_found_nothing_of_value_keeps_the_plan():
    """A BMC that boots forgets everything for a while."""
    memory = Rediscovery(best_source="power_control")
    kept = memory.adopt(_plan(), Plan((), _after(60)), valid=False, hindered=False, now_ns=_after(60))
    assert kept.totals == _plan().totals
    assert memory.adopt(_plan(), _plan("sensor"), valid=True, hindered=False, now_ns=NOW) == _plan("sensor")
    assert memory.best_source == "power_control"


def test_a_walk_in_vain_is_repeated_within_seconds_then_ever_more_seldom():
    """Resources that changed while readings were hidden are found soon after; a dead BMC is left alone."""
    memory = Rediscovery()
    walks = [
        second
        for second in range(0, 4 * 3600, 5)
        if memory.is_lost(gone=True, silent=True, walked=False, now_ns=_after(second))
    ]
    assert walks[0] == 0
    assert walks[1] <= 30
    assert len(walks) <= 14
