"""What a poll is written as, to the letter."""

from __future__ import annotations

import pytest

from energyrecorder_execd.emit import Origin, Outcome, bmc_lines, info_line, node_name, power_lines
from energyrecorder_execd.findings import INFO_EVERY_S, Findings
from energyrecorder_execd.readers.base import Poll, Reading, ServerInfo

AT = 1_700_000_000_000_000_000
ORIGIN = Origin("node-1", "pod1", {"rack": "r 7"})


def _reading(watts, **more):
    return Reading(
        watts=watts, sampled_at_ns=AT, clock="poll", protocol="redfish", source="power_control", **more
    )


def _poll(*readings, host=None, **more):
    return Poll(readings, host or {None: "on"}, "redfish", "power_control", 1, **more)


def test_a_plain_total():
    """Unknown is absent, floats stay floats, the static tags are there."""
    (line,) = power_lines(ORIGIN, _poll(_reading(212, latency_s=0.01234)))
    assert line == (
        "server_power,env=pod1,rack=r\\ 7,scope=server,server=node-1 "
        'watts=212.0,clock="poll",latency_ms=12.34,backfill=0i,protocol="redfish",source="power_control",'
        f'side="unknown" {AT}'
    )


def test_everything_a_reading_can_say():
    """All fields, in the order of the schema."""
    reading = Reading(
        watts=100.5, sampled_at_ns=AT - 5, clock="bmc", protocol="ilo", source="ilo_fast_meter", side="ac",
        scope="component", part="psu1", window_s=10.0, refresh_s=10.0, quantum_w=1.0, accuracy_pct=2.0,
        avg_w=99.0, min_w=80.0, max_w=120.0, energy_counter_j=5e6, energy_wrap_j=2.0**32, backfill=True,
    )  # fmt: skip
    (line,) = power_lines(Origin("a", "e", {}), _poll(reading))
    assert line == (
        "server_power,env=e,part=psu1,scope=component,server=a watts=100.5,avg_w=99.0,min_w=80.0,max_w=120.0,"
        'window_s=10.0,refresh_s=10.0,quantum_w=1.0,accuracy_pct=2.0,clock="bmc",energy_counter_j=5000000.0,'
        'energy_wrap_j=4294967296.0,backfill=1i,protocol="ilo",source="ilo_fast_meter",side="ac" '
        "1699999999999999995"
    )


def test_no_watts_is_no_line_but_a_counter_is_kept():
    """Missing is never 0."""
    assert power_lines(ORIGIN, _poll(_reading(None))) == []
    (line,) = power_lines(ORIGIN, _poll(_reading(None, energy_counter_j=3.0)))
    assert "watts" not in line
    assert "energy_counter_j=3.0" in line


def test_zero_watts_of_a_host_that_is_off_is_written():
    """A real zero."""
    (line,) = power_lines(ORIGIN, _poll(_reading(0.0), host={None: "off"}))
    assert " watts=0.0," in line


def test_nodes_are_servers_of_their_own():
    """`<id>/<node>`, each with its own `server_bmc`."""
    poll = _poll(_reading(50.0, node="A"), _reading(60.0, node="B 2"), host={"A": "on", "B 2": "off"})
    origin = Origin("box", "pod1", {}, (node_name("A"), node_name("B 2")))
    assert [line.split(" ")[0].rpartition("=")[2] for line in power_lines(origin, poll)] == [
        "box/A",
        "box/B-2",
    ]
    lines = bmc_lines(origin, Outcome(AT, 0.5, poll, ""), 0)
    assert [line.split(" ")[0] for line in lines] == [
        "server_bmc,env=pod1,server=box/A",
        "server_bmc,env=pod1,server=box/B-2",
    ]
    assert 'host="on"' in lines[0]
    assert 'host="off"' in lines[1]


def test_nodes_that_were_seen_are_written_for_when_the_bmc_is_away():
    """A failure concerns each of them."""
    lines = bmc_lines(Origin("box", "pod1", {}, ("A", "B")), Outcome(AT, 8.0, None, "timeout"), 0)
    assert [line.split(" ")[0][-5:] for line in lines] == ["box/A", "box/B"]
    assert all('host="unknown"' in line for line in lines)


def test_server_bmc_of_a_poll_that_worked():
    """Every field, every time."""
    (line,) = bmc_lines(ORIGIN, Outcome(AT, 0.0421, _poll(_reading(1.0)), ""), 0)
    assert line == (
        'server_bmc,env=pod1,rack=r\\ 7,server=node-1 up=1i,host="on",scrape_ms=42.1,requests=1i,'
        f'late_ticks=0i,error="",protocol="redfish",source="power_control" {AT}'
    )


def test_server_bmc_of_a_poll_that_failed():
    """Not up, nothing claimed of the host, the reason."""
    (line,) = bmc_lines(Origin("a", "e", {}), Outcome(AT, 8.0, None, "timeout", protocol="ipmi"), 3)
    assert line == (
        'server_bmc,env=e,server=a up=0i,host="unknown",scrape_ms=8000.0,requests=0i,late_ticks=3i,'
        f'error="timeout",protocol="ipmi",source="" {AT}'
    )


@pytest.mark.parametrize("bad", ["212", b"212", [212], {"Reading": 212}])
def test_a_value_of_a_wrong_type_is_refused_not_written(bad):
    """The loop turns it into a `data` error of this BMC."""
    with pytest.raises(TypeError, match="server_power"):
        power_lines(ORIGIN, _poll(_reading(bad)))


def test_server_info():
    """What is known and nothing else."""
    info = ServerInfo(
        vendor="Dell Inc.", model='R640 "x"', psu_count=2, refresh_s=1.0, refresh_from="declared"
    )
    assert info_line(Origin("a", "e", {}), info, "https://[fd00::1]", AT) == (
        'server_info,env=e,server=a vendor="Dell Inc.",model="R640 \\"x\\"",refresh_s=1.0,'
        f'refresh_from="declared",psu_count=2i,bmc_url="https://[fd00::1]" {AT}'
    )
    assert info_line(Origin("a", "e", {}), ServerInfo(), None, AT) is None


def test_server_info_is_due_at_start_on_change_and_hourly():
    """The inlet temperature alone is no change."""
    findings = Findings({})
    quiet = _poll(_reading(1.0))
    assert findings.info_to_write(quiet, 0.0) is None
    first = ServerInfo(model="R640", inlet_c=20.0)
    assert findings.info_to_write(_poll(info=first), 1.0) == first
    assert findings.info_to_write(_poll(info=ServerInfo(model="R640", inlet_c=21.0)), 2.0) is None
    changed = ServerInfo(model="R640", bmc_fw="7.0")
    assert findings.info_to_write(_poll(info=changed), 3.0) == changed
    assert findings.info_to_write(quiet, 3.0 + INFO_EVERY_S - 1) is None
    assert findings.info_to_write(quiet, 3.0 + INFO_EVERY_S) == changed


def test_what_is_learned_survives_and_nodes_only_grow():
    """The facts are what is kept on disk."""
    facts = {}
    Findings(facts).learn(_poll(_reading(1.0, node="B", refresh_s=2.0), host={"B": "on"}))
    Findings(facts).learn(_poll(_reading(1.0, node="A"), host={"A": "on"}))
    assert Findings(facts).nodes == ("A", "B")
    assert Findings(facts).refresh_s == 2.0


@pytest.mark.parametrize("stored", [None, 5, "x", {"nodes": 5, "refresh_s": "x"}])
def test_facts_of_another_shape_are_no_reason_to_fail(stored):
    """A state file of another version."""
    findings = Findings({"collector": stored})
    assert findings.nodes == ()
    assert findings.refresh_s is None
