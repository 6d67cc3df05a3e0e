"""Full sensor records and conversion of readings, typed out from IPMI 2.0 §43.1 and §36.3."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.ipmi import sdr
from support.ipmi_records import record


def test_the_record_of_a_dell():
    """The sensor "Pwr Consumption" as OpenIPMI's simulator sends it: entity 7.1, watts, M = 4."""
    wire = bytes.fromhex(
        "010051013a200001070101400b010000000000000006000004000000000000000000ff"
        "000000000000000000000000cf50777220436f6e73756d7074696f6e"
    )
    sensor = sdr.parse(wire)
    assert (sensor.name, sensor.number, sensor.owner) == ("Pwr Consumption", 1, 0x20)
    assert sensor.in_watts
    assert (sensor.convert(53), sensor.quantum, sensor.factors.accuracy_pct) == (212.0, 4.0, None)


@pytest.mark.parametrize(
    ("fields", "raw", "value"),
    [
        ({"m": 1}, 200, 200.0),
        ({"m": 4}, 53, 212.0),
        ({"m": 2, "b": 5, "b_exp": 1}, 100, 250.0),
        ({"m": 100, "r_exp": -2}, 212, 212.0),
        ({"m": 511, "b": -512, "r_exp": -1}, 10, 459.8),
        ({"m": -1, "b": 255}, 55, 200.0),
        ({"m": 5, "r_exp": 1}, 3, 150.0),
        ({"m": 1, "b": 1, "b_exp": -8}, 0, 1e-8),
        ({"m": 1, "data_format": 2}, 0xFF, -1.0),
        ({"m": 1, "data_format": 2}, 0x80, -128.0),
        ({"m": 1, "data_format": 1}, 0xFE, -1.0),
        ({"m": 1, "data_format": 1}, 0xFF, 0.0),
        ({"m": 1, "data_format": 0}, 0xFF, 255.0),
        ({"m": 1, "linearisation": 1}, 100, math.log(100)),
        ({"m": 1, "linearisation": 2}, 100, 2.0),
        ({"m": 1, "linearisation": 3}, 8, 3.0),
        ({"m": 1, "linearisation": 4}, 2, math.exp(2)),
        ({"m": 1, "linearisation": 5}, 2, 100.0),
        ({"m": 1, "linearisation": 6}, 8, 256.0),
        ({"m": 1, "linearisation": 7}, 4, 0.25),
        ({"m": 1, "linearisation": 8}, 15, 225.0),
        ({"m": 1, "linearisation": 9}, 6, 216.0),
        ({"m": 4, "linearisation": 10}, 100, 20.0),
        ({"m": 1, "linearisation": 11}, 27, 3.0),
        ({"m": 1, "linearisation": 7}, 0, None),
        ({"m": 1, "linearisation": 2}, 0, None),
        ({"m": 511, "r_exp": 7, "linearisation": 5}, 200, None),
    ],
)
def test_conversion(fields, raw, value):
    """The formula y = L[(M·x + B·10^K1)·10^K2], signed formats and every linearisation; no value is None."""
    converted = sdr.parse(record("Power", **fields)).convert(raw)
    assert converted is value if value is None else converted == pytest.approx(value)


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ({}, True),
        ({"unit": 0x01}, False),  # degrees C
        ({"unit": 0x05}, False),  # amperes: "Current" sensors of the same name exist
        ({"units": 0x01}, False),  # per cent of something
        ({"units": 0x18}, False),  # watts per minute
        ({"units": 0x04}, False),  # watts times something
        ({"data_format": 3}, False),  # not analog: HPE's "Power Supply 1"
        ({"linearisation": 0x70, "m": 0}, True),  # the factors of each value are asked for
        ({"linearisation": 0x7F}, True),  # a maker's own formula: likewise
        ({"linearisation": 12}, False),  # reserved
        ({"m": 0}, False),
        ({"owner": 0x41}, False),  # system software
        ({"owner": 0x2C}, True),  # a management engine behind the BMC
    ],
)
def test_only_plain_watts_count(fields, usable):
    """Base unit 06h, neither rate nor product nor per cent, analog, a formula that we know."""
    assert sdr.parse(record("Power", **fields)).in_watts is usable


def test_the_factors_of_one_reading():
    """Get Sensor Reading Factors (§35.5): next reading, then M, B, accuracy and exponents as in a record."""
    wire = bytes.fromhex("80 04 00 83 80 00 10")
    factors = sdr.reading_factors(wire)
    assert (factors.multiplier, factors.offset) == (4, -381)
    assert (factors.offset_exponent, factors.result_exponent) == (0, 1)
    sensor = sdr.parse(record("Power", linearisation=0x70, m=0))
    assert sensor.convert(196, factors) == pytest.approx((4 * 196 - 381) * 10.0)
    assert sensor.quantum is None


@pytest.mark.parametrize("wire", ["", "80 04 00 83 80 00", "80 00 00 83 80 00 10"])
def test_factors_that_say_nothing_are_data(wire):
    """Cut short, or M is 0: no value comes of it."""
    with pytest.raises(BmcDataError, match="Get Sensor Reading Factors"):
        sdr.reading_factors(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("wire", "raw"),
    [("35c0", 0x35), ("35c00000", 0x35), ("00c0", 0), ("35e0", None), ("3580", None), ("0020", None)],
)
def test_unavailable_and_not_scanned_is_no_reading(wire, raw):
    """Bit 5: unavailable; bit 6 clear: scanning off. Neither is 0 W."""
    assert sdr.reading(bytes.fromhex(wire)) == raw


def test_a_short_reading_is_data():
    """One byte is no answer."""
    with pytest.raises(BmcDataError, match="Get Sensor Reading"):
        sdr.reading(b"\x35")


@pytest.mark.parametrize(
    ("kind", "raw", "name"),
    [
        (0xC5, b"Power", "Power"),
        (0xC7, b"Power\0\0", "Power"),
        (0xC7, b" Power ", "Power"),
        (0x42, b"\x12\x3c", "123."),
        (0xC0, b"", ""),
    ],
)
def test_id_strings(kind, raw, name):
    """Latin-1, BCD plus, empty, padded."""
    assert sdr.parse(record(kind=kind, id_bytes=raw)).name == name


def test_packed_six_bit_names():
    """The standard's own example (§43.16): "IPMI" is 29h DCh A6h."""
    assert sdr.parse(record(kind=0x83, id_bytes=bytes.fromhex("29dca6"))).name == "IPMI"


def test_accuracy_is_told_where_declared():
    """Ten bits in hundredths of a per cent, times a power of ten."""
    assert sdr.parse(record("Power", accuracy=200)).factors.accuracy_pct == pytest.approx(2.0)
    assert sdr.parse(record("Power", accuracy=15, accuracy_exp=2)).factors.accuracy_pct == pytest.approx(15.0)


@given(
    m=st.integers(-512, 511),
    b=st.integers(-512, 511),
    b_exp=st.integers(-8, 7),
    r_exp=st.integers(-8, 7),
    raw=st.integers(0, 255),
)
def test_all_factors_survive_the_packing(m, b, b_exp, r_exp, raw):
    """Ten-bit and four-bit two's complement, split over bytes as the standard has it."""
    sensor = sdr.parse(record("Power", m=m, b=b, b_exp=b_exp, r_exp=r_exp))
    assert (sensor.factors.multiplier, sensor.factors.offset) == (m, b)
    assert (sensor.factors.offset_exponent, sensor.factors.result_exponent) == (b_exp, r_exp)
    assert sensor.convert(raw) == pytest.approx((m * raw + b * 10.0**b_exp) * 10.0**r_exp)


@given(st.binary(max_size=80), st.integers(0, 255))
def test_any_record_is_a_sensor_or_refused(wire, raw):
    """Garbage gives None or `BmcDataError`; a sensor in watts converts every byte to a number or None."""
    for whole in (wire, wire[:3] + b"\x01" + wire[4:]):
        try:
            sensor = sdr.parse(whole)
        except BmcDataError:
            continue
        if sensor is not None and sensor.in_watts:
            value = sensor.convert(raw)
            assert value is None or math.isfinite(value)
