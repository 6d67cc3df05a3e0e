"""What is understood of resources that hold power, attribute by attribute."""

from __future__ import annotations

import pytest

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.quirks import Effects
from energyrecorder_execd.readers.redfish.parse import (
    Extras,
    parse_environment,
    parse_extras,
    parse_power,
    parse_sensor,
)
from energyrecorder_execd.readers.redfish.power_supplies import (
    Supply,
    bays,
    parse_supplies,
    parse_supply_metrics,
)
from energyrecorder_execd.readers.redfish.resources import parse_chassis, parse_collection, parse_system

PLAIN = Effects()


def _total(*entries, **more):
    """Return watts and source of the first total of a Power resource."""
    found = parse_power({"PowerControl": list(entries), **more}, "/p", PLAIN)
    return (found[0].watts, found[0].source) if found else None


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([{"PowerConsumedWatts": 97}], 97.0),
        ([{"PowerConsumedWatts": "97"}], 97.0),
        ([{"PowerConsumedWatts": 0}], 0.0),
        ([{"PowerConsumedWatts": None}], None),
        ([{}], None),
        ([{"PowerConsumedWatts": -3}], None),
        ([{"PowerConsumedWatts": 1e9}], None),
        ([{"PowerConsumedWatts": 65535}], None),
        # The first number among the totals, never a sum, never a part.
        ([{"PowerConsumedWatts": 708}, {"PowerConsumedWatts": 99}], 708.0),
        ([{"PowerConsumedWatts": None}, {"PowerConsumedWatts": 99}], 99.0),
        ([{"PowerConsumedWatts": None}, {"PowerConsumedWatts": 99, "PhysicalContext": "CPUSubsystem"}], None),
        ([{"PowerConsumedWatts": None}, {"PowerConsumedWatts": 99, "Name": "CPU Sub-system Power"}], None),
        (
            [{"PowerConsumedWatts": 5, "Name": "Processor0"}, {"PowerConsumedWatts": 60, "Name": "System"}],
            60.0,
        ),
        # What the supplies feed is less than what they draw; alone it is all that there is.
        (
            [
                {"PowerConsumedWatts": 80, "PhysicalContext": "SystemBoard"},
                {"PowerConsumedWatts": 150, "PhysicalContext": "Chassis"},
            ],
            150.0,
        ),
        ([{"PowerConsumedWatts": 80, "PhysicalContext": "SystemBoard"}], 80.0),
        ([{"PowerConsumedWatts": 90, "PhysicalContext": "PowerSupply"}, {"PowerConsumedWatts": 170}], 170.0),
        ([{"PowerConsumedWatts": 100, "PhysicalContext": "Intake", "Status": {"State": "Disabled"}}], 100.0),
        # Averages over minutes are no reading; zero over no time is none either.
        ([{"PowerMetrics": {"AverageConsumedWatts": 211, "IntervalInMin": 0.083}}], 211.0),
        ([{"PowerMetrics": {"AverageConsumedWatts": 211, "IntervalInMin": 20}}], None),
        ([{"PowerMetrics": {"AverageConsumedWatts": 1e308, "IntervalInMin": 1}}], None),
        ([{"PowerMetrics": {"AverageConsumedWatts": 0, "IntervalInMin": 0}}], None),
        (
            [{"PowerConsumedWatts": None, "PowerMetrics": {"AverageConsumedWatts": 9, "IntervalInMin": 1}}],
            None,
        ),
    ],
)
def test_the_total_of_power_control(entries, expected):
    """The first entry that is a total and holds a number."""
    assert _total(*entries) == (expected, "power_control")


def test_the_top_level_counts_only_without_entries():
    """ILO 4 has the same value in both places, older firmware at the top only."""
    assert _total(PowerConsumedWatts=73) == (73.0, "power_control")
    assert _total({"PowerConsumedWatts": 74}, PowerConsumedWatts=73) == (74.0, "power_control")
    assert _total() is None


@pytest.mark.parametrize("value", ["much", [], {"Reading": 5}, True])
def test_a_malformed_total_names_resource_and_attribute(value):
    """It does not lead to the next entry, which may be a part."""
    with pytest.raises(BmcDataError, match=r"^/p: PowerControl/0: PowerConsumedWatts is "):
        _total({"PowerConsumedWatts": value}, {"PowerConsumedWatts": 3})


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"AverageConsumedWatts": 635, "IntervalInMin": 1, "MinConsumedWatts": 633}, (635.0, 633.0, None)),
        ({"AverageConsumedWatts": 46, "IntervalInMin": 0, "MinConsumedWatts": 3}, (None, None, None)),
        ({"AverageConsumedWatts": "x", "IntervalInMin": 1}, (None, None, None)),
        ({"AverageConsumedWatts": 1e308, "IntervalInMin": 1, "MinConsumedWatts": 3}, (None, None, None)),
        ({"AverageConsumedWatts": 9, "IntervalInMin": 1, "MaxConsumedWatts": 1e308}, (9.0, None, None)),
        ({"AverageConsumedWatts": 9, "IntervalInMin": 1, "MinConsumedWatts": 65535}, (9.0, None, None)),
        ([], (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_statistics_never_spoil_the_reading(metrics, expected):
    """They are taken where their period is known, and left out where they are odd."""
    (found,) = parse_power(
        {"PowerControl": [{"PowerConsumedWatts": 708, "PowerMetrics": metrics}]}, "/p", PLAIN
    )
    assert (found.avg_w, found.min_w, found.max_w) == expected
    assert found.watts == 708.0


@pytest.mark.parametrize(
    ("watts", "pairs", "side"),
    [
        (708, [(199, 179), (169, 151), (170, 151), (168, 151)], "ac"),
        (632, [(199, 179), (169, 151), (170, 151), (168, 151)], "dc"),
        (670, [(199, 179), (169, 151), (170, 151), (168, 151)], "unknown"),
        (97, [(None, 51), (None, 46)], "unknown"),
        (300, [(300, 300)], "unknown"),
        (300, [], "unknown"),
    ],
)
def test_the_side_of_the_supplies(watts, pairs, side):
    """Told only where input and output are both known, differ, and one of them fits."""
    supplies = [{"PowerInputWatts": a, "PowerOutputWatts": b} for a, b in pairs]
    document = {"PowerControl": [{"PowerConsumedWatts": watts}], "PowerSupplies": supplies}
    assert parse_power(document, "/p", PLAIN)[0].side == side


@pytest.mark.parametrize(
    ("supply", "expected"),
    [
        ({"PowerInputWatts": 303.0, "PowerOutputWatts": 273.0}, Supply(303.0, 273.0)),
        ({"PowerInputWatts": None, "LastPowerOutputWatts": 51}, Supply(None, 51.0)),
        ({"PowerOutputWatts": 179, "LastPowerOutputWatts": 635}, Supply(None, 179.0)),
        # A supply cannot draw 900 W at a capacity of 750 W: that is its rating.
        ({"PowerInputWatts": 900, "PowerOutputWatts": 203, "PowerCapacityWatts": 750}, Supply(None, 203.0)),
        ({"PowerInputWatts": 800, "PowerCapacityWatts": 750}, Supply(800.0, None)),
        ({"Oem": {"Huawei": {"PowerInputWatts": "180"}}}, Supply(180.0, None)),
        ({"PowerInputWatts": 65535, "PowerOutputWatts": 179}, Supply(None, 179.0)),
        ({"Status": {"State": "Absent"}, "PowerInputWatts": 5}, None),
    ],
)
def test_a_power_supply(supply, expected):
    """Readings, not ratings; empty bays are none."""
    assert parse_supplies({"PowerSupplies": [supply]}, "/p", PLAIN) == ([expected] if expected else [])


def _bay(place, **more):
    return {"@odata.id": f"/p#{place}", "MemberId": str(place), "PowerInputWatts": 21, **more}


@pytest.mark.parametrize(
    ("supplies", "there"),
    [
        ([_bay(0, SerialNumber="A"), _bay(1, SerialNumber="B")], [1, 2]),
        # The same supply twice (Apollo 4510).
        ([_bay(0, SerialNumber="A"), _bay(1, SerialNumber="B"), _bay(2, SerialNumber="A")], [1, 2]),
        # Two of one kind at the same load, of which nothing says that they are one.
        ([_bay(0), _bay(1)], [1, 2]),
        ([_bay(0, SerialNumber="N/A"), _bay(1, SerialNumber="N/A")], [1, 2]),
        ([_bay(0, SerialNumber="0", Name="PSU1"), _bay(1, SerialNumber="0", Name="PSU2")], [1, 2]),
        ([_bay(0, Status={"State": "Absent"}), _bay(1)], [2]),
    ],
)
def test_each_supply_counts_once(supplies, there):
    """One that is listed twice is one, with the place where it stood first."""
    document = {"PowerSupplies": supplies}
    assert [number for number, _ in bays(document)] == there
    assert len(parse_supplies(document, "/p", PLAIN)) == len(there)
    assert parse_extras(document).psu_count == len(there)


def test_old_idracs_give_ratings_as_input():
    """The quirk table knows them."""
    document = {"PowerSupplies": [{"PowerInputWatts": 300, "PowerOutputWatts": 203}]}
    assert parse_supplies(document, "/p", Effects(supply_input_is_rating=True)) == [Supply(None, 203.0)]


@pytest.mark.parametrize(
    ("power_watts", "watts", "follow"),
    [
        ({"Reading": 1073.19, "DataSourceUri": "/s/1"}, 1073.19, None),
        ({"DataSourceUri": "/s/1"}, None, "/s/1"),
        ({"Reading": None, "DataSourceUri": "/s/1"}, None, "/s/1"),
        ({"Reading": None}, None, None),
        (700, 700.0, None),
    ],
)
def test_environment_metrics(power_watts, watts, follow):
    """A reading, or the sensor that has it."""
    candidate, source = parse_environment({"PowerWatts": power_watts}, "/e")
    assert (candidate.watts, source) == (watts, follow)


def test_no_power_in_environment_metrics():
    """A limit is no power, and energy is no power."""
    for document in ({}, {"PowerLimitWatts": {"Reading": 587}}, {"EnergykWh": {"Reading": 325675}}):
        assert parse_environment(document, "/e") == (None, None)


@pytest.mark.parametrize(
    ("sensor", "is_power", "watts"),
    [
        ({"Reading": 374, "ReadingUnits": "W", "ReadingType": "Power"}, True, 374.0),
        ({"Reading": 700, "ReadingUnits": "Watts", "ReadingType": "Current"}, True, 700.0),
        ({"Reading": 1.5, "ReadingUnits": "kW", "ReadingType": "Power"}, True, 1500.0),
        ({"Reading": 1950, "ReadingType": "Power"}, True, 1950.0),
        ({"Reading": 0, "ReadingUnits": "", "ReadingType": "Power"}, False, None),
        ({"Reading": 5, "ReadingUnits": "A", "ReadingType": "Power"}, False, None),
        ({"Reading": 468, "ReadingType": "EnergyJoules"}, False, None),
        ({"Reading": "12.1", "ReadingUnits": "V"}, False, None),
        ({"Reading": 7, "ReadingUnits": "W", "Status": {"State": "Absent"}}, True, None),
        ({"ReadingUnits": "W"}, True, None),
        ({"Reading": 65535, "ReadingUnits": "W"}, True, None),
    ],
)
def test_a_sensor(sensor, is_power, watts):
    """Its unit decides what it measures; without one its type does."""
    found = parse_sensor(sensor, "/s/x")
    assert (found.measures_watts, found.candidate.watts) == (is_power, watts)


def test_what_a_sensor_declares():
    """Accuracy, averaging window and period of renewal."""
    sensor = {
        "Reading": 3,
        "ReadingUnits": "W",
        "Accuracy": 1,
        "SensingInterval": "PT2S",
        "AveragingInterval": "PT10S",
    }
    found = parse_sensor(sensor, "/s/x").candidate
    assert (found.accuracy_pct, found.refresh_s, found.window_s) == (1.0, 2.0, 10.0)


def test_an_instant_is_a_window_and_no_period():
    """Not averaged is told by PT0S; renewed every 0 s tells nothing."""
    sensor = {"Reading": 3, "ReadingUnits": "W", "SensingInterval": "PT0S", "AveragingInterval": "PT0S"}
    found = parse_sensor(sensor, "/s/x").candidate
    assert (found.refresh_s, found.window_s) == (None, 0.0)


def test_metrics_of_a_supply():
    """Readings, or the sensors that have them (DGX H100)."""
    document = {"InputPowerWatts": {"Reading": 5}, "OutputPowerWatts": {"DataSourceUri": "/s/PWR_PSU0"}}
    assert parse_supply_metrics(document, "/m") == Supply(5.0, None, None, "/s/PWR_PSU0")


def test_cap_and_number_of_supplies():
    """What else a Power resource tells; 0 and null are no cap."""
    supplies = [{}, {"Status": {"State": "Absent"}}, {}]
    document = {"PowerControl": [{"PowerLimit": {"LimitInWatts": 348}}], "PowerSupplies": supplies}
    assert parse_extras(document) == (348.0, 2, None)
    assert parse_extras({"PowerControl": [{"PowerLimit": {"LimitInWatts": 0}}]}) == Extras()
    assert parse_extras({"PowerLimitWatts": {"Reading": 587, "SetPoint": 5600}}) == (5600.0, None, None)
    off = {"PowerLimitWatts": {"ControlMode": "Disabled", "SetPoint": 5600}}
    assert parse_extras(off) == Extras()
    assert parse_extras(None) == Extras()


@pytest.mark.parametrize(
    ("ratings", "watts"),
    [
        ([750, 750], 1500.0),
        (["800", 1600.5], 2400.5),
        ([750, None], None),
        ([750, 0], None),
        ([750, "n/a"], None),
        ([750, 1e9], None),
        ([None], None),
        ([], None),
    ],
)
def test_the_rating_of_the_supplies(ratings, watts):
    """The sum over those that are there, or nothing: a part of it would be taken for the whole."""
    supplies = [_bay(number, PowerCapacityWatts=rating) for number, rating in enumerate(ratings)]
    gone = _bay(9, PowerCapacityWatts=750, Status={"State": "Absent"})
    assert parse_extras({"PowerSupplies": [*supplies, gone]}).psu_capacity_w == watts


def test_collections_of_both_kinds():
    """Redfish's members, iLO 4's links; twice the same member in other letters is one."""
    members = [
        {"@odata.id": "/c/EnclosureChassis/"},
        {"@odata.id": "/c/enclosurechassis"},
        {"@odata.id": "/c/1"},
    ]
    assert parse_collection({"Members": members}, "/c").paths == ("/c/EnclosureChassis/", "/c/1")
    assert parse_collection({"links": {"Member": [{"href": "/rest/v1/Chassis/1"}]}}, "/c").paths == (
        "/rest/v1/Chassis/1",
    )
    assert parse_collection({}, "/c").paths == ()


def test_chassis_and_systems():
    """Links as list or object, ids that are missing, states in between."""
    chassis = parse_chassis(
        {"Links": {"ContainedBy": {"@odata.id": "/c/A/"}}, "ChassisType": "Card"}, "/c/B/x"
    )
    assert (chassis.chassis_id, chassis.contained_by, chassis.is_component) == ("x", ("/c/a",), True)
    system = parse_system(
        {"PowerState": "PoweringOn", "Links": {"Chassis": [{"@odata.id": "/c/1/"}]}}, "/s/1"
    )
    assert (system.state, system.tells_state, system.chassis) == ("unknown", True, ("/c/1",))
    with pytest.raises(BmcDataError, match="/s/1"):
        parse_system(["x"], "/s/1")
