"""When the host's power state costs an extra request, and what is remembered of it."""

from __future__ import annotations

import pytest

from energyrecorder_execd.readers.host_state import (
    ABSENT_RETRY_S,
    MAX_AGE_S,
    HostMemory,
    must_verify,
    told_state,
    verified,
)

NOW = 1_800_000_000 * 10**9
ON = HostMemory(state="on", verified_ns=NOW, source="power_control", lowest_on_w=100.0)


def _later(seconds):
    return NOW + int(seconds * 1e9)


@pytest.mark.parametrize(
    ("memory", "watts", "source", "after_s", "asks"),
    [
        (HostMemory(), 300.0, "power_control", 1, True),
        (ON, 300.0, "power_control", 10, False),
        (ON, 99.0, "power_control", 10, False),
        (ON, 59.0, "power_control", 10, True),
        (ON, 0.0, "power_control", 10, True),
        (ON, None, "power_control", 10, True),
        (ON, 300.0, "sensor", 10, True),
        (ON, 300.0, "power_control", MAX_AGE_S + 1, True),
        (ON, 300.0, "power_control", -10, True),
        (HostMemory("off", NOW, "power_control"), 8.0, "power_control", 10, True),
        (HostMemory("unknown", NOW, "power_control"), 300.0, "power_control", 10, True),
        (HostMemory("unknown", NOW, "power_control", absent=1), 300.0, "power_control", 10, False),
        (HostMemory("unknown", NOW, "power_control", absent=1), 300.0, "power_control", 16, True),
        (HostMemory("unknown", NOW, absent=99), None, "power_control", ABSENT_RETRY_S - 1, False),
        (HostMemory("unknown", NOW, absent=99), None, "power_control", ABSENT_RETRY_S + 1, True),
    ],
)
def test_when_the_state_is_asked_for(memory, watts, source, after_s, asks):
    """Only where something hints at a change, or nothing is known."""
    assert must_verify(memory, watts=watts, source=source, now_ns=_later(after_s)) is asks


def test_the_lowest_reading_is_learned_while_the_host_is_on():
    """And forgotten when the source changes: another source may read lower."""
    memory = verified(HostMemory(), "on", watts=300.0, source="power_control", now_ns=NOW)
    memory = verified(memory, "on", watts=150.0, source="power_control", now_ns=NOW)
    memory = verified(memory, "off", watts=8.0, source="power_control", now_ns=NOW)
    assert (memory.state, memory.lowest_on_w) == ("off", 150.0)
    assert verified(memory, "on", watts=400.0, source="sensor", now_ns=NOW).lowest_on_w == 400.0
    assert verified(memory, None, watts=400.0, source="sensor", now_ns=NOW).absent


def test_a_resource_that_is_not_there_is_asked_for_ever_more_seldom():
    """A BMC that boots is known to be on again soon; one that never tells costs two dozen requests a day."""
    memory, asked_s = ON, []
    for second in range(0, 86400, 5):
        if must_verify(memory, watts=300.0, source="sensor", now_ns=_later(second)):
            memory = verified(memory, None, watts=300.0, source="sensor", now_ns=_later(second))
            asked_s.append(second)
    assert asked_s[:4] == [0, 15, 45, 105]
    assert len(asked_s) <= 32
    back = verified(memory, "on", watts=300.0, source="sensor", now_ns=NOW)
    assert (back.state, back.absent) == ("on", 0)


@pytest.mark.parametrize(
    ("document", "state"),
    [
        ({"PowerState": "On"}, "on"),
        ({"PowerState": "Off"}, "off"),
        ({"PowerState": "PoweringOn"}, "unknown"),
        ({"PowerState": "PoweringOff"}, "unknown"),
        ({"PowerState": "Reset"}, "unknown"),
        ({"Power": "On"}, "on"),
        ({"Power": {"@odata.id": "/redfish/v1/Chassis/1/Power"}}, None),
        ({"PowerState": None}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_what_a_resource_tells(document, state):
    """In between is unknown; no attribute is no answer; a chassis' link to Power is no state."""
    assert told_state(document) == state
