"""Readings that others collect become `server_power`: Telegraf's own inputs, exporters and meters."""

from __future__ import annotations

import contextlib
import json
import socketserver
import struct
import threading

import pytest
from line_protocol_parser import parse_line

from support.bmcsim import PASSWORD, USER
from support.fake_server import FakeServer
from support.stack import three_bmcs
from support.telegraf import Telegraf
from support.tools import need

STDOUT = '\n[[outputs.file]]\n  files = ["stdout"]\n'

REDFISH = """
[[inputs.redfish]]
  address = "{url}"
  username = "{user}"
  password = "{password}"
  computer_system_id = "System.Embedded.1"
  include_metrics = ["power"]
  insecure_skip_verify = true
"""
IPMI = """
[[inputs.ipmi_sensor]]
  path = "{ipmitool}"
  servers = ["{user}:{password}@lanplus({address})"]
  privilege = "USER"
  sensors = ["dcmi_power_reading"]
"""


def power(done):
    """Return the parsed `server_power` points of what was printed."""
    assert done.returncode == 0, done.stderr
    assert "E! [processors" not in done.stderr, done.stderr
    return [parse_line(line) for line in done.stdout.splitlines() if line.startswith("server_power")]


def replayed(tmp_path, name, lines, **environ):
    """Return the `server_power` points that a file of ours makes of the lines of another plugin."""
    file = tmp_path / "lines"
    file.write_text(lines)
    # Stays until its input ends, and a moment longer, as a plugin must.
    script = f"cat {file}; cat >/dev/null; sleep 1"
    main = STDOUT + f'[[inputs.execd]]\n  command = ["sh", "-c", "{script}"]\n  signal = "STDIN"\n'
    return power(Telegraf(tmp_path, main=main, **environ).add(name).run("--once"))


def supply(
    member, watts, *, time_s, server="10.0.0.1", name=None, state="Enabled", field="power_input_watts"
):
    value = "" if watts is None else f"{field}={watts},"
    return (
        f"redfish_power_powersupplies,address={server},member_id={member},source={name or server},"
        f"state={state} {value}power_capacity_watts=800 {time_s}000000000\n"
    )


def test_supplies_are_added_when_the_next_gather_begins(tmp_path):
    """Two supplies of two servers; the third gather of the first lacks a value and gives no total."""
    lines = (
        supply("0", 100.5, time_s=10)
        + supply("1", 90, time_s=11)
        + supply("0", 50, time_s=11, server="b")
        + supply("2", None, time_s=11, state="Absent")
        + supply("0", 110, time_s=20)
        + supply("1", None, time_s=20)
        + supply("0", 50, time_s=20, server="b")
        + supply("0", 120, time_s=30)
    )
    points = replayed(tmp_path, "energy-from-inputs-redfish.conf.sample", lines, ENERGY_ENV="pod7")
    assert [(p["tags"], p["fields"]["watts"], p["time"]) for p in points] == [
        ({"env": "pod7", "scope": "server", "server": "10.0.0.1"}, 190.5, 10 * 10**9),
        ({"env": "pod7", "scope": "server", "server": "b"}, 50.0, 11 * 10**9),
    ]
    assert points[0]["fields"]["side"] == "ac"


def test_a_supply_that_was_taken_out_is_not_missed(tmp_path):
    """Its BMC says so; one that just shows no value leaves no total."""
    lines = (
        supply("0", 100, time_s=10)
        + supply("1", 90, time_s=10)
        + supply("0", 180, time_s=20)
        + supply("1", None, time_s=20, state="Absent")
        + supply("0", 181, time_s=30)
    )
    points = replayed(tmp_path, "energy-from-inputs-redfish.conf.sample", lines)
    assert [p["fields"]["watts"] for p in points] == [190, 180]


def test_two_servers_that_tell_one_host_name_are_two(tmp_path):
    """Two BMCs whose operating system never told them a name of its own."""
    both = (("10.0.0.1", 100), ("10.0.0.2", 40))
    lines = "".join(
        supply("0", watts, time_s=time_s, server=server, name="localhost")
        for time_s in (10, 20)
        for server, watts in both
    )
    points = replayed(tmp_path, "energy-from-inputs-redfish.conf.sample", lines)
    assert {(p["tags"]["server"], p["fields"]["watts"]) for p in points} == {
        ("localhost", 100),
        ("10.0.0.2", 40),
    }


def test_output_power_is_called_dc_and_never_mixed_with_input(tmp_path):
    """A server whose supplies report different sides has no total."""
    lines = "".join(
        supply("0", 100, time_s=t, field="last_power_output_watts")
        + supply("0", 100, time_s=t, server="mixed")
        + supply("1", 100, time_s=t, server="mixed", field="power_output_watts")
        for t in (10, 20)
    )
    points = replayed(tmp_path, "energy-from-inputs-redfish.conf.sample", lines)
    assert [(p["tags"]["server"], p["fields"]["side"], p["fields"]["source"]) for p in points] == [
        ("10.0.0.1", "dc", "psu_output_sum")
    ]


@pytest.mark.timeout(120)
def test_the_real_inputs_redfish(tmp_path):
    """Against a simulated iDRAC: the supplies' sum at each gather, and its own series stay."""
    file = tmp_path / "lines"
    with three_bmcs(tmp_path) as sim:
        main = f'\n[[outputs.file]]\n  files = ["{file}"]\n'
        main += REDFISH.format(url=sim.bmc("dell-1")["url"], user=USER, password=PASSWORD)
        telegraf = Telegraf(tmp_path, main=main).add("energy-from-inputs-redfish.conf.sample")
        with telegraf:
            telegraf.until(lambda: file.exists() and file.read_text().count("server_power,") >= 2)
    points = [parse_line(line) for line in file.read_text().splitlines()]
    totals = [p for p in points if p["measurement"] == "server_power"]
    assert all(p["tags"] == {"env": "pod1", "scope": "server", "server": "127.0.0.1"} for p in totals)
    gathers = {}
    for point in points:
        if point["measurement"] == "redfish_power_powersupplies":
            gathers.setdefault(point["time"] // 10**9, []).append(point["fields"]["power_input_watts"])
    for total in totals:
        around = [sum(watts) for t, watts in gathers.items() if abs(t - total["time"] // 10**9) <= 1]
        assert total["fields"]["watts"] in around


@pytest.mark.timeout(90)
def test_the_real_inputs_ipmi_sensor(tmp_path):
    """Against a simulated BMC, by real ipmitool: one total within the BMC's power."""
    with three_bmcs(tmp_path) as sim:
        bmc = sim.bmc("ipmi-1")
        wrapper = tmp_path / "ipmitool"
        wrapper.write_text(f'#!/bin/sh\nexec {need("ipmitool")} -p {bmc["port"]} "$@"\n')
        wrapper.chmod(0o755)
        main = STDOUT + IPMI.format(ipmitool=wrapper, user=USER, password=PASSWORD, address=bmc["address"])
        done = Telegraf(tmp_path, main=main).add("energy-from-ipmi-sensor.conf.sample").run("--once")
    (point,) = power(done)
    assert point["tags"] == {"env": "pod1", "scope": "server", "server": "127.0.0.1"}
    assert 160 < point["fields"]["watts"] < 240
    assert point["fields"]["source"] == "dcmi"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ipmi_sensor,server=a,name=pwr_consumption,unit=watts value=212,status=1i 5", ("a", 212.0, "sdr")),
        ("ipmi_sensor,host=h,name=sys_power,unit=watts value=99 5", ("h", 99.0, "sdr")),
        ("ipmi_sensor,server=a,name=pwr_consumption,unit=watts value=0,status=0i 5", None),
        ("ipmi_sensor,server=a,name=power_supply_1,unit=watts value=110,status=1i 5", None),
        ("ipmi_sensor,server=a,name=pwr_consumption,unit=percent value=11,status=1i 5", None),
    ],
)
def test_which_ipmi_sensors_count(tmp_path, line, expected):
    """Those of the whole server in watts; 0 is not a reading."""
    points = replayed(tmp_path, "energy-from-ipmi-sensor.conf.sample", line + "\n")
    found = [(p["tags"]["server"], p["fields"]["watts"], p["fields"]["source"]) for p in points]
    assert found == ([] if expected is None else [expected])


def test_one_sensor_of_a_server_is_its_power(tmp_path):
    """Of two that measure the whole server, and never both in turn."""
    sensors = {"sys_power": 300, "instantaneous_power_reading": 280}
    line = "ipmi_sensor,server=a,name={},unit=watts value={},status=1i {}\n"
    lines = "".join(line.format(*sensor, number) for number in (1, 2, 3) for sensor in sensors.items())
    points = replayed(tmp_path, "energy-from-ipmi-sensor.conf.sample", lines)
    assert [p["fields"]["watts"] for p in points] == [300, 280, 280, 280]


def web(path, kind, body):
    """Return a server of one document."""
    answers = {path: (200, body.encode(), {"Content-Type": kind})}
    return FakeServer(lambda _method, asked, *_: answers[asked])


@contextlib.contextmanager
def serving_in_a_thread(server):
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


EXPORTED = """# HELP x y
# TYPE idrac_power_control_consumed_watts gauge
idrac_power_control_consumed_watts{id="0",name="System Power Control"} 312
# TYPE ipmi_dcmi_power_consumption_watts gauge
ipmi_dcmi_power_consumption_watts 204
# TYPE other gauge
other 7
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("version", [1, 2])
def test_the_real_inputs_prometheus(tmp_path, version):
    """What the two exporters give, by both layouts of Telegraf; the BMC is in the query of the URL."""
    with web("/metrics", "text/plain; version=0.0.4", EXPORTED) as server:
        main = STDOUT + (
            f'[[inputs.prometheus]]\n  urls = ["{server.url}/metrics?target=10.0.0.9"]\n'
            f"  metric_version = {version}\n"
        )
        done = Telegraf(tmp_path, main=main).add("energy-from-prometheus.conf.sample").run("--once")
    points = power(done)
    assert {(p["tags"]["server"], p["fields"]["watts"], p["fields"]["source"]) for p in points} == {
        ("10.0.0.9", 312.0, "power_control"),
        ("10.0.0.9", 204.0, "dcmi"),
    }
    assert all(set(p["tags"]) == {"env", "server", "scope"} for p in points)
    assert "other" in done.stdout


METER = {"env": "pod1", "scope": "server", "server": "node-01"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("apower", [212.4, None])
def test_a_shelly_plug(tmp_path, apower):
    """Second reading of a server; no value is no reading."""
    body = {"id": 0, "output": True} | ({} if apower is None else {"apower": apower})
    with web("/rpc/Switch.GetStatus", "application/json", json.dumps(body)) as server:
        done = (
            Telegraf(tmp_path, main=STDOUT, ENERGY_SHELLY=server.url.removeprefix("http://"))
            .add("energy-meter-shelly.conf.sample")
            .run("--once")
        )
    if apower is None:
        assert "server_power" not in done.stdout
        return
    (point,) = power(done)
    assert point["tags"] == {**METER, "part": "meter:shelly-1"}
    assert point["fields"]["watts"] == apower
    assert "energy_meter_shelly" not in done.stdout


class Modbus(socketserver.StreamRequestHandler):
    """Answers `read input registers` with 321.5 as IEEE 754, big endian (Modbus Messaging on TCP/IP, 4.1)."""

    def handle(self):
        while header := self.rfile.read(7):
            transaction, _, length, unit = struct.unpack(">HHHB", header)
            function, start, count = struct.unpack(">BHH", self.rfile.read(length - 1))
            assert (function, start, count) == (4, 52, 2)
            body = struct.pack(">BB", function, 4) + struct.pack(">f", 321.5)
            self.wfile.write(struct.pack(">HHHB", transaction, 0, len(body) + 1, unit) + body)


@pytest.mark.timeout(60)
def test_a_modbus_meter(tmp_path):
    """Two registers become watts of `meter:<id>`."""
    with serving_in_a_thread(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Modbus)) as address:
        telegraf = Telegraf(tmp_path, main=STDOUT, ENERGY_MODBUS=address).add(
            "energy-meter-modbus.conf.sample"
        )
        done = telegraf.run("--once")
    (point,) = power(done)
    assert point["tags"] == {**METER, "part": "meter:sdm630-1"}
    assert point["fields"]["watts"] == pytest.approx(321.5)


class Snmp(socketserver.DatagramRequestHandler):
    """Answers each GET with the integer 187: the request, type and value replaced (RFC 3416, section 3)."""

    def handle(self):
        message = bytearray(self.rfile.read())
        at = message.index(0xA0)
        message[at] = 0xA2
        assert message[-2:] == b"\x05\x00"
        message[-2:] = b"\x02\x02\x00\xbb"
        # Lengths of message, PDU, list and binding grow by the two bytes of the value.
        for position in (1, at + 1, *_lists(message, at)):
            message[position] += 2
        self.wfile.write(bytes(message))


def _lists(message, at):
    """Return where the lengths of the list of bindings and of its one binding stand."""
    position = at + 2
    for _ in range(3):  # request id, error status, error index
        position += 2 + message[position + 1]
    return position + 1, position + 3


@pytest.mark.timeout(60)
def test_an_outlet_by_snmp(tmp_path):
    """An integer in watts becomes a float of `meter:<id>`."""
    with serving_in_a_thread(socketserver.UDPServer(("127.0.0.1", 0), Snmp)) as address:
        telegraf = Telegraf(tmp_path, main=STDOUT).add(
            "energy-meter-snmp.conf.sample", ("udp://192.0.2.10:161", f"udp://{address}")
        )
        done = telegraf.run("--once")
    (point,) = power(done)
    assert point["tags"] == {**METER, "part": "meter:pdu1-7"}
    assert point["fields"]["watts"] == 187.0
