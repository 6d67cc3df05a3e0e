"""DCMI Get Power Reading, byte by byte, with the awkward answers that were seen in the field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.ipmi import chassis, dcmi, device

GOOD = "dc d800 6400 2c01 c800 00e1f565 60ea0000 40"


def parse(wire):
    return dcmi.parse(bytes.fromhex(wire))


def test_the_request_asks_for_mode_1():
    """Group DCh, mode 1 (system power statistics), no attributes."""
    assert dcmi.REQUEST.hex() == "dc010000"


def test_a_good_answer():
    """Current, minimum, maximum, average, period in ms, active bit; its time stamp is passed over."""
    assert parse(GOOD) == dcmi.PowerReading(
        current_w=216, min_w=100, max_w=300, avg_w=200, period_s=60.0, active=True
    )


@pytest.mark.parametrize(
    ("wire", "current", "statistics", "active"),
    [
        pytest.param("dc" + "00" * 17, 0, (None, None, None), False, id="all zero and deactivated"),
        pytest.param(
            "dc 6801 6801 6801 6801 00000000 00000000 00", 360, (360, 360, 360), False, id="OpenBMC flag"
        ),
        pytest.param(
            "dc 6900 0000 0000 0000 00000000 00000000 00", 105, (None,) * 3, False, id="no statistics"
        ),
        pytest.param(
            "dc d800 0000 ffff c800 00000000 e8030000 40", 216, (None, None, 200), True, id="extremes"
        ),
        pytest.param(
            "dc d800 2c01 6400 c800 00000000 e8030000 40", 216, (None, None, 200), True, id="min > max"
        ),
        pytest.param(
            "dc d800 6400 2c01 2d01 00000000 e8030000 40", 216, (100, 300, None), True, id="avg > max"
        ),
        pytest.param("dc ffff 6400 2c01 c800 00000000 e8030000 40", None, (100, 300, 200), True, id="FFFFh"),
    ],
)
def test_awkward_answers(wire, current, statistics, active):
    """Figures that are no values are None, never 0; whether 0 W is believed is the reader's business."""
    reading = parse(wire)
    assert (reading.current_w, reading.active) == (current, active)
    assert (reading.min_w, reading.max_w, reading.avg_w) == statistics


@pytest.mark.parametrize("wire", ["", "dc", GOOD[:-3], "dd" + GOOD[2:]])
def test_short_and_foreign_answers_name_the_resource(wire):
    """A short answer, or one of another group, is `data`."""
    with pytest.raises(BmcDataError, match="DCMI Get Power Reading") as caught:
        parse(wire)
    assert caught.value.reason == "data"


@given(st.binary(min_size=17, max_size=30))
def test_statistics_never_contradict_each_other(rest):
    """Of any bytes: minimum ≤ average ≤ maximum as far as they are given, and none is 0."""
    reading = dcmi.parse(b"\xdc" + rest)
    given_w = [w for w in (reading.min_w, reading.avg_w, reading.max_w) if w is not None]
    assert given_w == sorted(given_w)
    assert 0 not in given_w


@pytest.mark.parametrize(
    ("wire", "state"), [("01", "on"), ("21000000", "on"), ("60", "off"), ("", "unknown")]
)
def test_chassis_status_tells_the_host_state(wire, state):
    """Bit 0 of the first byte; the power restore policy beside it does not matter."""
    assert chassis.host_state(bytes.fromhex(wire)) == state


def test_device_id():
    """Manufacturer and product little-endian, firmware as people write it: 7-bit major, BCD minor."""
    found = device.parse(bytes.fromhex("20 01 86 10 02 bf a20200 0001 00000007"))
    assert found == device.Device(manufacturer=674, product=0x0100, firmware="6.10", auxiliary="00000007")
    assert device.parse(bytes.fromhex("20 01 06 10 02 bf a20200 0001")).auxiliary == ""
    with pytest.raises(BmcDataError):
        device.parse(b"\x20" * 10)
