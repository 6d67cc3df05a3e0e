"""Mistakes in the spec file: one line naming file, table, key and what is allowed."""

from __future__ import annotations

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder_bmcsim.fleet import Fleet
from energyrecorder_bmcsim.payload import load_payload, shipped_names
from energyrecorder_bmcsim.spec import load_spec

DELL = '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\n'
POWER = "power = { constant_w = 200 }\n"
FLAT = '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "flat.json"\n'
IPMI = '[[bmc]]\nid = "a"\nprotocol = "ipmi"\n'

MISTAKES = [
    ("[fleet]\n", "sim.toml: missing key 'bmc': a list of tables"),
    ("[fleets]\n", "sim.toml: unknown key 'fleets' (did you mean 'fleet'?); allowed: fleet, bmc"),
    (
        "[fleet]\nspeed = 0\n" + DELL,
        "sim.toml: [fleet]: key 'speed' is 0; allowed: a number from 0.001 to 100000",
    ),
    (
        '[fleet]\npassword = "{env=NOT_SET_HERE}"\n' + DELL,
        "sim.toml: [fleet]: key 'password': environment variable NOT_SET_HERE is not set",
    ),
    ('[[bmc]]\nprotocol = "redfish"\n', "[[bmc]] 'number 1': missing key 'id'"),
    (
        '[[bmc]]\nid = "a b"\nprotocol = "ipmi"\n',
        "key 'id' is 'a b'; allowed: 1 to 64 of A-Z a-z 0-9 . _ : -",
    ),
    (
        '[[bmc]]\nid = "a"\nprotocol = "ilo6"\n',
        "[[bmc]] 'a': key 'protocol' is 'ilo6'; allowed: 'redfish', 'ilo4-2.10'",
    ),
    ('[[bmc]]\nid = "a"\nprotocol = "redfish"\n', "[[bmc]] 'a': missing key 'payload'"),
    (DELL + 'scheme = "ftp"\n', "key 'scheme' is 'ftp'; allowed: 'https', 'http'"),
    (DELL + "port = 70000\n", "key 'port' is 70000; allowed: a whole number from 0 to 65535"),
    (DELL + DELL, "[[bmc]] 'a': key 'id' is used twice"),
    (
        DELL.replace("dell-r640", "dell-r999"),
        "key 'payload' is 'dell-r999-idrac9'; allowed: a folder, a .json file",
    ),
    (DELL.replace("dell-r640-idrac9", "empty"), "allowed: a folder with redfish/v1/index.json"),
    (DELL.replace("dell-r640-idrac9", "bad.json"), "key 'payload' 'bad.json': not valid JSON"),
    (DELL.replace("dell-r640-idrac9", "odd.json"), "key 'payload' 'odd.json': key 'Chassis'; allowed: paths"),
    (
        DELL + "power = {}\n",
        "[[bmc]] 'a': power: exactly one of the keys trace, constant_w, formula, steps, csv",
    ),
    (DELL + "power = { constant_w = 1, csv = 'x' }\n", "is needed, not constant_w and csv"),
    (
        DELL + "power = { constant_w = -1 }\n",
        "power: key 'constant_w' is -1; allowed: a number of at least 0",
    ),
    (DELL + "power = { trace = 'x' }\n", "power: key 'trace' is 'x'; allowed: hpe-dl325-idle"),
    (DELL + "power = { csv = 'x.csv' }\n", "power: key 'csv' is 'x.csv': cannot be read"),
    (DELL + "power = { csv = 'latin' }\n", "power: key 'csv' is 'latin': not UTF-8 at byte 0"),
    (DELL.replace("dell-r640-idrac9", "latin"), "key 'payload' 'latin': not UTF-8 at byte 0"),
    (IPMI + "payload = 'latin'\n", "key 'payload' is 'latin': not UTF-8 at byte 0"),
    (DELL.replace("dell-r640-idrac9", "deep.json"), "key 'payload' 'deep.json': not valid JSON"),
    (IPMI + "payload = 'deep.json'\n", "key 'payload' is 'deep.json': maximum recursion depth"),
    (DELL + "power = { csv = 'bad.csv' }\n", "power: key 'csv' is 'bad.csv': allowed: a CSV file"),
    (DELL + "power = { formula = 'x' }\n", "power: key 'formula' is 'x'; allowed: numbers, t, + - * / % **"),
    (
        DELL + "power = { steps = [[0, 1], [0, 2]] }\n",
        "power: key 'steps' is [[0, 1], [0, 2]]; allowed: pairs",
    ),
    (DELL + "power = { steps = [[0, -1]] }\n", "watts of at least 0"),
    (DELL + "power = { watts = 3 }\n", "power: unknown key 'watts'"),
    (DELL + "reboots = [{ at_s = 1 }]\n", "[[bmc]] 'a': key 'reboots' needs the key 'power'"),
    (DELL + POWER + "reboots = [{ off_s = 1 }]\n", "[[bmc]] 'a': reboots: missing key 'at_s'"),
    (
        DELL + "sensor = { refresh = 1 }\n",
        "[[bmc]] 'a': sensor: unknown key 'refresh' (did you mean 'refresh_s'?)",
    ),
    (
        DELL + POWER + "live = [{ path = '/x', pointer = '/y' }]\n",
        "live: key 'path' is '/x'; allowed: a JSON resource",
    ),
    (
        DELL + POWER + "live = [{ path = '/redfish/v1', pointer = '/y/0' }]\n",
        "live: key 'pointer' is '/y/0'; allowed: a JSON pointer to a value of /redfish/v1",
    ),
    (FLAT + POWER, "[[bmc]] 'a': missing key 'live': a list of tables {path, pointer}"),
    (
        DELL + "faults = [{ kind = 'slow', speed = 1 }]\n",
        "faults: unknown key 'speed'; allowed: kind, at_s, for_s, count",
    ),
    (DELL + "faults = [{ kind = 'fast' }]\n", "faults: key 'kind' is 'fast'; allowed: 'slow', 'drip'"),
    (DELL + "faults = [{ for_s = 1 }]\n", "faults: missing key 'kind'"),
    (DELL + "faults = [{ kind = 'refuse', count = 1 }]\n", "faults: unknown key 'count'"),
    (DELL + "faults = [{ kind = 'null' }]\n", "faults: kind 'null' needs the key 'power' of the BMC"),
    (
        DELL + "faults = [{ kind = 'payload_switch', payload = 'x' }]\n",
        "faults: key 'payload' is 'x'; allowed: a folder",
    ),
    (DELL + "suites = [3]\n", "[[bmc]] 'a': unknown key 'suites'"),
    (IPMI, "[[bmc]] 'a': missing key 'power': a table"),
    (
        IPMI + POWER + "payload = 'x'\n",
        "[[bmc]] 'a': key 'payload' and key 'power' exclude each other",
    ),
    (IPMI + "payload = 'x'\n", "[[bmc]] 'a': key 'payload' is 'x': cannot be read: No such file"),
    (IPMI + "payload = 'odd.json'\n", "key 'payload' is 'odd.json': request 'Chassis'; allowed: 'NETFN/"),
    (IPMI + POWER + "suites = [1]\n", "[[bmc]] 'a': key 'suites' is (1,); allowed: "),
    (IPMI + POWER + "sensors = [{ m = 4 }]\n", "[[bmc]] 'a': sensors: missing key 'name'"),
    (IPMI + POWER + "sensors = [{ name = 'x', m = 0 }]\n", "[[bmc]] 'a': key 'm' is 0; allowed: "),
    (IPMI + POWER + "faults = [{ kind = 'html' }]\n", "[[bmc]] 'a': faults: key 'kind' is 'html'; allowed: "),
    (IPMI + POWER + "network = { loss = 2 }\n", "[[bmc]] 'a': key 'loss' is 2.0; allowed: 0 to 1"),
]


@pytest.fixture
def folder(tmp_path):
    """Files that the mistakes refer to."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "odd.json").write_text('{"Chassis": {}}')
    (tmp_path / "flat.json").write_text('{"/redfish/v1": {}, "/redfish/v1/Chassis/1/Power": {}}')
    (tmp_path / "latin").write_bytes(b"\xe4\xf6")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    return tmp_path


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=range(len(MISTAKES)))
async def test_a_mistake_is_one_line_that_says_where_and_what_is_allowed(folder, text, expected):
    spec_file = folder / "sim.toml"
    spec_file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        await Fleet(load_spec(spec_file, start_ns=0), folder).start()
    message = str(caught.value)
    assert message.startswith(str(spec_file))
    assert expected in message.replace(str(spec_file), "sim.toml")
    assert "\n" not in message


def test_every_shipped_payload_and_its_live_pointers_load():
    names = shipped_names()
    assert len(names) >= 7
    for name in names:
        payload = load_payload(name, base=None, where="here")
        assert payload.live, name
        assert all(payload.tree(path) is not None for path in payload.bodies)


def test_every_key_can_stand_together(folder):
    """One spec with all keys that the documents show."""
    spec_file = folder / "sim.toml"
    spec_file.write_text(
        '[fleet]\nseed = 7\nspeed = 2.0\nuser = "u"\npassword = "p"\ncontrol_port = 0\n'
        + DELL
        + 'scheme = "http"\nport = 0\n'
        "power = { trace = 'hpe-dl385-busy', scale = 1.5, offset_s = 5, speed = 2.0 }\n"
        "reboots = [{ at_s = 60, off_s = 10, standby_w = 3 }]\n"
        "sensor = { refresh_s = 2.0, window_s = 2.0, quantum_w = 1.0, latency_s = 0.02, gain = 1.01 }\n"
        "faults = [{ kind = 'slow', at_s = 5, for_s = 10, delay_s = 1, count = 3, path = '*/Power' }]\n"
        'user = "v"\npassword = "q"\ncertificate = "expired"\nauth = "basic"\nsession_limit = 3\n'
    )
    bmc = load_spec(spec_file, start_ns=10**18).bmcs[0]
    assert bmc.user == "v"
    assert bmc.password.reveal() == "q"
    assert "q" not in repr(bmc.password)
    # 60 simulated seconds at double speed are 30 real ones.
    assert bmc.reboots[0].start_ns == 10**18 + 30 * 10**9
    assert bmc.faults[0].start_ns == 10**18 + 2_500_000_000
    assert bmc.power.watts(0.0) == 1.5 * 504
