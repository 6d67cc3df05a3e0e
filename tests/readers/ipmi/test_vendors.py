"""The vendor grammar: which sensors are the power of the whole server."""

from __future__ import annotations

import re

import pytest

from energyrecorder_execd.quirks_page import page
from energyrecorder_execd.readers.ipmi import sdr, vendors
from support.ipmi_records import record


def sensors(*names, **fields):
    return [sdr.parse(record(name, number=number, **fields)) for number, name in enumerate(names, 1)]


def chosen(manufacturer, *names, pattern=None):
    choice = vendors.choose(sensors(*names), manufacturer, pattern)
    return None if choice is None else ([sensor.name for sensor in choice.sensors], choice.side)


@pytest.mark.parametrize(
    ("manufacturer", "names", "expected"),
    [
        # The ten manufacturers of the original project.
        (11, ["Power Meter", "Power Supply 1"], ["Power Meter"]),
        (
            343,
            ["PS1 Input Power", "PS2 Input Power", "PS1 Curr Out %"],
            ["PS1 Input Power", "PS2 Input Power"],
        ),
        (674, ["Current 1", "Pwr Consumption"], ["Pwr Consumption"]),
        (2011, ["Power"], ["Power"]),
        (2011, ["Power1", "Power2", "PowerX"], ["Power1", "Power2"]),
        (5771, ["POWER_USAGE", "PSU1_PIN"], ["POWER_USAGE"]),
        (10297, ["BOARD_POWER"], ["BOARD_POWER"]),
        (19046, ["CPU Power", "Mem Power", "Sys Power", "PSU1 AC In Pwr"], ["Sys Power"]),
        (20301, ["Avg Power", "PS1 Power In", "PS2 Power In"], ["Avg Power"]),
        (28458, ["HSC Input Power"], ["HSC Input Power"]),
        (40092, ["HSC Input Power"], ["HSC Input Power"]),
        # Names added to it.
        (674, ["System Level"], ["System Level"]),
        (5703, ["PWR_PDB_HSC", "PWR_PSU0", "PWR_SYSTEM", "PWR_PSU1"], ["PWR_SYSTEM"]),
        (15370, ["SYS_POWER"], ["SYS_POWER"]),
        (
            19046,
            ["PSU1 AC In Pwr", "PSU1 DC Out Pwr", "PSU2 AC In Pwr"],
            ["PSU1 AC In Pwr", "PSU2 AC In Pwr"],
        ),
        (20301, ["PS1 Power In", "PS2 Power In"], ["PS1 Power In", "PS2 Power In"]),
        (10368, ["PSU1 Power", "PSU2 Power", "Total Power"], ["Total Power"]),
        (49871, ["total_power", "PSU0_PINPUT"], ["total_power"]),
        # A BMC whose manufacturer is not in the table, or whose board builder is.
        (4242, ["Fan 1", "Pwr Consumption"], ["Pwr Consumption"]),
        (10876, ["PS1 Input Power", "PS2 Input Power"], ["PS1 Input Power", "PS2 Input Power"]),
    ],
)
def test_the_power_of_the_server(manufacturer, names, expected):
    """A total alone, else all parts, own names before everybody's."""
    found = chosen(manufacturer, *names)
    assert found is not None
    assert found[0] == expected


@pytest.mark.parametrize(
    ("manufacturer", "names"),
    [
        (4242, []),
        (4242, ["Power", "Power1", "System Level", "PSU1 Power"]),  # mean something else elsewhere
        (19046, ["CPU Power", "Mem Power", "Host Power"]),
        (674, ["Pwr Consumption2"]),
    ],
)
def test_nothing_known_is_none(manufacturer, names):
    """An unknown sensor is not guessed at."""
    assert chosen(manufacturer, *names) is None


def test_sensors_in_other_units_do_not_count():
    """A sensor of the right name in amperes is not the power."""
    assert vendors.choose(sensors("Pwr Consumption", unit=0x05), 674) is None


def test_names_match_whatever_their_case():
    """Firmware versions differ in capitals."""
    assert chosen(5771, "Power_Usage") == (["Power_Usage"], "unknown")


def test_a_pattern_replaces_the_table():
    """What the fleet file names is taken, all of it, and nothing else."""
    names = ("Pwr Consumption", "Sled 1 Power", "Sled 2 Power")
    assert chosen(674, *names, pattern=r"Sled \d Power") == (["Sled 1 Power", "Sled 2 Power"], "unknown")
    assert chosen(674, *names, pattern="Rack Power") is None


@pytest.mark.parametrize(
    ("manufacturer", "name", "side"),
    [(343, "PS1 Input Power", "ac"), (28458, "HSC Input Power", "dc"), (674, "Pwr Consumption", "unknown")],
)
def test_the_side_is_told_where_the_name_tells_it(manufacturer, name, side):
    """Inputs of power supplies are upstream of them, a hot-swap controller is behind them."""
    assert chosen(manufacturer, name) == ([name], side)


def test_the_table_is_sound():
    """Numbers once, in order; patterns compile; each entry says where it comes from."""
    numbers = [grammar.iana for grammar in vendors.GRAMMARS]
    assert numbers == sorted(set(numbers))
    for grammar in vendors.GRAMMARS:
        assert grammar.evidence
        assert grammar.vendor == vendors.vendor_name(grammar.iana)
        for names in grammar.totals + grammar.parts:
            re.compile(names.pattern)
            assert names.side in {"ac", "dc", "unknown"}
    assert vendors.vendor_name(4242) is None


def test_the_page_of_quirks_has_every_maker():
    """`docs/quirks.md` is generated from this table; `tests/readers/test_quirks.py` sees to its freshness."""
    text = page()
    for grammar in vendors.GRAMMARS:
        assert f"| {grammar.vendor} | {grammar.iana} |" in text
