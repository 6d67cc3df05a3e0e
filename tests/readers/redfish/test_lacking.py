"""A computer whose own power is away for a while: neither its enclosure nor its parts are taken for it."""

from __future__ import annotations

import json

import pytest

from energyrecorder_execd.http import HttpStatusError
from energyrecorder_execd.readers.redfish.rediscovery import LACKING_S, RENEWAL_S, RETURN_S
from support.redfish_bench import (
    CHASSIS,
    ENVIRONMENT,
    POWER,
    ROOT,
    SYSTEM,
    Bench,
    control,
    ref,
    tree,
    two_nodes,
    values,
)

SYSTEMS, MANAGERS = f"{ROOT}/Systems", f"{ROOT}/Managers"
MANAGER = f"{MANAGERS}/1"
ENCLOSURE, TRAY = f"{ROOT}/Chassis/Enclosure", f"{ROOT}/Chassis/HGX_Chassis_0"
GONE = HttpStatusError(f"GET {POWER}: HTTP 404", status=404)
NODE_A = [f"{ROOT}/Chassis/A/{name}" for name in ("Power", "EnvironmentMetrics")]


def blade():
    """Return a blade (150 W) whose BMC shows the enclosure around it (2406 W) as well, as in an HPE c7000."""
    documents = tree(control(150))
    documents[CHASSIS] |= {"ChassisType": "Blade"}
    documents[f"{ROOT}/Chassis"] = {"Members": [ref(CHASSIS), ref(ENCLOSURE)]}
    return documents | {
        ENCLOSURE: {"Id": "Enclosure", "ChassisType": "Enclosure", "Power": ref(f"{ENCLOSURE}/Power")},
        f"{ENCLOSURE}/Power": control(2406),
    }


def with_tray():
    """Return a computer (1950 W) with a tray of GPUs (825 W), as NVIDIA's DGX H100."""
    documents = tree(control(1950))
    documents[f"{ROOT}/Chassis"] = {"Members": [ref(CHASSIS), ref(TRAY)]}
    metrics = f"{TRAY}/EnvironmentMetrics"
    return documents | {
        TRAY: {"Id": "HGX_Chassis_0", "ChassisType": "Zone", "EnvironmentMetrics": ref(metrics)},
        metrics: {"PowerWatts": {"Reading": 825}},
    }


def _silence(bench, how):
    if how == "404":
        bench.failing[POWER] = GONE
    else:
        bench.documents[POWER] = control(None)


@pytest.mark.parametrize("how", ["404", "null"])
@pytest.mark.parametrize("documents", [blade, with_tray])
async def test_what_is_beside_a_silent_computer_is_not_its_power(documents, how):
    """For a minute it has no value; the first poll in which it is back has one again, in the same series."""
    bench = Bench(documents())
    (before,) = (await bench.poll())[0].readings
    _silence(bench, how)
    for _ in range(5):
        bench.clock.ahead_s += 12
        poll, _ = await bench.poll()
        assert (poll.readings, poll.error) == ((), "no_reading")
    bench.failing.clear()
    bench.documents[POWER] = control(149)
    (after,) = (await bench.poll())[0].readings
    assert (after.watts, after.scope, after.node) == (149.0, before.scope, before.node)


@pytest.mark.parametrize("documents", [blade, with_tray])
async def test_a_computer_that_is_silent_at_first_is_waited_for(documents):
    """A collector that starts while the BMC boots does not settle for what it finds beside the computer."""
    bench = Bench(documents())
    _silence(bench, "null")
    poll, _ = await bench.poll()
    assert (poll.readings, poll.error) == ((), "no_reading")
    bench.documents[POWER] = control(149)
    assert values((await bench.poll())[0]) == [("power_control", 149.0)]


async def test_a_bmc_that_is_first_met_while_it_boots_is_looked_at_again_soon():
    """Once: a node without power of its own, or a link into the void, costs no walk every ten minutes."""
    bench = Bench(two_nodes())
    for path in NODE_A:
        bench.failing[path] = GONE
    poll, _ = await bench.poll()
    assert [r.node for r in poll.readings] == ["B"]
    asked = []
    for _ in range(3):
        bench.clock.ahead_s += RETURN_S + 1
        bench.http.asked.clear()
        for _ in range(6):
            poll = await bench.reader.poll()
        asked.append(ROOT + "/" in bench.http.asked)
    assert asked == [True, False, False]
    assert [r.node for r in poll.readings] == ["B"]
    again = Bench(two_nodes())
    again.failing = dict(bench.failing)
    await again.poll()
    again.failing.clear()
    again.clock.ahead_s += RETURN_S + 1
    for _ in range(8):
        poll, _ = await again.poll()
    assert {r.node for r in poll.readings} == {"A", "B"}


async def test_a_node_that_is_away_is_expected_and_comes_back():
    """The other one is read on; the poll is not up, also after a restart, until both have a value."""
    bench = Bench(two_nodes())
    await bench.poll()
    for path in NODE_A:
        bench.failing[path] = GONE
    for _ in range(5):
        bench.clock.ahead_s += 12
        poll, _ = await bench.poll()
        assert ([(r.node, r.watts) for r in poll.readings], poll.error) == ([("B", 500.0)], "no_reading")
    again = Bench(two_nodes(), facts=json.loads(json.dumps(bench.facts)))
    again.clock.ahead_s = bench.clock.ahead_s + 12
    poll, _ = await again.poll()
    assert ({r.node: r.watts for r in poll.readings}, poll.error) == ({"A": 300.0, "B": 500.0}, "")


async def test_what_accompanies_a_total_outlives_a_walk_while_the_bmc_boots():
    """Its host and its counter were not there yet: a hard reboot after that still shows its zeros."""
    bench = Bench(tree(control(300), environment={"EnergykWh": {"Reading": 3}}))
    await bench.poll()
    for path in (SYSTEMS, SYSTEM, ENVIRONMENT):
        bench.failing[path] = GONE
    await bench.renew(5)
    bench.failing.clear()
    bench.clock.ahead_s += 700
    poll, _ = await bench.poll()
    assert [(r.watts, r.energy_counter_j, poll.host) for r in poll.readings] == [
        (300.0, 3 * 3.6e6, {None: "on"})
    ]
    bench.documents.update({POWER: control(0), SYSTEM: {"Id": "1", "PowerState": "Off"}})
    poll, _ = await bench.poll()
    assert ([r.watts for r in poll.readings], poll.host, poll.error) == ([0.0], {None: "off"}, "")


async def test_what_is_known_of_a_model_holds_while_it_is_not_told():
    """A rating of supplies (900 W) is no reading because the system is not there yet."""
    power = {"PowerSupplies": [{"PowerInputWatts": 900, "PowerOutputWatts": 203}]}
    bench = Bench(tree(power))
    named = {"Id": "1", "PowerState": "On", "Manufacturer": "Dell Inc.", "Model": "PowerEdge M630"}
    managers = {MANAGERS: {"Members": [ref(MANAGER)]}, MANAGER: {"FirmwareVersion": "2.41.40.40"}}
    bench.documents.update({SYSTEM: named, **managers})
    bench.documents[ROOT] = {**bench.documents[ROOT], "Managers": ref(MANAGERS)}
    assert values((await bench.poll())[0]) == [("psu_output_sum", 203.0)]
    bench.failing[SYSTEM] = GONE
    await bench.renew(5)
    assert values((await bench.poll())[0]) == [("psu_output_sum", 203.0)]
    assert bench.facts["redfish"]["info"]["model"] == "PowerEdge M630"


async def test_a_node_that_was_pulled_is_given_up_after_hours():
    """A BMC is not down for ever because one of its sleds went elsewhere."""
    bench = Bench(two_nodes())
    await bench.poll()
    for path in NODE_A:
        bench.failing[path] = GONE
    for after_s in (0, LACKING_S - 60):
        bench.clock.ahead_s += after_s
        assert (await bench.poll())[0].error == "no_reading"
    await bench.renew(3)
    poll, asked = await bench.poll()
    assert ([r.node for r in poll.readings], poll.error) == (["B"], "")
    assert asked == [f"{ROOT}/Chassis/B/Power"]


async def test_another_board_that_shows_a_part_alone_is_read_after_hours():
    """What nothing shows any more is not waited for without end; better than its parts it may come back."""
    bench = Bench(with_tray())
    await bench.poll()
    bench.failing[POWER] = GONE
    await bench.poll()
    bench.clock.ahead_s += RENEWAL_S
    for _ in range(3):
        bench.clock.ahead_s += 60
        poll, _ = await bench.poll()
    assert values(poll) == [("environment_metrics", 825.0)]
    bench.failing.clear()
    assert await bench.renew(4) == [POWER]
