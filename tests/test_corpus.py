"""Every captured BMC gives its expected power through the whole path: simulator, HTTPS, `once`.

Each set is read by the protocol that it was captured by and by ``auto``, and each set with an iLO's power
meter by ``ilo`` as well.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.bmcsim import FLEET, serving
from support.execd import once, points_by_server, table, write_fleet

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
PRESENT = (CORPUS / "expected.json").is_file()
TOLERANCE_W = 0.006  # the expectations are rounded to two decimals

pytestmark = pytest.mark.skipif(not PRESENT, reason="the corpus of captured payloads is not beside us")

EXPECTED = {
    name: value
    for name, value in json.loads((CORPUS / "expected.json").read_text("utf-8") if PRESENT else "{}").items()
    # The JSON and XML of old web pages are no protocol of ours.
    if not name.startswith("legacy-")
}


def _simulated_as(name):
    """Return what the simulator calls the protocol that a set was captured by."""
    for version in ("2.10", "2.40"):
        if name.startswith("DERIVED-HPE-iLO4") and version in name:
            return f"ilo4-{version}"
    return "redfish"


def _captured_by(name):
    return "ilo" if name.startswith("DERIVED-HPE-iLO4") else "redfish"


WITH_METER = [name for name in EXPECTED if any((CORPUS / name).rglob("FastPowerMeter/index.json"))]
RUNS = {
    "captured": {name: _captured_by(name) for name in EXPECTED},
    "auto": dict.fromkeys(EXPECTED, "auto"),
    "ilo": dict.fromkeys(WITH_METER, "ilo"),
}
READ = [(run, name) for run, names in RUNS.items() for name in names]


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Return what each run printed, per server."""
    folder = tmp_path_factory.mktemp("corpus")
    spec = folder / "sim.toml"
    bmcs = [
        table("[[bmc]]", {"id": name, "protocol": _simulated_as(name), "payload": str(CORPUS / name)})
        for name in EXPECTED
    ]
    spec.write_text(FLEET + "".join(bmcs), encoding="utf-8")
    found = {}
    with serving(spec) as sim:
        for run, protocols in RUNS.items():
            own = folder / run
            own.mkdir()
            fleet = write_fleet(own, sim, {name: {"protocol": how} for name, how in protocols.items()})
            done = once(fleet, own / "state")
            # Some have no valid reading, but each that has a meter has one.
            assert done.returncode == (0 if run == "ilo" else 3), done.stderr
            found[run] = points_by_server(done.stdout)
    return found


def _near(watts, values):
    return any(abs(watts - value) <= TOLERANCE_W for value in values)


@pytest.mark.parametrize(("run", "name"), READ)
def test_a_captured_bmc_gives_its_power(run, name, points):
    """The total is the expected or an equally valid one, never a trap; without a valid one there is none."""
    expected = EXPECTED[name]
    want = expected["watts"]
    totals = {
        point["tags"]["server"].partition("/")[2]: point["fields"]["watts"]
        for point in points[run][name]
        if point["measurement"] == "server_power" and "part" not in point["tags"]
    }
    if isinstance(want, dict):
        assert totals == want
    elif want is None:
        assert totals == {}
    else:
        assert list(totals) == [""]
        assert _near(totals[""], [want, *expected["accept"]])
    assert not [watts for watts in totals.values() if _near(watts, expected["forbid"])]


@pytest.mark.parametrize(("run", "name"), READ)
def test_a_captured_bmc_is_up_if_it_has_a_value(run, name, points):
    """`server_bmc` is written for every BMC or node, and says why there is no value."""
    polls = [point["fields"] for point in points[run][name] if point["measurement"] == "server_bmc"]
    want = EXPECTED[name]["watts"]
    assert len(polls) == (len(want) if isinstance(want, dict) else 1)
    for poll in polls:
        assert (poll["up"], poll["error"]) == ((0, "no_reading") if want is None else (1, ""))
        assert poll["protocol"] == ("ilo" if run == "ilo" else _captured_by(name))
