"""Supplies of which one shows its input and another its output: no part of a sum is the whole server."""

from __future__ import annotations

import json

import pytest

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.quirks import Effects
from energyrecorder_execd.readers.redfish.measure import measure
from energyrecorder_execd.readers.redfish.plan import Place
from energyrecorder_execd.readers.redfish.power_supplies import Supply
from energyrecorder_execd.readers.redfish.rediscovery import LOST_S, RETURN_S
from support.bmcsim import FLEET, serving
from support.execd import once, points_by_server, write_fleet
from support.redfish_bench import CHASSIS, POWER, Bench, ref, tree, values

SUBSYSTEM = f"{CHASSIS}/PowerSubsystem"
MIXED = (100, None), (None, 90)
OUTPUT_WHOLE = (100, 92), (None, 90)
SPARE = (100, 92), (None, None)


def in_one(*supplies):
    """Return a Power resource with the input and output of each supply."""
    keys = "PowerInputWatts", "PowerOutputWatts"
    return {"PowerSupplies": [dict(zip(keys, figures, strict=True)) for figures in supplies]}


def each_own(*supplies, followed=False):
    """Return a BMC whose supplies have metrics of their own, or sensors behind them."""
    documents = tree()
    documents[CHASSIS]["PowerSubsystem"] = ref(SUBSYSTEM)
    documents[SUBSYSTEM] = {"PowerSupplies": ref(f"{SUBSYSTEM}/PowerSupplies")}
    paths = [f"{SUBSYSTEM}/PowerSupplies/{number}" for number in range(len(supplies))]
    documents[f"{SUBSYSTEM}/PowerSupplies"] = {"Members": [ref(path) for path in paths]}
    for path, figures in zip(paths, supplies, strict=True):
        metrics = documents[f"{path}/Metrics"] = {}
        documents[path] = {"Metrics": ref(f"{path}/Metrics")}
        for key, watts in zip(("InputPowerWatts", "OutputPowerWatts"), figures, strict=True):
            metrics[key] = {"Reading": watts}
            if followed:
                metrics[key] = {"DataSourceUri": f"{path}/{key}"}
                documents[f"{path}/{key}"] = {"ReadingUnits": "W", "Reading": watts}
    return documents


def in_sensors(*supplies):
    return each_own(*supplies, followed=True)


SHAPES = pytest.mark.parametrize(
    "shown", [lambda *supplies: tree(in_one(*supplies)), each_own, in_sensors], ids=["one", "own", "sensors"]
)


@pytest.mark.parametrize(
    ("supply", "missing"),
    [
        (Supply(100.0, 92.0), (False, False)),
        (Supply(100.0, None), (False, True)),
        (Supply(None, 92.0), (True, False)),
        (Supply(None, None, None, "/sensor"), (True, False)),
        (Supply(at_mains=True), (True, True)),
        (Supply(100.0, None, at_mains=True), (False, True)),
        # Spares: they deliver nothing, or show nothing.
        (Supply(None, 0.0), (False, False)),
        (Supply(0.0, None), (False, False)),
        (Supply(), (False, False)),
    ],
)
def test_a_sum_lacks_a_supply_that_works_without_showing_its_part(supply, missing):
    """That it works is told by its mains or by its other figure."""
    assert tuple(supply.is_missing(source) for source in ("psu_input_sum", "psu_output_sum")) == missing


@pytest.mark.parametrize(("source", "figure"), [("psu_input_sum", "input"), ("psu_output_sum", "output")])
def test_a_part_of_a_sum_is_no_value(source, figure):
    """Not at the first look either; what is lacking is named."""
    with pytest.raises(BmcDataError, match=f"/p: only 1 of 2 power supplies show their {figure}") as caught:
        measure(Place("supplies", source, ("/p",)), {"/p": in_one(*MIXED)}, Effects())
    assert caught.value.reason == "no_reading"


@SHAPES
@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        (MIXED, []),
        (OUTPUT_WHOLE, [("psu_output_sum", 182.0)]),
        (((100, 92), (98, None)), [("psu_input_sum", 198.0)]),
        (SPARE, [("psu_input_sum", 100.0)]),
        (((100, 92), (None, 0)), [("psu_input_sum", 100.0)]),
    ],
)
async def test_the_sum_that_is_whole_counts(shown, supplies, expected):
    """Whatever it is that shows the supplies; without any the poll says so, again and again."""
    bench = Bench(shown(*supplies))
    for _ in range(4):
        bench.clock.ahead_s += LOST_S + 1
        poll, _ = await bench.poll()
        assert values(poll) == expected
        assert poll.error == ("" if expected else "no_reading")


@SHAPES
async def test_a_sum_is_back_with_the_supply_that_it_lacked(shown):
    """At the latest when the BMC is walked again."""
    bench = Bench(shown(*MIXED))
    await bench.poll()
    bench.documents.update(shown((100, 92), (99, 90)))
    for _ in range(3):
        bench.clock.ahead_s += LOST_S + 1
        poll, _ = await bench.poll()
    assert values(poll) == [("psu_input_sum", 199.0)]


@SHAPES
async def test_an_input_that_goes_away_for_good_leaves_the_sum_of_outputs(shown):
    """Until it is back."""
    bench = Bench(shown((100, 92), (99, 90)))
    assert values((await bench.poll())[0]) == [("psu_input_sum", 199.0)]
    bench.documents.update(shown(*OUTPUT_WHOLE))
    for _ in range(8):
        bench.clock.ahead_s += RETURN_S
        assert values((await bench.poll())[0]) == [("psu_output_sum", 182.0)]
    bench.documents.update(shown((100, 92), (99, 90)))
    for _ in range(8):
        bench.clock.ahead_s += RETURN_S
        poll, _ = await bench.poll()
    assert values(poll) == [("psu_input_sum", 199.0)]


async def test_another_resource_stands_in_for_a_part_of_a_sum():
    """The rungs below it are looked at as ever, and those above it."""
    bench = Bench(tree(in_one(*MIXED), sensor=195))
    assert values((await bench.poll())[0]) == [("sensor", 195.0)]


def test_no_part_is_written_through_the_whole_path(tmp_path):
    """Simulator, HTTP, reader, line protocol."""
    shown = {
        "mixed": (tree(in_one(*MIXED)), []),
        "mixed-metrics": (each_own(*MIXED), []),
        "output": (tree(in_one(*OUTPUT_WHOLE)), [("psu_output_sum", 182)]),
        "output-metrics": (each_own(*OUTPUT_WHOLE), [("psu_output_sum", 182)]),
        "spare": (tree(in_one(*SPARE)), [("psu_input_sum", 100)]),
    }
    bmcs = ""
    for name, (documents, _) in shown.items():
        payload = tmp_path / f"{name}.json"
        payload.write_text(json.dumps(documents), encoding="utf-8")
        bmcs += f'[[bmc]]\nid = "{name}"\nprotocol = "redfish"\nscheme = "http"\npayload = "{payload}"\n'
    (tmp_path / "sim.toml").write_text(FLEET + bmcs, encoding="utf-8")
    with serving(tmp_path / "sim.toml") as sim:
        servers = {name: {"protocol": "redfish"} for name in shown}
        done = once(write_fleet(tmp_path, sim, servers), tmp_path / "state")
    points = points_by_server(done.stdout)
    for name, (_, expected) in shown.items():
        power = [point["fields"] for point in points[name] if point["measurement"] == "server_power"]
        (bmc,) = (point["fields"] for point in points[name] if point["measurement"] == "server_bmc")
        assert [(fields["source"], fields["watts"]) for fields in power] == expected
        assert bmc["error"] == ("" if expected else "no_reading")
    assert f"{POWER}: only 1 of 2 power supplies show their input" in done.stderr
