"""Accuracy and timing of a total: from its sensor, or a metric definition that names its very property."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from energyrecorder_execd.readers.redfish import RedfishReader
from energyrecorder_execd.readers.redfish.definition import (
    Declared,
    completed,
    parse_definition,
    total_property,
)
from energyrecorder_execd.readers.redfish.parse import Candidate
from support.bmcsim import simulated
from support.readers import reading, target
from support.redfish_bench import ENVIRONMENT, Bench, tree

CASE = Path(__file__).parents[2] / "testcases" / "redfish" / "dmtf-metric-definition" / "responses.json"
DEFINITION = "/redfish/v1/TelemetryService/MetricDefinitions/PowerConsumedWatts"
POWER = "/redfish/v1/Chassis/1/Power"
PROPERTY = f"{POWER}#/PowerControl/0/PowerConsumedWatts"
DMTF = json.loads(CASE.read_text(encoding="utf-8"))[DEFINITION]
DELL = {"Id": "SystemPowerConsumption", "Units": "W", "Accuracy": 1, "SensingInterval": "PT60S"}
NAMED = {**DELL, "MetricProperties": [PROPERTY]}


def _filled(*values, name="A", said="/redfish/v1/Chassis/{A}/Power#/PowerControl/0/PowerConsumedWatts"):
    return {**NAMED, "Wildcards": [{"Name": name, "Values": list(values)}], "MetricProperties": [said]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (DMTF, Declared(1.0, 1.0)),
        (NAMED, Declared(1.0, 60.0)),
        # As in the first edition of the white paper.
        ({**NAMED, "MetricProperties": [f"{PROPERTY} "], "SensingInterval": "1000"}, Declared(1.0, None)),
        (_filled("*"), Declared(1.0, 60.0)),
        (_filled("2", "1"), Declared(1.0, 60.0)),
        ({**NAMED, "Accuracy": None}, Declared(None, 60.0)),
        ({**NAMED, "Accuracy": "2.5 %", "SensingInterval": "PT0S"}, Declared(2.5, None)),
        ({**NAMED, "Units": None}, Declared(1.0, 60.0)),
    ],
)
def test_what_is_of_the_total_is_taken(document, expected):
    assert parse_definition(document, PROPERTY) == expected


@pytest.mark.parametrize(
    "document",
    [
        # As Dell's are published: which property they are of they do not say.
        DELL,
        {**NAMED, "MetricProperties": []},
        {**NAMED, "MetricProperties": [PROPERTY.replace("/0/", "/1/")]},
        {**NAMED, "MetricProperties": [PROPERTY.replace("Chassis/1", "Chassis/2")]},
        {**NAMED, "MetricProperties": [f"{POWER}#/PowerControl/0/PowerMetrics/MaxConsumedWatts"]},
        {**NAMED, "MetricProperties": PROPERTY},
        _filled("2", "3"),
        _filled(),
        _filled("1", name="B"),
        _filled("1/Power#", said="/redfish/v1/Chassis/{A}/PowerControl/0/PowerConsumedWatts"),
        # An average of it, or something else than watts.
        {**NAMED, "CalculationAlgorithm": "Average"},
        {**NAMED, "Units": "mW"},
        {**NAMED, "Accuracy": 0, "SensingInterval": None},
        {**NAMED, "Accuracy": 250, "SensingInterval": "often"},
        {**NAMED, "MetricProperties": [7, None]},
        [],
        None,
    ],
)
def test_what_may_be_of_something_else_is_not(document):
    assert parse_definition(document, PROPERTY) is None


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ([{"PowerConsumedWatts": 344}], PROPERTY),
        ({"PowerConsumedWatts": "344"}, PROPERTY),
        (
            [{"Name": "CPU Power", "PowerConsumedWatts": 344}, {"PowerConsumedWatts": 344}],
            PROPERTY.replace("/0/", "/1/"),
        ),
        ([{"PowerMetrics": {"AverageConsumedWatts": 344, "IntervalInMin": 1}}], None),
        ([], None),
    ],
)
def test_the_property_that_a_total_was_read_from(control, expected):
    """Of the entry that holds it; an average is none."""
    document = {"PowerControl": control}
    assert total_property(document, f"{POWER}/", Candidate(344.0, "power_control")) == expected
    assert total_property(document, POWER, Candidate(344.0, "oem")) is None
    assert total_property(document, POWER, Candidate(None, "power_control")) is None


def test_what_a_value_declares_itself_comes_first():
    own = Candidate(5.0, "sensor", refresh_s=2.0)
    assert completed(own, Declared(1.0, 60.0)) == Candidate(5.0, "sensor", refresh_s=2.0, accuracy_pct=1.0)
    assert completed(own, None) is own


SENSOR_PATH = "/redfish/v1/Chassis/1/Sensors/Total"
WATTS = {"Reading": 374, "ReadingUnits": "W"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"Accuracy": 2.5, "SensingInterval": "PT1S", "AveragingInterval": "PT0S"}, (2.5, 1.0, 0.0)),
        ({"Accuracy": 2.5}, (2.5, None, None)),
        ({"Accuracy": 2.5, "ReadingUnits": "Cel"}, (None, None, None)),
        ({"Accuracy": 2.5, "Reading": "hot"}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
async def test_environment_metrics_are_as_exact_as_the_sensor_they_copy(more, expected):
    """Asked for by the walk alone; its value stays that of the resource."""
    bench = Bench(tree(environment={"PowerWatts": {"Reading": 374, "DataSourceUri": SENSOR_PATH}}))
    bench.documents[SENSOR_PATH] = {**WATTS, **more}
    await bench.poll()
    bench.documents[SENSOR_PATH]["Reading"] = 1
    poll, asked = await bench.poll()
    told = poll.readings[0]
    assert (told.watts, asked) == (374.0, [ENVIRONMENT])
    assert (told.accuracy_pct, told.refresh_s, told.window_s) == expected


async def test_it_is_asked_for_once_and_remembered(tmp_path):
    """Each poll after the first is one request, also of the next collector, and tells what was declared."""
    facts = {}
    bmc = f'[[bmc]]\nid = "a"\nprotocol = "redfish"\nscheme = "http"\npayload = "{CASE}"\n'
    async with simulated(tmp_path, bmc) as sim:
        for count in (3, 2):
            async with reading(RedfishReader, target(sim, "a"), facts=facts) as reader:
                polls = [await reader.poll() for _ in range(count)]
            facts = json.loads(json.dumps(facts))
            told = {(one.accuracy_pct, one.refresh_s) for poll in polls for one in poll.readings}
            assert told == {(1.0, 1.0)}
            assert [poll.requests for poll in polls[1:]] == [1] * (count - 1)
            info = polls[0].info
            assert (info.accuracy_pct, info.refresh_s, info.refresh_from) == (1.0, 1.0, "declared")
