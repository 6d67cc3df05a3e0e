"""An enclosure's power is never billed to one of its nodes, whatever the BMC leaves out (HPE Apollo 2000)."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.rediscovery import EMPTY_S, RENEWAL_S
from support.bmcsim import FLEET, serving, simulated
from support.execd import once, points_by_server, write_fleet
from support.readers import Clock, reading, target

CASE = Path(__file__).parents[1] / "testcases/redfish/hpe-xl225n-apollo2000/responses.json"
NODE, ENCLOSURE = "/redfish/v1/Chassis/1", "/redfish/v1/Chassis/enclosurechassis"
SYSTEM = "/redfish/v1/Systems/1"
POWER, METER, ENVIRONMENT = f"{NODE}/Power", f"{NODE}/Power/FastPowerMeter", f"{NODE}/EnvironmentMetrics"
SUBSYSTEM, SENSORS = f"{NODE}/PowerSubsystem", f"{NODE}/Sensors"
OWN_W, SHARED_W = 100, 116
"""Of a busy node: so near to one another that they look like two views of one power."""

POINTER = "/Oem/Hpe/NodePowerWatts"


def _ref(path):
    return {"@odata.id": path}


def _shown():
    """Return the node with all that may be taken for its power: environment, sensor, supplies, meter."""
    found = json.loads(CASE.read_text(encoding="utf-8"))
    found[ENCLOSURE]["Oem"]["Hpe"]["NodePowerWatts"] = OWN_W
    found[NODE] |= {"EnvironmentMetrics": _ref(ENVIRONMENT), "Sensors": _ref(SENSORS)}
    found[NODE]["PowerSubsystem"] = _ref(SUBSYSTEM)
    # Its supplies are parts of no node either, so they stand where parts have a resource of their own.
    del found[POWER]["PowerSupplies"]
    found[POWER]["Oem"] = {"Hpe": {"Links": {"FastPowerMeter": _ref(METER)}}}
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s)) for ago_s in (20, 10, 0)]
    supply = f"{SUBSYSTEM}/PowerSupplies/0"
    return found | {
        METER: {"PowerDetail": [{"Time": stamp, "Average": SHARED_W} for stamp in stamps]},
        ENVIRONMENT: {"PowerWatts": {"Reading": SHARED_W}, "EnergykWh": {"Reading": 9.5}},
        SENSORS: {"Members": [_ref(f"{SENSORS}/total_power")]},
        f"{SENSORS}/total_power": {"ReadingUnits": "W", "Reading": SHARED_W},
        SUBSYSTEM: {"PowerSupplies": _ref(f"{SUBSYSTEM}/PowerSupplies")},
        f"{SUBSYSTEM}/PowerSupplies": {"Members": [_ref(supply)]},
        supply: {"Metrics": _ref(f"{supply}/Metrics")},
        f"{supply}/Metrics": {"InputPowerWatts": {"Reading": 350}},
    }


def _null(found):
    found[ENCLOSURE]["Oem"]["Hpe"]["NodePowerWatts"] = None


def _dropped(found):
    del found[ENCLOSURE]["Oem"]


def _gone(found):
    del found[ENCLOSURE], found["/redfish/v1/Chassis"]["Members"][1]


def _nowhere_else(found):
    """The rung below all others: the value is away, and no Power resource shows one."""
    _null(found)
    found[POWER]["PowerControl"] = []
    for path in (ENVIRONMENT, SENSORS, SUBSYSTEM):
        del found[NODE][path.rpartition("/")[2]]


AWAY = {"null": _null, "dropped": _dropped, "gone": _gone, "meter-only": _nowhere_else}


def _written(folder, change=lambda found: None):
    found = _shown()
    change(found)
    path = folder / f"{change.__name__.strip('_<>')}.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def _bmc(name, payload):
    return f'[[bmc]]\nid = "{name}"\nprotocol = "redfish"\nscheme = "http"\npayload = "{payload}"\n'


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Return the points of a run over BMCs whose value is away from the begin, and what was said."""
    folder = tmp_path_factory.mktemp("away")
    protocols = {f"{name}-{by}": by for name in AWAY for by in ("redfish", "auto", "ilo")}
    payloads = {name: _written(folder, change) for name, change in AWAY.items()}
    bmcs = "".join(_bmc(name, payloads[name.rpartition("-")[0]]) for name in protocols)
    (folder / "sim.toml").write_text(FLEET + bmcs, encoding="utf-8")
    with serving(folder / "sim.toml") as sim:
        servers = {name: {"protocol": by, "components": True} for name, by in protocols.items()}
        done = once(write_fleet(folder, sim, servers), folder / "state")
    return points_by_server(done.stdout), done.stderr.splitlines()


@pytest.mark.parametrize("by", ["redfish", "auto", "ilo"])
@pytest.mark.parametrize("name", AWAY)
def test_a_node_whose_own_value_is_away_from_the_begin_has_no_power(name, by, printed):
    """An error names the resource, or the place that no resource has; only the enclosure has a series."""
    points, said = printed
    mine = points[f"{name}-{by}"]
    power = [point for point in mine if point["measurement"] == "server_power"]
    assert {point["tags"]["scope"] for point in power} <= {"enclosure"}
    (bmc,) = (point["fields"] for point in mine if point["measurement"] == "server_bmc")
    assert (bmc["up"], bmc["error"]) == (0, "data")
    (line,) = (line for line in said if f"'{name}-{by}'" in line)
    place = METER if by == "ilo" else POINTER if name == "gone" else f"{ENCLOSURE}: {POINTER}"
    assert place in line
    assert "the node's own value is not shown" in line


class _Node:
    """The node's BMC and its reader, over HTTP."""

    def __init__(self, sim, reader, clock):
        self._sim, self._reader, self._clock = sim, reader, clock

    async def serve(self, payload):
        await self._sim.order("/fault", {"server": "b", "kind": "payload_switch", "payload": str(payload)})

    async def polled(self, after_s=10.0):
        """Return all figures of the node (watts, joules), the error and its message."""
        self._clock.ahead_s += after_s
        try:
            poll = await self._reader.poll()
        except BmcError as error:
            return [], error.reason, str(error)
        mine = [reading for reading in poll.readings if reading.scope != "enclosure"]
        figures = [figure for reading in mine for figure in (reading.watts, reading.energy_counter_j)]
        return [figure for figure in figures if figure is not None], poll.error, poll.message


@pytest.fixture
async def node(tmp_path):
    clock = Clock()
    async with simulated(tmp_path, _bmc("b", _written(tmp_path))) as sim:
        aim = target(sim, "b", options={"components": True})
        async with reading(RedfishReader, aim, clock=clock) as reader:
            yield _Node(sim, reader, clock)


@pytest.mark.parametrize("name", AWAY)
async def test_a_value_that_goes_away_leaves_no_power_and_is_back_at_once(name, node, tmp_path):
    """Through all that is looked for anew meanwhile, for half a day."""
    assert (await node.polled())[:2] == ([OWN_W], "")
    await node.serve(_written(tmp_path, AWAY[name]))
    for after_s in [10.0] * 20 + [600.0] * 5 + [RENEWAL_S + 1] + [10.0] * 20 + [RENEWAL_S + 1] + [60.0] * 5:
        watts, error, message = await node.polled(after_s)
        assert (watts, error) == ([], "no_reading" if name == "gone" else "data")
        assert ENCLOSURE in message
    await node.serve(_written(tmp_path))
    assert (await node.polled())[:2] == ([OWN_W], "")


@pytest.mark.parametrize("name", AWAY)
async def test_a_value_that_was_away_from_the_begin_is_found(name, node, tmp_path):
    """At the next poll where its resource is known, else as soon as the BMC is walked again."""
    await node.serve(_written(tmp_path, AWAY[name]))
    for _ in range(3):
        assert (await node.polled())[:2] == ([], "data")
    await node.serve(_written(tmp_path))
    assert (await node.polled(2 * EMPTY_S if name == "gone" else 10.0))[:2] == ([OWN_W], "")


async def test_what_hides_the_model_for_a_while_bills_nothing(node, tmp_path):
    """The resource with the model fails while the value is away and the BMC is walked again."""
    assert (await node.polled())[:2] == ([OWN_W], "")

    def hidden(found):
        _null(found)
        del found[SYSTEM]

    await node.serve(_written(tmp_path, hidden))
    for after_s in [10.0] * 10 + [RENEWAL_S + 1] + [10.0] * 10:
        assert (await node.polled(after_s))[0] == []


async def test_a_model_that_shows_only_later_ends_what_was_billed_before(node, tmp_path):
    """Until the model is known nothing tells that PowerControl holds a share."""

    def hidden(found):
        del found[SYSTEM]["Model"], found[ENCLOSURE]

    await node.serve(_written(tmp_path, hidden))
    assert SHARED_W in (await node.polled())[0]
    await node.serve(_written(tmp_path, _null))
    await node.polled(RENEWAL_S + 1)
    for _ in range(10):
        await node.polled()
    assert (await node.polled())[:2] == ([], "data")
