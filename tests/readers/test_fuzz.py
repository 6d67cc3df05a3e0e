"""Mutated real payloads: `parse` gives a value, or a data error naming the resource; nothing else."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from energyrecorder.errors import BmcDataError
from energyrecorder.schema import SIDES, SOURCES
from energyrecorder_execd.quirk_places import HISTORIES
from energyrecorder_execd.quirks import MAX_PLAUSIBLE_W, Effects
from energyrecorder_execd.readers.fast_meter import has_records, parse_meter
from energyrecorder_execd.readers.redfish.backfill import parse_history
from energyrecorder_execd.readers.redfish.components import power_components
from energyrecorder_execd.readers.redfish.counters import counter_j, environment_counter, sensor_counter
from energyrecorder_execd.readers.redfish.definition import parse_definition
from energyrecorder_execd.readers.redfish.parse import (
    parse_environment,
    parse_extras,
    parse_power,
    parse_sensor,
)
from energyrecorder_execd.readers.redfish.power_supplies import parse_supplies, parse_supply_metrics
from energyrecorder_execd.readers.redfish.resources import parse_chassis, parse_collection, parse_system
from support.mutation import mutated

SEED = 2026
MUTATIONS = 7000
REPORT_S = 1_701_378_400.0  # when the captured report of a Supermicro was new
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
OWN = [
    file
    for file in sorted((Path(__file__).resolve().parents[1] / "testcases").glob("*/*/responses.json"))
    if file.parent.parent.name != "ipmi"
]


def _power(document, path):
    found = parse_power(document, path, Effects())
    cap_w, supplies, rated_w = parse_extras(document)
    watts = [s.input_w for s in parse_supplies(document, path, Effects())]
    watts += [s.output_w for s in parse_supplies(document, path, Effects())]
    watts += [c.watts for c in power_components(document, path, Effects())]
    assert supplies is None or supplies > 0
    assert rated_w is None or 0 < rated_w <= (supplies or 0) * MAX_PLAUSIBLE_W
    return [*found], [*watts, cap_w and min(cap_w, MAX_PLAUSIBLE_W)]


def _environment(document, path):
    candidate, _ = parse_environment(document, path)
    _counter(environment_counter(document, path), document)
    return ([] if candidate is None else [candidate]), []


def _sensor(document, path):
    _counter(sensor_counter(document, path), document)
    return [parse_sensor(document, path).candidate], []


def _metrics(document, path):
    supply = parse_supply_metrics(document, path)
    return [], [supply.input_w, supply.output_w]


def _meter(document, path):
    return [], [r.watts for r in parse_meter(document, path)]


def _history(document, path):
    found = []
    for row in HISTORIES:
        found += parse_history(document, row, total="/p", bmc_now_s=REPORT_S, now_s=REPORT_S)
    return [], [record.watts for record in found]


def _definition(document, _path):
    declared = parse_definition(document, "/redfish/v1/Chassis/1/Power#/PowerControl/0/PowerConsumedWatts")
    if declared is not None:
        assert declared.accuracy_pct is None or 0 < declared.accuracy_pct <= 100
        assert declared.refresh_s is None or 0 < declared.refresh_s < math.inf
    return [], []


def _structure(document, path):
    for parse in (parse_chassis, parse_collection, parse_system):
        parse(document, path)
    return [], []


def _counter(place, document):
    if place is not None:
        shown_j = counter_j(document, place)
        assert shown_j is not None
        assert 0 < shown_j < math.inf


FOLDERS = {
    "MetricReports": _history,
    "HistoryPowerMeter": _history,
    "MetricDefinitions": _definition,
    "Sensors": _sensor,
}


def _parser(path):
    parts = path.rstrip("/").split("/")
    if parts[-1].endswith("PowerMeter"):
        return _meter
    below = [FOLDERS[part] for part in parts[:-1] if part in FOLDERS]
    if below:
        return below[0]
    if parts[-1] in {"Power", "PowerMetrics"}:
        return _power
    if parts[-1] == "EnvironmentMetrics":
        return _environment
    if parts[-1] == "Metrics":
        return _metrics
    return _structure


def _payloads():
    """Return real payloads and our own, by path; those with power more often than the many sensors."""
    found = {}
    for case in OWN:
        for path, document in json.loads(case.read_text(encoding="utf-8")).items():
            found[f"{case.parent.name}:{path}"] = document
    for file in sorted(CORPUS.rglob("index.json")):
        try:
            document = json.loads(file.read_text(encoding="utf-8-sig"))
        except ValueError:
            continue
        found[f"/{file.parent.relative_to(CORPUS)}"] = document
    groups = {}
    for path, document in found.items():
        groups.setdefault(_parser(path), []).append((path, document))
    return groups


PAYLOADS = _payloads()


def _understood(parse, document, path):
    """Parse, and check what came out."""
    problem = None
    try:
        candidates, watts = parse(document, path)
    except BmcDataError as error:
        problem = error
    if problem is not None:
        assert problem.reason == "data"
        assert path in str(problem)
        assert "\n" not in str(problem)
        return False
    for candidate in candidates:
        assert (candidate.source in SOURCES, candidate.side in SIDES) == (True, True)
        watts.append(candidate.watts)
        for other in (candidate.avg_w, candidate.window_s, candidate.refresh_s):
            assert other is None or math.isfinite(other)
    for value in watts:
        assert value is None or 0 <= value <= MAX_PLAUSIBLE_W
    return True


@pytest.mark.parametrize("parse", PAYLOADS, ids=lambda parse: parse.__name__.strip("_"))
def test_real_payloads_unharmed(parse):
    """Each captured payload is understood; on a path of another firmware there may be no meter."""
    for path, document in PAYLOADS[parse]:
        if parse is not _meter or has_records(document):
            assert _understood(parse, document, path), path


@pytest.mark.parametrize("parse", PAYLOADS, ids=lambda parse: parse.__name__.strip("_"))
def test_mutated_payloads(parse):
    """The same seed gives the same mutations: what fails once can be looked at again."""
    rng = random.Random(SEED)
    refused = 0
    # A meter has 120 records, each as good as the other, and takes as long.
    count = MUTATIONS // 20 if parse is _meter else MUTATIONS // (len(PAYLOADS) - 1)
    for _ in range(count):
        path, document = rng.choice(PAYLOADS[parse])
        refused += not _understood(parse, mutated(document, rng) if document else document, path)
    # Most damage leaves something to read: a parser that refuses everything would pass the rest.
    assert refused < count / 2
