"""Damaged payloads give a value, no value, or one of the project's errors: nothing else ever comes out."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energyrecorder.errors import BmcError
from energyrecorder.schema import ERRORS, SCOPES, SIDES, SOURCES
from energyrecorder.secret import Secret
from energyrecorder_execd.http import HttpClients
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.redfish import RedfishReader
from support.fake_http import FakeHttp
from support.mutation import mutated

EVERY = sorted(Path(__file__).parents[2].glob("testcases/redfish/*/responses.json"))
# A case whose simulator damages its documents, or keeps a meter running, is more than these documents.
CASES = [
    case
    for case in EVERY
    if "faults" not in (bmc := tomllib.loads((case.parent / "bmc.toml").read_text(encoding="utf-8"))["bmc"])
    and bmc["protocol"] == "redfish"
]
METER_S = 1_649_955_208.0
"""When the one record of hpe-dl380-gen10-meter-only was written."""

TARGET = Target("b", "127.0.0.1", 1, "http", "u", Secret("p"))

# What adding up different views of the same power, or reading a rating or limit, would give.
TRAPS = {
    "dell-r750-idrac9-6.00": {1226.5, 1214.0, 1826.5, 2400.0, 5250.0, 6720.0},
    "dell-r640-idrac9-rating": {900.0, 750.0, 1329.0, 632.0, 1628.0},
    "dell-m630-idrac8-2.41": {440.0, 304.0, 252.0},
    "lenovo-sr670v2-xcc-2.83": {821.0, 807.0, 722.0, 2540.0, 5760.0},
    "hpe-xl675d-ilo5-2.70-supplies-only": {3576.0, 3000.0, 12000.0},
    # Not 755, the shared supplies: that they are shared is known by the model, which may be what is damaged.
    "supermicro-x10dff-3.25": {931.0},
    "nvidia-gb200-24.12": {1272.8, 300.0},
    "nvidia-dgx-h100-23.11": {587.0, 5600.0, 2775.0, 500.0},
    "supermicro-x10-zero": {0.0},
    "openbmc-off": set(),
    "dell-c6615-sled": {420.0, 393.0, 92.0, 104.0},
    "hpe-dl360-gen11-ilo6": {425.0, 149.0, 552.0},
    "cisco-c240-m4-zero": {0.0},
    "cray-cmm-rectifiers": {13300.0, 15000.0, 60000.0},
    "cray-ex4252": {97.0, 1314.0, 1411.0},
    "cray-ex425-limits": {900.0, 850.0, 500.0, 250.0, 400.0, 350.0},
    "lenovo-sr650v2-xcc-critical": {71.0, 9.0, 80.0, 1500.0, 750.0},
    "lenovo-sr645-tsm": {44.0, 46.0},
    "openbmc-average": {433.0, 338.0, 871.0},
    "supermicro-x11-supplies-twice": {800.0, 400.0, 230.0, 33871.0},
    "hpe-dl380-gen10-meter-only": {0.0, 800.0, 1600.0},
}


def _target(case):
    described = tomllib.loads((case.parent / "bmc.toml").read_text(encoding="utf-8"))
    return replace(TARGET, options={"components": described["server"].get("components", False)})


def _reader(case, documents):
    reader = RedfishReader(_target(case), Context(Memory(), time.time_ns), HttpClients())
    reader._http = FakeHttp(documents, METER_S)
    return reader


async def _polled(case, documents, later):
    """Return what two polls gave, the second after the documents changed."""
    reader = _reader(case, documents)
    polls = []
    for change in (documents, later):
        reader._http.documents = {path.rstrip("/"): body for path, body in change.items()}
        failure = None
        try:
            polls.append(await reader.poll())
        except BmcError as error:
            failure = error
        assert failure is None or (failure.reason in ERRORS and "\n" not in str(failure))
    return polls


def _damaged(documents, rng):
    changed = copy.copy(documents)
    for path in rng.sample(sorted(documents), min(len(documents), rng.randint(1, 3))):
        if rng.random() < 0.1:
            del changed[path]
        else:
            changed[path] = mutated({"root": documents[path]}, rng).get("root")
    return changed


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.parent.name)
@settings(
    max_examples=100 if os.environ.get("CI") == "true" else 25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    deadline=None,
)
@given(rng=st.randoms(use_true_random=False))
def test_a_damaged_payload(case, rng):
    """Readings are numbers of known kind, or there is an error with its reason; no trap is ever taken."""
    documents = json.loads(case.read_text(encoding="utf-8"))
    for poll in asyncio.run(_polled(case, _damaged(documents, rng), _damaged(documents, rng))):
        assert poll.error == "" or (poll.error in ERRORS and poll.message)
        assert set(poll.host.values()) <= {"on", "off", "unknown"}
        for reading in poll.readings:
            assert (reading.scope in SCOPES, reading.source in SOURCES, reading.side in SIDES) == (True,) * 3
            assert reading.watts is None or reading.watts >= 0
            assert reading.watts != 0 or "off" in poll.host.values()
            assert reading.watts not in TRAPS.get(case.parent.name, ())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_an_unharmed_payload_reads_the_same_through_documents(case):
    """The fake BMC of these tests is read as the simulated one is."""
    documents = json.loads(case.read_text(encoding="utf-8"))
    polls = asyncio.run(_polled(case, documents, documents))
    expected = (case.parent / "expected.out").read_text(encoding="utf-8")
    assert len(polls) == 2
    assert sorted(f"watts={r.watts}" for r in polls[1].readings if r.watts is not None) == sorted(
        part for line in expected.splitlines() for part in line.split(",") if part.startswith("watts=")
    )
