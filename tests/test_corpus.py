"""Every captured BMC gives its expected power through the whole path: simulator, HTTPS, `once`."""

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


def _protocols(name):
    """Return what simulator and collector call the protocol that a set was captured by."""
    for version in ("2.10", "2.40"):
        if name.startswith("DERIVED-HPE-iLO4") and version in name:
            return f"ilo4-{version}", "ilo"
    return "redfish", "redfish"


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Return what one run over all sets printed, per server."""
    folder = tmp_path_factory.mktemp("corpus")
    spec = folder / "sim.toml"
    bmcs = [
        table("[[bmc]]", {"id": name, "protocol": _protocols(name)[0], "payload": str(CORPUS / name)})
        for name in EXPECTED
    ]
    spec.write_text(FLEET + "".join(bmcs), encoding="utf-8")
    with serving(spec) as sim:
        fleet = write_fleet(folder, sim, {name: {"protocol": _protocols(name)[1]} for name in EXPECTED})
        done = once(fleet, folder / "state")
    assert done.returncode == 3, done.stderr  # some have no valid reading
    return points_by_server(done.stdout)


def _near(watts, values):
    return any(abs(watts - value) <= TOLERANCE_W for value in values)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_captured_bmc_gives_its_power(name, points):
    """The total is the expected or an equally valid one, never a trap; without a valid one there is none."""
    expected = EXPECTED[name]
    want = expected["watts"]
    totals = {
        point["tags"]["server"].partition("/")[2]: point["fields"]["watts"]
        for point in points[name]
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


@pytest.mark.parametrize("name", EXPECTED)
def test_a_captured_bmc_is_up_if_it_has_a_value(name, points):
    """`server_bmc` is written for every BMC or node, and says why there is no value."""
    polls = [point["fields"] for point in points[name] if point["measurement"] == "server_bmc"]
    want = EXPECTED[name]["watts"]
    assert len(polls) == (len(want) if isinstance(want, dict) else 1)
    for poll in polls:
        assert (poll["up"], poll["error"]) == ((0, "no_reading") if want is None else (1, ""))
