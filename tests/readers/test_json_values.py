"""Values out of a BMC's JSON: missing is None, malformed is an error that names where, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.json_values import (
    at,
    duration_s,
    epoch_s,
    link,
    members,
    number,
    sub_object,
    target,
    targets,
    text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (97, 97.0),
        (303.5, 303.5),
        (0, 0.0),
        ("152", 152.0),
        (" 0.0833\r", 0.0833),
        ("37 Watts", 37.0),
        ("2.5e2 W", 250.0),
        (None, None),
        ("", None),
        ("N/A", None),
        ("nil", None),
        ("Not Available", None),
    ],
)
def test_a_number_may_be_a_text_with_a_unit(value, expected):
    """Words for "nothing" are missing values."""
    assert number({"x": value}, "x", "r") == expected


@pytest.mark.parametrize(
    "value",
    [True, [], {}, {"Reading": 3}, "0x15", "1,5", "12 A", float("nan"), float("inf"), 10**400, "1e999"],
)
def test_no_number(value):
    """Malformed; the error names resource and attribute, in one short line."""
    with pytest.raises(BmcDataError, match=r"^/r: x is ") as error:
        number({"x": value}, "x", "/r")
    assert error.value.reason == "data"
    assert len(str(error.value)) < 200


@given(JSON)
def test_anything_is_a_number_missing_or_malformed(value):
    """No other exception for any JSON value."""
    try:
        result = number({"x": value}, "x", "/r")
    except BmcDataError:
        return
    assert result is None or result - result == 0


@given(JSON, st.text(max_size=12))
def test_the_rest_never_raises(value, key):
    """Links, texts, lists, times: None or empty where there is nothing of the kind."""
    parent = {"x": value, key: value}
    for result in (
        target(value),
        link(parent, "x", key),
        text(parent, "x"),
        epoch_s(value),
        duration_s(value),
    ):
        assert result is None or isinstance(result, str | float)
    assert isinstance(members(value), list)
    assert isinstance(targets(value), list)
    assert isinstance(sub_object(parent, "x"), dict)
    at(value, f"/0/{key}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"@odata.id": "/redfish/v1/Chassis/1/"}, "/redfish/v1/Chassis/1/"),
        ({"@odata.id": "/redfish/v1/Chassis/1/Power#/PowerControl/0"}, "/redfish/v1/Chassis/1/Power"),
        ({"href": "/rest/v1/Chassis/1"}, "/rest/v1/Chassis/1"),
        ("/redfish/v1/x", "/redfish/v1/x"),
        ({"@odata.id": "http://elsewhere/redfish/v1"}, None),
        ({"@odata.id": "//elsewhere/redfish/v1"}, None),
        ({"@odata.id": "/a\r\nX-Evil: 1"}, None),
        ({"@odata.id": "/" + "a" * 2000}, None),
        ({"@odata.id": 5}, None),
        ("", None),
    ],
)
def test_a_link_leads_to_no_other_host_and_holds_no_line_break(value, expected):
    assert target(value) == expected


def test_one_thing_stands_for_a_list_of_one():
    """Firefly and Cisco write PowerControl as an object; Intel and HPE write ContainedBy either way."""
    assert members({"a": 1}) == [{"a": 1}]
    assert members([{"a": 1}, None, 3, "x"]) == [{"a": 1}]
    assert targets({"@odata.id": "/a"}) == ["/a"]
    assert targets([{"@odata.id": "/a"}, {"@odata.id": "/a"}, {"href": "/b"}]) == ["/a", "/b"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-08-15T21:45:47Z", 1723758347.0),
        ("2024-08-15T16:45:47-05:00", 1723758347.0),
        ("2024-08-15T21:45:47", 1723758347.0),
        ("1970-01-01T00:00:10Z", 10.0),
        ("15.08.2024", None),
        ("", None),
        (None, None),
        ("0001-01-01T00:00:00+23:59", None),
    ],
)
def test_a_time_without_a_zone_is_utc(value, expected):
    assert epoch_s(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("PT10S", 10.0),
        ("PT0.5S", 0.5),
        ("P1DT1H1M1S", 90061.0),
        ("PT", None),
        ("P", None),
        ("10", None),
        (10, None),
    ],
)
def test_a_duration(value, expected):
    """ISO 8601."""
    assert duration_s(value) == expected


def test_a_pointer():
    """Through objects and lists; None where it leads nowhere."""
    document = {"Oem": {"Public": [{"TotalPower": 5}]}}
    assert at(document, "/Oem/Public/0/TotalPower") == 5
    assert at(document, "/Oem/Public/1/TotalPower") is None
    assert at(document, "/Oem/Public/x") is None
    assert at(None, "/Oem") is None
