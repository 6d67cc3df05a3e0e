"""init, probe, record, pin and unlock as a person runs them, on simulated BMCs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.bmcsim import FLEET, PASSWORD, USER, serving
from support.execd import VOLATILE, once, points_by_server, table, write_fleet

CASES = Path(__file__).parents[1] / "testcases"
DELL = 'protocol = "redfish"\npayload = "dell-r640-idrac9"\n'
SPEC = f"""
[[bmc]]
id = "good"
{DELL}
[[bmc]]
id = "own"
{DELL}certificate = "self-signed"
[[bmc]]
id = "old"
{DELL}old_tls = true
[[bmc]]
id = "moving"
{DELL}power = {{ formula = "200 + 50*sin(t)" }}
sensor = {{ refresh_s = 0.5, window_s = 0, quantum_w = 1 }}
[[bmc]]
id = "ilo"
protocol = "ilo4-2.10"
scheme = "http"
power = {{ constant_w = 321 }}
[[bmc]]
id = "many"
protocol = "redfish"
payload = "{CASES / "redfish/lenovo-sr670v2-xcc-2.83/responses.json"}"
[[bmc]]
id = "ilo5"
protocol = "ilo5"
power = {{ constant_w = 321 }}
[[bmc]]
id = "ipmi"
protocol = "ipmi"
power = {{ constant_w = 250 }}
manufacturer = 10297
vendor_name = "Advantech"
product_name = "SKY-8101"
sensors = [{{ name = "BOARD_POWER", m = 10 }}, {{ name = "CPU_POWER", m = 10, share = 0.3 }}]
[[bmc]]
id = "bare"
protocol = "ipmi"
power = {{ constant_w = 250 }}
dcmi = false
sdr = false
[[bmc]]
id = "carrier"
protocol = "ipmi"
power = {{ constant_w = 250 }}
bridged = [{{ address = 0x82, bridged = [{{ address = 0x72, channel = 7, dcmi = false, share = 0.5 }}] }}]
"""
FRU_SERIAL = b"SIM0000001"


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    spec = tmp_path_factory.mktemp("sim") / "sim.toml"
    spec.write_text(FLEET + SPEC, encoding="utf-8")
    with serving(spec) as running:
        yield running


@pytest.fixture
def execd(tmp_path):
    """Run a command; no output ever holds the password."""

    def run(*arguments, code=0, password=PASSWORD, **more):
        done = subprocess.run(
            [sys.executable, "-m", "energyrecorder_execd", *map(str, arguments)],
            capture_output=True, text=True, timeout=180, check=False, cwd=tmp_path,
            env={**os.environ, "BMC_PASSWORD": password, "ENERGY_STATE_DIR": str(tmp_path / "state")}, **more,
        )  # fmt: skip
        assert password not in done.stdout + done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def _host(sim, name):
    bmc = sim.bmc(name)
    return bmc["url"] or f"{bmc['address']}:{bmc['port']}"


def test_init_writes_a_fleet_of_what_answers(sim, execd, tmp_path):
    """Protocol and certificate are found without a log-in; the file loads, and `once` reads by it."""
    done = execd(
        "init", _host(sim, "own"), _host(sim, "ilo"), _host(sim, "ipmi"), "127.0.0.1:9", "--user", USER
    )
    text = (tmp_path / "fleet.toml").read_text()
    assert "3 of 4 hosts" in done.stdout
    servers = tomllib.loads(text)["server"]
    assert [server["protocol"] for server in servers] == ["redfish", "ilo", "ipmi"]
    assert servers[0]["tls"] == f"pin:sha256:{sim.bmc('own')['certificate_sha256']}"
    assert "# 127.0.0.1:9: left out" in text
    assert len({server["id"] for server in servers}) == 3
    assert PASSWORD not in text
    read = execd("once", "--fleet", "fleet.toml")
    assert read.stdout.count("server_power,") >= 3
    assert "exists already" in execd("init", _host(sim, "own"), code=2).stderr


def test_a_bmc_of_old_tls_is_found_and_its_entry_says_so(sim, execd, tmp_path):
    """By init, probe and pin; `once` reads what init wrote; nobody warns of a log-in that nobody makes."""
    host, digest = _host(sim, "old"), sim.bmc("old")["certificate_sha256"]
    done = execd("init", host, "--user", USER)
    assert done.stderr == ""
    (server,) = tomllib.loads((tmp_path / "fleet.toml").read_text())["server"]
    assert (server["legacy_tls"], server["tls"]) == (True, f"pin:sha256:{digest}")
    assert 'error=""' in execd("once", "--fleet", "fleet.toml").stdout
    probed = execd("probe", host, "--user", USER, "--seconds", "1", "--format", "toml")
    assert tomllib.loads(probed.stdout)["server"][0]["legacy_tls"] is True
    fleet = write_fleet(tmp_path, sim, {"old": {"protocol": "redfish"}})
    assert "legacy_tls = true allows that" in execd("once", "--fleet", fleet, code=4).stderr
    told = execd("pin", "--fleet", fleet, input="").stdout
    assert f"sha256:  {digest}" in told
    assert "legacy_tls = true" in told


def test_init_of_nothing_writes_nothing(execd, tmp_path):
    """One line, exit 2."""
    assert execd("init", "127.0.0.1:9", code=2).stderr.count("\n") == 1
    assert not (tmp_path / "fleet.toml").exists()


@pytest.mark.parametrize("out", ["none/fleet.toml", "/proc/fleet.toml"])
def test_a_place_that_init_cannot_write_to_is_named(sim, execd, out):
    """One line, exit 2; a folder that is not there is noticed before any BMC is asked."""
    told = execd("init", _host(sim, "own"), "--out", out, code=2).stderr
    assert out in told
    assert "cannot be written: " in told
    assert told.count("\n") == 1


@pytest.mark.e2e
def test_probe_shows_sources_period_and_a_ready_entry(sim, execd):
    """JSON for programs: every figure that was measured."""
    done = execd("probe", _host(sim, "moving"), "--user", USER, "--seconds", "6", "--format", "json")
    found = json.loads(done.stdout)
    assert found["protocol"] == "redfish"
    assert 150 <= found["watts"] <= 250
    assert found["vendor"] == "Dell Inc."
    assert any(key.endswith("#PowerConsumedWatts") for key in found["sources"])
    # Looked at once a second, a value that is new every half second is new every time.
    assert 0.7 <= found["refresh_s"] < 10
    assert found["log_ins"] == 1
    assert found["session"] == "session"
    assert abs(found["clock_offset_s"]) <= 5
    assert found["denied"] == []
    entry = tomllib.loads(found["entry"])["server"][0]
    assert entry["tls"] == f"pin:sha256:{sim.bmc('moving')['certificate_sha256']}"


def test_probe_for_people_and_as_an_entry(sim, execd):
    """Text names power, source and entry; toml is the entry alone; IPMI has its power."""
    text = execd("probe", _host(sim, "good"), "--user", USER, "--seconds", "1").stdout
    assert re.search(r"power +429 W from power_control", text)
    assert "[[server]]" in text
    entry = execd("probe", _host(sim, "ipmi"), "--user", USER, "--seconds", "1", "--format", "toml").stdout
    assert tomllib.loads(entry)["server"][0]["protocol"] == "ipmi"


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        (
            "many",
            {"Power#PowerControl/0#PowerConsumedWatts": 708, "EnvironmentMetrics#PowerWatts": 700}
            | {"Power#PowerSupplies/0#PowerInputWatts": 199},
        ),
        ("ilo5", {"Power#PowerControl/0#PowerConsumedWatts": 321, "Power/FastPowerMeter#PowerDetail": 321}),
    ],
)
def test_probe_and_record_ask_for_all_sources(sim, execd, tmp_path, name, sources):
    """Also for those that a poll has no need of: the one that is read may be the wrong one."""
    done = execd("probe", _host(sim, name), "--user", USER, "--seconds", "1", "--format", "json")
    found = json.loads(done.stdout)["sources"]
    wanted = {f"/redfish/v1/Chassis/1/{where}": watts for where, watts in sources.items()}
    assert wanted.items() <= found.items()
    fleet = write_fleet(tmp_path, sim, {name: {"protocol": "redfish"}})
    execd("record", "--fleet", fleet, "--server", name, "--out", "case")
    recorded = json.loads((tmp_path / "case" / "responses.json").read_text(encoding="utf-8"))
    assert {where.partition("#")[0] for where in wanted} <= set(recorded)


def test_probe_with_a_wrong_password_is_one_refusal(sim, execd):
    """Exit 4; the lock-out guard holds here as well: the second probe does not even try."""
    command = ("probe", _host(sim, "good"), "--user", USER, "--seconds", "1")
    first = execd(*command, code=4, password="wrong-one")
    second = execd(*command, code=4, password="wrong-one")
    assert "refused the log-in" in first.stdout
    assert "refused once" in second.stdout
    entry = execd(*command, "--format", "toml", code=4, password="wrong-one").stdout
    assert entry.startswith("# no reading: auth: ")
    assert tomllib.loads(entry)["server"]


def _served_again(case, tmp_path):
    """Return the points of a recorded case as it is read again, and as they were recorded."""
    described = tomllib.loads((case / "bmc.toml").read_text())
    bmc = {"id": "bmc", **described["bmc"], "payload": str(case / "responses.json")}
    (tmp_path / "again").mkdir()
    spec = tmp_path / "again" / "sim.toml"
    spec.write_text(FLEET + table("[[bmc]]", bmc), encoding="utf-8")
    with serving(spec) as again:
        read = once(write_fleet(tmp_path / "again", again, {"bmc": described["server"]}), tmp_path / "other")
    expected = "".join(f"{line} 1\n" for line in (case / "expected.out").read_text().splitlines())
    return [
        sorted(
            (
                point["measurement"],
                sorted(point["tags"].items()),
                sorted(item for item in point["fields"].items() if item[0] not in VOLATILE),
            )
            for point in points_by_server(printed)["bmc"]
        )
        for printed in (read.stdout, expected)
    ]


def test_record_gives_a_test_case_that_reads_the_same_and_tells_nothing(sim, execd, tmp_path):
    """Served again, it prints the recorded lines; address, account and password stand nowhere."""
    fleet = write_fleet(tmp_path, sim, {"good": {"protocol": "redfish"}})
    done = execd("record", "--fleet", fleet, "--server", "good", "--out", "case")
    assert "terms may apply" in done.stderr
    files = {path.name: path.read_text() for path in (tmp_path / "case").iterdir()}
    assert set(files) == {"bmc.toml", "responses.json", "expected.out"}
    for text in files.values():
        assert "127.0.0.1" not in text
        assert USER not in text
        assert PASSWORD not in text
    got, wanted = _served_again(tmp_path / "case", tmp_path)
    assert got == wanted
    assert (
        "is not empty"
        in execd("record", "--fleet", fleet, "--server", "good", "--out", "case", code=2).stderr
    )


def test_record_holds_nothing_that_tells_whose_bmc_it_is(execd, tmp_path):
    """Serials, addresses, names and accounts planted in keys, values, links and texts of a payload."""
    planted = {
        "SerialNumber": "CZJ8430ABC", "UUID": "30373237-3132-4d32-3238-303930304d52",
        "HostName": "node17.customer.example", "AssetTag": "LAB-000417",
    }  # fmt: skip
    loose = ["94:40:c9:1a:2b:3c", "10.11.12.13", "jane@customer.example"]
    system = "/redfish/v1/Systems/CZJ8430ABC"
    chassis = "/redfish/v1/Chassis/1"
    payload = {
        "/redfish/v1": {"Chassis": {"@odata.id": "/redfish/v1/Chassis"}, "Note": " ".join(loose)},
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": chassis}]},
        chassis: {"Id": "1", "ChassisType": "RackMount", "Power": {"@odata.id": f"{chassis}/Power"},
                  "Links": {"ComputerSystems": [{"@odata.id": system}]}},
        f"{chassis}/Power": {"PowerControl": [{"PowerConsumedWatts": 302}], "Oem": {"Of": planted}},
        system: {"Id": "1", "SystemType": "Physical", "PowerState": "On", **planted},
    }  # fmt: skip
    (tmp_path / "whose.json").write_text(json.dumps(payload), encoding="utf-8")
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + '[[bmc]]\nid = "w-17"\nprotocol = "redfish"\npayload = "whose.json"\n')
    with serving(spec) as sim:
        fleet = write_fleet(tmp_path, sim, {"w-17": {"protocol": "redfish"}})
        execd("record", "--fleet", fleet, "--server", "w-17", "--out", "case")
    written = "".join(path.read_text().lower() for path in (tmp_path / "case").iterdir())
    assert "302" in written
    assert [secret for secret in (*planted.values(), *loose, "w-17", USER) if secret.lower() in written] == []


def test_probe_shows_all_sources_of_an_ipmi_bmc_side_by_side(sim, execd):
    """DCMI and each sensor in watts with value, statistics, step, latency and privilege; a ready entry."""
    host = _host(sim, "ipmi")
    done = execd("probe", host, "--user", USER, "--seconds", "1", "--format", "json")
    found = json.loads(done.stdout)
    sources = {one["name"]: one for one in found["ipmi_sources"]}
    watts = {name: one["watts"] for name, one in sources.items()}
    assert watts == found["sources"]
    assert watts.pop("Intel Node Manager") is None
    assert watts == {"DCMI": 250, "sensor 'BOARD_POWER' (01h)": 250, "sensor 'CPU_POWER' (02h)": 80}
    assert sources["DCMI"]["statistics_s"] == 60
    assert sources["sensor 'BOARD_POWER' (01h)"]["quantum_w"] == 10
    assert all(sources[name]["latency_ms"] >= 0 for name in watts)
    assert {one["privilege"] for one in sources.values()} == {"user"}
    assert (found["source"], found["session"], found["log_ins"]) == ("dcmi", "RMCP+ suite 17", 1)
    assert tomllib.loads(found["entry"])["server"][0]["host"] == host
    text = execd("probe", host, "--user", USER, "--seconds", "1").stdout
    assert re.search(r"also +250 W  DCMI: refresh not seen, statistics over 60 s, .*privilege user", text)
    assert re.search(r"also +80 W  sensor 'CPU_POWER' \(02h\): .*steps of 10 W", text)
    assert re.search(r"window +unknown; IPMI has no field for it", text)


def test_record_of_an_ipmi_bmc_reads_the_same_and_holds_no_serial(sim, execd, tmp_path):
    """Requests and answers as hex, of all sources; the serial number of the inventory is not among them."""
    fleet = write_fleet(tmp_path, sim, {"ipmi": {"protocol": "ipmi", "privilege": "operator"}})
    execd("record", "--fleet", fleet, "--server", "ipmi", "--out", "case")
    case = tmp_path / "case"
    answers = json.loads((case / "responses.json").read_text())
    assert set(answers) >= {"06/01", "2c/02 dc010000", "04/2d 01", "04/2d 02", "0a/20", "00/01"}
    inventory = b"".join(
        bytes.fromhex(answers[request][0])[2:] for request in answers if request.startswith("0a/11")
    )
    assert b"SKY-8101" in inventory
    assert FRU_SERIAL not in inventory
    described = tomllib.loads((case / "bmc.toml").read_text())
    assert described["server"] == {"protocol": "ipmi", "privilege": "operator"}
    got, wanted = _served_again(case, tmp_path)
    assert got == wanted


def test_record_of_a_satellite_behind_a_satellite_reads_the_same(sim, execd, tmp_path):
    """Its answers stand under the way to it, which is in the entry as well."""
    fleet = write_fleet(tmp_path, sim, {"carrier": {"protocol": "ipmi", "bridge": "0x82:7/0x72"}})
    execd("record", "--fleet", fleet, "--server", "carrier", "--out", "case")
    case = tmp_path / "case"
    assert "@0/82:7/72 04/2d 01" in json.loads((case / "responses.json").read_text())
    assert tomllib.loads((case / "bmc.toml").read_text())["server"]["bridge"] == "0x82:7/0x72"
    got, wanted = _served_again(case, tmp_path)
    assert got == wanted


def test_record_of_a_bmc_without_power_tells_what_it_refuses(sim, execd, tmp_path):
    """That is what a maintainer needs to see."""
    fleet = write_fleet(tmp_path, sim, {"bare": {"protocol": "ipmi"}})
    execd("record", "--fleet", fleet, "--server", "bare", "--out", "case")
    assert json.loads((tmp_path / "case/responses.json").read_text())["2c/02 dc010000"] == ["c1"]
    got, wanted = _served_again(tmp_path / "case", tmp_path)
    assert got == wanted


@pytest.mark.e2e
def test_pin_shows_certificates_and_writes_the_entry(sim, execd, tmp_path):
    """What is trusted is left alone; after the pin the BMC is read; a change names old and new."""
    fleet = write_fleet(tmp_path, sim, {"good": {"protocol": "redfish"}, "own": {"protocol": "redfish"}})
    fleet.chmod(0o640)
    before = tomllib.loads(fleet.read_text())
    assert 'error="tls"' in execd("once", "--fleet", fleet, code=3).stdout
    asked = execd("pin", "--fleet", fleet, input="n\n")
    digest = sim.bmc("own")["certificate_sha256"]
    assert f"sha256:  {digest}" in asked.stdout
    assert "CN=own" in asked.stdout
    assert re.search(r"expires: \d{4}-\d\d-\d\d", asked.stdout)
    assert tomllib.loads(fleet.read_text()) == before
    execd("pin", "--fleet", fleet, "--yes")
    after = {server["id"]: server for server in tomllib.loads(fleet.read_text())["server"]}
    assert after["own"]["tls"] == f"pin:sha256:{digest}"
    assert "tls" not in after["good"]
    assert fleet.stat().st_mode & 0o777 == 0o640
    execd("once", "--fleet", fleet)
    fleet.write_text(fleet.read_text().replace(digest, "ab" * 32))
    told = execd("once", "--fleet", fleet, code=3)
    assert "ab" * 32 in told.stderr
    assert digest in told.stderr
    assert "CHANGED" in execd("pin", "--fleet", fleet, "--yes").stdout
    execd("once", "--fleet", fleet)


def test_a_pin_that_nobody_agrees_to_is_not_written(sim, execd, tmp_path):
    """No answer is no yes, and says so."""
    fleet = write_fleet(tmp_path, sim, {"own": {"protocol": "redfish"}})
    before = fleet.read_text()
    assert "Nothing was written; --yes" in execd("pin", "--fleet", fleet, input="", code=130).stderr
    assert fleet.read_text() == before


@pytest.mark.parametrize("option", [(), ("--server", "good"), ("--credentials", "lab")])
def test_unlock_lets_the_next_poll_log_in(sim, execd, tmp_path, option):
    """Refused once, held back, released."""
    fleet = write_fleet(tmp_path, sim, {"good": {"protocol": "redfish"}})
    assert 'error="auth"' in execd("once", "--fleet", fleet, code=4, password="wrong-two").stdout
    held = execd("once", "--fleet", fleet, code=4, password="wrong-two")
    assert "refused once" in held.stderr
    done = execd("unlock", "--fleet", fleet, *option, password="wrong-two")
    assert f"1 lock-outs released of the collector with state directory {tmp_path}" in done.stdout
    again = execd("once", "--fleet", fleet, code=4, password="wrong-two")
    assert "refused the log-in" in again.stderr


def test_unlock_of_what_there_is_not(sim, execd, tmp_path):
    """Named with what is allowed."""
    fleet = write_fleet(tmp_path, sim, {"good": {"protocol": "redfish"}})
    assert "'nobody'" in execd("unlock", "--fleet", fleet, "--server", "nobody", code=2).stderr
    assert "allowed: 'lab'" in execd("unlock", "--fleet", fleet, "--credentials", "x", code=2).stderr
    assert "0 lock-outs" in execd("unlock", "--fleet", fleet).stdout
