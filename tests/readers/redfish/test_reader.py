"""The Redfish reader on simulated BMCs: what it asks for, and what comes out when something goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from energyrecorder.errors import BmcAuthError, BmcError
from energyrecorder.secret import Secret
from energyrecorder_execd.readers.redfish import RedfishReader
from support.bmcsim import simulated
from support.readers import Clock, reading, target

DELL = '[[bmc]]\nid = "b"\nprotocol = "redfish"\nscheme = "http"\npayload = "dell-r750-idrac9"\n'
POWERED = DELL + "power = { constant_w = 212.0 }\n"
POWER_PATH = "*/Power"


def _fault(kind, **options):
    values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    return f'faults = [{{ kind = "{kind}"{", " + values if values else ""} }}]\n'


async def _poll_until(reader, wanted):
    """Poll until ``wanted`` is content with a poll, a minute at most; failed polls are none."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(BmcError):
                poll = await reader.poll()
                if wanted(poll):
                    return poll
            await asyncio.sleep(0.05)


def _reads_212(poll):
    return poll.error == "" and poll.readings[0].watts == 212.0


async def _stats(sim):
    return (await sim.ask("/stats"))["b"]


async def test_after_discovery_one_poll_is_one_request(tmp_path):
    """The paths are remembered, across restarts too, and the host's state is not asked for without need."""
    facts = {}
    async with simulated(tmp_path, POWERED) as sim:
        async with reading(RedfishReader, target(sim, "b"), facts=facts) as reader:
            first = await reader.poll()
            assert first.info.model == "PowerEdge R750"
            assert first.requests > 5
            for _ in range(3):
                poll = await reader.poll()
                assert (poll.requests, poll.host, poll.error, poll.info) == (1, {None: "on"}, "", None)
                assert poll.readings[0].watts == 212.0
        facts = json.loads(json.dumps(facts))  # what the state file keeps
        async with reading(RedfishReader, target(sim, "b"), facts=facts) as reader:
            poll = await reader.poll()
            # Log-in, power, and the host's state, which is not remembered.
            assert (poll.requests, poll.error) == (3, "")
            assert poll.info.model == "PowerEdge R750"


async def test_one_session_is_reused_and_deleted(tmp_path):
    """Many polls need one log-in; closing logs out."""
    facts = {}
    async with simulated(tmp_path, POWERED) as sim:
        async with reading(RedfishReader, target(sim, "b"), facts=facts) as reader:
            for _ in range(10):
                await reader.poll()
            stats = await _stats(sim)
            assert (stats["log_ins"], stats["live_sessions"]) == (1, 1)
        assert (await _stats(sim))["live_sessions"] == 0
        assert "session" not in facts["redfish"]


async def test_a_killed_process_leaves_no_session_behind(tmp_path):
    """The session is remembered and ended before the next log-in."""
    facts = {}
    async with simulated(tmp_path, POWERED) as sim:
        for _ in range(4):
            async with reading(RedfishReader, target(sim, "b"), facts=facts, log_out=False) as reader:
                await reader.poll()
            stats = await _stats(sim)
            assert (stats["live_sessions"], stats["most_sessions"]) == (1, 1)


async def test_an_expired_session_costs_one_log_in(tmp_path):
    """401 with a token that worked leads to one new log-in and no error."""
    async with simulated(tmp_path, POWERED) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        await reader.poll()
        await sim.order("/fault", {"server": "b", "kind": "session_expiry", "count": 1})
        poll = await reader.poll()
        # Refused, logged in, the old session deleted in case the BMC still has it, asked again.
        assert (poll.error, poll.requests) == ("", 4)
        assert (await _stats(sim))["log_ins"] == 2


async def test_a_refused_log_in_is_tried_once_and_never_by_basic(tmp_path):
    """Wrong password: one refusal per poll, reason auth, no second way of logging in."""
    async with simulated(tmp_path, POWERED) as sim:
        wrong = target(sim, "b", password=Secret("wrong-" + "x" * 8))
        async with reading(RedfishReader, wrong) as reader:
            with pytest.raises(BmcAuthError) as refusal:
                await reader.poll()
        assert refusal.value.reason == "auth"
        assert "wrong-" not in str(refusal.value)
        assert (await _stats(sim))["refused"] == 1


@pytest.mark.parametrize("status", [503, 400])
async def test_a_full_session_table_leads_to_basic(tmp_path, status):
    """A full table is no refusal: Basic serves, and the facts say so."""
    facts = {}
    bmcs = POWERED + _fault("session_limit", status=status)
    async with simulated(tmp_path, bmcs) as sim:
        async with reading(RedfishReader, target(sim, "b"), facts=facts) as reader:
            poll = await reader.poll()
            assert poll.readings[0].watts == 212.0
        assert facts["redfish"]["auth"] == "basic"


async def test_a_busy_session_service_is_asked_once_per_poll(tmp_path):
    """503 for the log-in ends the poll; it is not tried again for each resource of the walk."""
    bmcs = POWERED + _fault("busy", path="*Sessions", retry_after_s=7)
    async with simulated(tmp_path, bmcs) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        with pytest.raises(BmcError) as busy:
            await reader.poll()
        assert (busy.value.reason, busy.value.retry_after_s) == ("busy", 7.0)
        assert (await _stats(sim))["requests"] == 2  # the root and the log-in


async def test_a_slow_log_in_outlives_a_cancelled_poll(tmp_path):
    """The next poll takes over the session that the first one began; no second one is made."""
    bmcs = POWERED + _fault("slow", path="*Sessions", delay_s=0.4, count=1)
    async with simulated(tmp_path, bmcs) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.poll(), 0.1)
        assert (await reader.poll()).readings[0].watts == 212.0
        stats = await _stats(sim)
        assert (stats["log_ins"], stats["live_sessions"]) == (1, 1)


async def _poll_of_requests(sim, reader, most):
    """Return a poll, or None where its deadline comes as the BMC is asked for the ``most``-th time."""
    asked = (await sim.ask("/stats"))["b"]["requests"]
    poll = asyncio.create_task(reader.poll())
    while not poll.done() and (await sim.ask("/stats"))["b"]["requests"] < asked + most:
        await asyncio.wait({poll}, timeout=0.01)
    poll.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await poll


async def test_a_walk_that_is_cut_off_goes_on(tmp_path):
    """A BMC too slow for one deadline is discovered over several polls."""
    bmcs = POWERED + "sensor = { latency_s = 0.05 }\n"
    async with simulated(tmp_path, bmcs) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        polls = [await _poll_of_requests(sim, reader, 4) for _ in range(8)]
    assert polls[0] is None
    assert polls[-1].readings[0].watts == 212.0


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        ("busy", "busy", "HTTP 503"),
        ("reset_mid_body", "unreachable", "broke inside the answer"),
        ("close_mid_body", "unreachable", "broke inside the answer"),
        ("refuse", "unreachable", ""),
    ],
)
async def test_a_failing_bmc_fails_the_poll(tmp_path, kind, reason, said):
    """Reason and message name what happened, and the next poll is fine again."""
    async with simulated(tmp_path, POWERED) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        await reader.poll()
        fault = {"for_s": 0.3} if kind == "refuse" else {"path": POWER_PATH, "count": 1}
        await sim.order("/fault", {"server": "b", "kind": kind, **fault})
        with pytest.raises(BmcError) as failure:
            await reader.poll()
        assert failure.value.reason == reason
        assert said in str(failure.value)
        await _poll_until(reader, _reads_212)


@pytest.mark.parametrize("kind", ["truncated_json", "html", "trailing_comma"])
async def test_a_malformed_body_is_a_data_error_naming_the_resource(tmp_path, kind):
    """No value, reason data, and the session and the plan live on."""
    async with simulated(tmp_path, POWERED) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        await reader.poll()
        await sim.order("/fault", {"server": "b", "kind": kind, "path": POWER_PATH, "count": 1})
        poll = await reader.poll()
        assert (poll.error, poll.readings) == ("data", ())
        assert "/Power" in poll.message
        assert (await reader.poll()).error == ""
        assert (await _stats(sim))["log_ins"] == 1


async def test_two_objects_in_one_body_are_understood(tmp_path):
    """An iDRAC8 was seen to send an error object and then the real one."""
    async with simulated(tmp_path, POWERED) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        await sim.order("/fault", {"server": "b", "kind": "two_objects", "path": POWER_PATH})
        assert (await reader.poll()).readings[0].watts == 212.0


async def test_redirects_to_the_slash_form_are_followed(tmp_path):
    """With the token, since it is the same host; for the log-in as well."""
    bmcs = POWERED + _fault("redirect_slash")
    async with simulated(tmp_path, bmcs) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        assert (await reader.poll()).readings[0].watts == 212.0


@pytest.mark.parametrize("kind", ["null", "zero"])
async def test_no_value_while_the_host_is_on_is_no_reading(tmp_path, kind):
    """Neither null nor 0 W is written; the state costs one request; the value comes back by itself."""
    async with simulated(tmp_path, POWERED) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        await reader.poll()
        await sim.order("/fault", {"server": "b", "kind": kind, "for_s": 0.3})
        poll = await reader.poll()
        assert (poll.error, poll.host, poll.readings) == ("no_reading", {None: "on"}, ())
        assert "/redfish/v1/Chassis/" in poll.message
        await _poll_until(reader, _reads_212)


@pytest.mark.parametrize("standby_w", [0.0, 8.0])
async def test_zero_and_standby_are_values_while_the_host_is_off(tmp_path, standby_w):
    """A hard reboot shows as real zeros or standby watts with host=off, then as on again."""
    quick = POWERED + "sensor = { refresh_s = 0.1, window_s = 0.1 }\n"
    async with simulated(tmp_path, quick) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        await reader.poll()
        await sim.order("/reboot", {"server": "b", "off_s": 1, "standby_w": standby_w})
        # The sensor's window still holds power from before.
        poll = await _poll_until(reader, lambda p: p.readings and p.readings[0].watts == standby_w)
        assert (poll.host, poll.error) == ({None: "off"}, "")
        assert (await _poll_until(reader, _reads_212)).host == {None: "on"}


async def test_another_source_stands_in_when_a_resource_disappears(tmp_path):
    """404 for the planned resource leads to a new walk in the same poll, and to the next rung."""
    bmcs = POWERED
    async with simulated(tmp_path, bmcs) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        assert (await reader.poll()).source == "power_control"
        gone = tmp_path / "gone.json"
        gone.write_text(json.dumps(_without_power()), encoding="utf-8")
        order = {"server": "b", "kind": "payload_switch", "payload": str(gone), "for_s": 600}
        await sim.order("/fault", order)
        poll = await reader.poll()
        assert (poll.error, poll.source, poll.readings[0].watts) == ("", "sensor", 600.0)


def _without_power():
    root, chassis = "/redfish/v1", "/redfish/v1/Chassis/System.Embedded.1"
    system = "/redfish/v1/Systems/System.Embedded.1"
    sensor = f"{chassis}/Sensors/SystemBoardPwrConsumption"
    return {
        root: {
            "Chassis": {"@odata.id": f"{root}/Chassis"},
            "Systems": {"@odata.id": f"{root}/Systems"},
            "Links": {"Sessions": {"@odata.id": f"{root}/SessionService/Sessions"}},
        },
        f"{root}/Chassis": {"Members": [{"@odata.id": chassis}]},
        f"{root}/Systems": {"Members": [{"@odata.id": system}]},
        system: {"Id": "System.Embedded.1", "PowerState": "On"},
        chassis: {"ChassisType": "RackMount", "Sensors": {"@odata.id": f"{chassis}/Sensors"}},
        f"{chassis}/Sensors": {"Members": [{"@odata.id": sensor}]},
        sensor: {"Reading": 600, "ReadingType": "Power", "ReadingUnits": "W"},
    }


async def test_a_renewal_never_costs_a_reading(tmp_path):
    """After hours the BMC is walked again, a few requests per poll, and a failure there is not the poll's."""
    clock = Clock()
    async with (
        simulated(tmp_path, POWERED) as sim,
        reading(RedfishReader, target(sim, "b"), clock=clock) as reader,
    ):
        await reader.poll()
        clock.ahead_s = 7 * 3600
        polls = [await reader.poll() for _ in range(5)]
        assert [poll.readings[0].watts for poll in polls] == [212.0] * 5
        assert max(poll.requests for poll in polls) <= 6
        assert polls[-1].requests == 1
        assert [poll.info for poll in polls].count(None) == 4
        await sim.order("/fault", {"server": "b", "kind": "busy", "path": "/redfish/v1/", "for_s": 600})
        await sim.order("/fault", {"server": "b", "kind": "busy", "path": "/redfish/v1", "for_s": 600})
        clock.ahead_s = 14 * 3600
        polls = [await reader.poll() for _ in range(3)]
        assert [poll.readings[0].watts for poll in polls] == [212.0] * 3
        assert [poll.requests for poll in polls][1:] == [1, 1]


async def test_a_booting_bmc_does_not_cost_the_plan(tmp_path):
    """404 for everything, as for half a minute after a BMC's reboot, is no reading; then all is as before."""
    async with simulated(tmp_path, POWERED) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        await reader.poll()
        empty = tmp_path / "empty.json"
        root = "/redfish/v1"
        bare = {root: {"Chassis": {"@odata.id": f"{root}/Chassis"}}, f"{root}/Chassis": {"Members": []}}
        empty.write_text(json.dumps(bare), encoding="utf-8")
        order = {"server": "b", "kind": "payload_switch", "payload": str(empty), "for_s": 0.3}
        await sim.order("/fault", order)
        poll = await reader.poll()
        assert (poll.error, poll.readings) == ("no_reading", ())
        await _poll_until(reader, _reads_212)


async def test_a_dead_host_state_is_asked_for_again_after_five_minutes(tmp_path):
    """A verified state is kept no longer than that."""
    clock = Clock()
    async with (
        simulated(tmp_path, POWERED) as sim,
        reading(RedfishReader, target(sim, "b"), clock=clock) as reader,
    ):
        await reader.poll()
        clock.ahead_s = 200
        assert (await reader.poll()).requests == 1
        clock.ahead_s = 400
        assert (await reader.poll()).requests == 2
