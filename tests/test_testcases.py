"""Every folder below ``testcases`` is one BMC, served by `energy-bmcsim` and read by `energy-execd once`.

A folder is called ``<protocol>/<vendor-model-firmware>`` and holds:

- ``bmc.toml``: ``about`` (what is special about this BMC); ``[bmc]``: keys of the simulator's ``[[bmc]]``
  table; ``[server]``: keys of the fleet file's ``[[server]]`` table.
- ``responses.json``: path → body; for IPMI request → answers as hex, or absent.
- ``expected.out``: the lines that are printed, in any order; times and durations are ignored.
- ``expected.err``, if anything is to be said on stderr: each line is a part of a line there.

With ENERGY_UPDATE_EXPECTED=1 the test writes ``expected.out`` anew and fails; read the difference before you
keep it.
"""

from __future__ import annotations

import os
import time
import tomllib
from pathlib import Path

import pytest
from line_protocol_parser import parse_line

from energyrecorder.line_protocol import format_line
from support.bmcsim import FLEET, serving
from support.execd import VOLATILE, once, points_by_server, table, write_fleet

ROOT = Path(__file__).resolve().parent / "testcases"
CASES = {f"{path.parent.parent.name}-{path.parent.name}": path.parent for path in ROOT.glob("*/*/bmc.toml")}
OVER_HTTP = [name for name, case in CASES.items() if case.parent.name != "ipmi"]
UPDATE = os.environ.get("ENERGY_UPDATE_EXPECTED") == "1"


def _described(case):
    return tomllib.loads((case / "bmc.toml").read_text(encoding="utf-8"))


def _server_id(name):
    return name[:64].rstrip("-")


def _polled(folder, names, **changes):
    """Return what one run over these cases printed: points per server, lines on stderr; and when it began."""
    bmcs, servers = [], {}
    for name in names:
        case = CASES[name]
        described = _described(case)
        bmc = {"id": _server_id(name), **described["bmc"]}
        if (case / "responses.json").is_file():
            bmc["payload"] = str(case / "responses.json")
        bmcs.append(table("[[bmc]]", bmc))
        servers[_server_id(name)] = {**described["server"], **changes}
    spec = folder / "sim.toml"
    spec.write_text(FLEET + "".join(bmcs), encoding="utf-8")
    begun_ns = time.time_ns()
    with serving(spec) as sim:
        done = once(write_fleet(folder, sim, servers), folder / "state")
    return points_by_server(done.stdout), done.stderr.splitlines(), begun_ns


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Return what `_polled` does for all cases, each by its own protocol."""
    return _polled(tmp_path_factory.mktemp("testcases"), CASES)


@pytest.fixture(scope="module")
def printed_by_auto(tmp_path_factory):
    """Return the points per server of the cases that are read over HTTP, by ``auto``."""
    return _polled(tmp_path_factory.mktemp("auto"), OVER_HTTP, protocol="auto")[0]


def _line(point, name, without=VOLATILE):
    """Return a point without what differs from run to run; the server's name is cut down to ``bmc``."""
    tags = dict(point["tags"])
    tags["server"] = tags["server"].replace(_server_id(name), "bmc", 1)
    fields = {key: point["fields"][key] for key in sorted(point["fields"]) if key not in without}
    return format_line(point["measurement"], tags, fields)


@pytest.mark.parametrize("name", CASES)
def test_case(name, printed):
    """Exactly the expected lines are printed."""
    points, _, _ = printed
    case = CASES[name]
    lines = sorted(_line(point, name) for point in points[_server_id(name)])
    expected = case / "expected.out"
    if UPDATE:
        expected.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        pytest.fail("expected.out was written anew")
    wanted = [_line(parse_line(line), "bmc") for line in expected.read_text(encoding="utf-8").splitlines()]
    assert lines == sorted(wanted)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_case_by_auto(name, printed_by_auto):
    """The same is printed; but an iLO is read by Redfish if that shows more than its meter, else as iLO."""
    points = printed_by_auto[_server_id(name)]
    expected = (CASES[name] / "expected.out").read_text(encoding="utf-8").splitlines()
    (protocol,) = {point["fields"]["protocol"] for point in points if point["measurement"] == "server_bmc"}
    if protocol == CASES[name].parent.name:
        without = {*VOLATILE, "requests"}
        lines = sorted(_line(point, name, without) for point in points)
        assert lines == sorted(_line(parse_line(line), "bmc", without) for line in expected)
    else:
        assert {protocol, CASES[name].parent.name} == {"redfish", "ilo"}
        assert [point["fields"]["up"] for point in points if "up" in point["fields"]] == [1]
        # Its meter and its Power resource show the same power, a moment apart.
        other = [parse_line(line) for line in expected]
        assert _total_w(points) == pytest.approx(_total_w(other), rel=0.01)


def _total_w(points):
    (watts,) = (
        point["fields"]["watts"]
        for point in points
        if point["measurement"] == "server_power" and "part" not in point["tags"]
    )
    return watts


@pytest.mark.parametrize("name", CASES)
def test_case_says_what_is_wrong(name, printed):
    """What has to be said is said on stderr with the server's name; else its name does not appear there."""
    _, said, _ = printed
    mine = [line for line in said if f"'{_server_id(name)}'" in line]
    expected = CASES[name] / "expected.err"
    wanted = expected.read_text(encoding="utf-8").splitlines() if expected.is_file() else []
    assert len(mine) == len(wanted), mine
    assert all(any(want in line for line in mine) for want in wanted), mine


@pytest.mark.parametrize("name", CASES)
def test_what_a_bmc_says_of_the_time_moves_no_point(name, printed):
    """A reading has the time of its request; the clocks in payloads say 2020, 2023 or 1970."""
    points, _, begun_ns = printed
    polled = [point for point in points[_server_id(name)] if point["fields"].get("clock") != "bmc"]
    assert polled
    assert all(begun_ns <= point["time"] <= time.time_ns() for point in polled)


def test_there_are_enough_cases():
    """Ten vendors at least, and both protocols that are read over HTTP."""
    assert len([case for case in CASES.values() if case.parent.name in {"redfish", "ilo"}]) >= 10
