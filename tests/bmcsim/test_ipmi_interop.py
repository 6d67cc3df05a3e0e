"""Independent clients read the simulated IPMI BMC: ipmitool, FreeIPMI, pyghmi."""

from __future__ import annotations

import asyncio
import json
import re
import sys

import pytest

from bmcsim.ipmi_console import Bench
from energyrecorder_bmcsim.ipmi.proxy import UdpProxy, Weather
from energyrecorder_bmcsim.ipmi.sdr import full_sensor_record
from energyrecorder_bmcsim.ipmi.server import ControllerSettings, IpmiFault, SdrSensor
from energyrecorder_bmcsim.ipmi.settings import temperature_sensors
from support.tools import need

CLIENT_S = 20.0
NODE = SdrSensor("Node Pwr", m=1, share=0.5)
MODULE = ControllerSettings(address=0x72, channel=7, manufacturer=674, share=0.5)
SATELLITE = ControllerSettings(
    address=0x82, product_name="Satellite", manufacturer=343, sensors=(NODE,), bridged=(MODULE,)
)
CONTROLLER = ControllerSettings(
    vendor_name="Dell",
    product_name="PowerEdge R640",
    sensors=(
        SdrSensor("Pwr Consumption", number=0x77),
        SdrSensor("PS1 Status", reading_type=0x6F, sensor_type=8, entity_id=10, constant=1),
        SdrSensor("Sys Power", m=1, r_exp=1, available=False),
        *temperature_sensors(3),
    ),
    extra_records=(full_sensor_record(NODE, owner=0x82, lun=0, number=1),),
    bridged=(SATELLITE,),
)

PYGHMI = """
import json, os, sys
from pyghmi.ipmi.command import Command
port, password = int(sys.argv[1]), sys.argv[2].encode()
found = {}
try:
    bmc = Command(bmc="127.0.0.1", userid=b"energy", password=password, port=port)
    found["power"] = bmc.get_power()["powerstate"]
    if "watts" in sys.argv[3:]:
        found["watts"] = bmc.get_system_power_watts()
    if "sensors" in sys.argv[3:]:
        found["sensors"] = {s.name: [s.value, s.units, s.unavailable] for s in bmc.get_sensor_data()}
    if "inventory" in sys.argv[3:]:
        found["inventory"] = dict(bmc.get_inventory())["System"]["Product name"]
    if "bridge" in sys.argv[3:]:
        way = {"addr": 0x82, "channel": 0}
        found["bridge"] = list(bmc.raw_command(0x2C, 2, data=(0xDC, 1, 0, 0), bridge_request=way)["data"])
    bmc.ipmi_session.logout()
except Exception as error:
    found["error"] = repr(error)
print(json.dumps(found), flush=True)
os._exit(0)
"""


async def run(*argv, within_s=CLIENT_S):
    """Return exit code and output of a client; end it when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), within_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, output.decode("utf-8", "replace")


async def ipmitool(port, *command, suite=17, user="energy", password="secret", retries=4, **limits):
    way = ("-I", "lanplus", "-C", str(suite), "-H", "127.0.0.1", "-p", str(port))
    bounds = ("-N", "3", "-R", str(retries))
    return await run(need("ipmitool"), *way, *bounds, "-U", user, "-P", password, *command, **limits)


async def freeipmi(program, port, *options, suite=17, password="secret", level="USER"):
    way = ("-h", f"127.0.0.1:{port}", "-u", "energy", "-p", password, "-D", "LAN_2_0", "-I", str(suite))
    bounds = ("-l", level, "--session-timeout=30000", "--retransmission-timeout=1000")
    return await run(need(program), *way, *bounds, *options)


async def pyghmi(port, *wanted, password="secret"):
    code, output = await run(sys.executable, "-W", "ignore", "-c", PYGHMI, str(port), password, *wanted)
    assert code == 0, output
    return json.loads(output.splitlines()[-1])


@pytest.fixture
async def bench():
    async with Bench(controller=CONTROLLER) as bench:
        yield bench


@pytest.mark.parametrize("suite", [3, 17])
async def test_ipmitool_reads_all_of_it(bench, suite):
    """DCMI power, sensors, chassis and identity as ipmitool prints them, and no session is left behind."""
    code, output = await ipmitool(bench.port, "dcmi", "power", "reading", suite=suite)
    assert code == 0
    assert re.search(r"Instantaneous power reading: +213 Watts", output)
    assert re.search(r"Power reading state is: +activated", output)
    assert "Sampling period:                          00000060 Seconds." in output

    code, output = await ipmitool(bench.port, "sdr", "elist", "full", suite=suite)
    assert code == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in output.splitlines()]
    assert rows == [
        ["Pwr Consumption", "77h", "ok", "7.1", "212 Watts"],
        ["PS1 Status", "01h", "ok", "10.1", "Presence detected"],
        ["Sys Power", "02h", "ns", "7.1", "No Reading"],
        ["Temp 000", "03h", "ok", "3.1", "20 degrees C"],
        ["Temp 001", "04h", "ok", "3.2", "21 degrees C"],
        ["Temp 002", "05h", "ok", "3.3", "22 degrees C"],
        ["Node Pwr", "01h", "ok", "7.1", "107 Watts"],
    ]

    code, output = await ipmitool(bench.port, "chassis", "status", suite=suite)
    assert code == 0
    assert re.search(r"System Power +: on", output)

    code, output = await ipmitool(bench.port, "mc", "info", suite=suite)
    assert code == 0
    assert re.search(r"Firmware Revision +: 2.10", output)
    assert re.search(r"Manufacturer ID +: 674", output)

    stats = bench.bmc.stats()
    assert (stats["log_ins"], stats["live_sessions"], stats["dropped"]) == (4, 0, 0)


@pytest.mark.parametrize("suite", [3, 17])
async def test_ipmitool_is_refused(bench, suite):
    """A wrong password and an unknown user lead to no session."""
    for account in ({"password": "wrong"}, {"user": "nobody"}):
        code, output = await ipmitool(bench.port, "mc", "info", suite=suite, **account)
        assert code == 1
        assert "Unable to establish IPMI v2 / RMCP+ session" in output
    assert bench.bmc.stats()["log_ins"] == 0


async def test_ipmitool_and_a_suite_that_is_not_offered():
    """Status 11h is understood as what it is."""
    async with Bench(suites=(3,)) as bench:
        code, output = await ipmitool(bench.port, "mc", "info", suite=17)
        assert code == 1
        assert "no matching cipher suite" in output


async def test_ipmitool_further_commands(bench):
    """DCMI capabilities, FRU inventory, locator record, session info, GUID, the satellite's own identity."""
    for command, expected in [
        (("dcmi", "discover"), "Power management available"),
        (("fru", "print", "0"), "PowerEdge R640"),
        (("sdr", "elist", "mcloc"), "Dynamic MC @ 82h"),
        (("session", "info", "active"), "IPMIv2/RMCP+"),
        (("mc", "guid"), "System GUID"),
        (("sensor",), "Pwr Consumption  | 212.000"),
        (("-t", "0x82", "-b", "0", "mc", "info"), "Intel Corporation"),
        (("-t", "0x82", "-b", "0", "dcmi", "power", "reading"), "213 Watts"),
        (("-T", "0x82", "-B", "0", "-t", "0x72", "-b", "7", "mc", "info"), "Dell"),
        (("-T", "0x82", "-B", "0", "-t", "0x72", "-b", "7", "dcmi", "power", "reading"), "107 Watts"),
    ]:
        code, output = await ipmitool(bench.port, *command)
        assert code == 0, command
        assert expected in output


async def test_ipmitool_and_bridging_inline():
    """The ipmitool client takes the satellite's answer from within the answer to Send Message too.

    But not two deep: ipmitool 1.8.19 forgets its request when it opens the first of two answers.
    """
    async with Bench(controller=CONTROLLER, bridge_style="inline") as bench:
        code, output = await ipmitool(bench.port, "-t", "0x82", "-b", "0", "dcmi", "power", "reading")
        assert code == 0
        assert re.search(r"Instantaneous power reading: +213 Watts", output)


async def test_ipmitool_without_dcmi(bench):
    """C1h is told as an invalid command."""
    bench.bmc.inject(IpmiFault("dcmi_off"))
    code, output = await ipmitool(bench.port, "dcmi", "power", "reading")
    assert code == 1
    assert "Invalid command" in output


@pytest.mark.parametrize(("watts", "shown"), [(100.0, "100.000"), (403.0, "403.000")])
async def test_ipmitool_reads_a_non_linear_sensor(watts, shown):
    """It asks for the factors of each reading as well, and comes to the same value."""
    sensor = SdrSensor("Pwr Consumption", m=1, non_linear=True)
    async with Bench(controller=ControllerSettings(sensors=(sensor,))) as bench:
        bench.source.power = watts
        code, output = await ipmitool(bench.port, "sensor", "list")
        assert code == 0
        assert re.search(rf"Pwr Consumption +\| {shown} +\| Watts", output)


async def test_ipmitool_with_bmc_key():
    """Two-key log-in: with the key it reads, without it gets no session."""
    async with Bench(kg=b"0123456789abcdefghij") as bench:
        code, _ = await ipmitool(bench.port, "-k", "0123456789abcdefghij", "mc", "info")
        assert code == 0
        code, _ = await ipmitool(bench.port, "mc", "info")
        assert code == 1


async def test_ipmitool_reads_records_in_parts():
    """With 16 octets per Get SDR the records come out the same."""
    controller = ControllerSettings(sensors=(SdrSensor("Pwr Consumption"),), sdr_read_limit=16)
    async with Bench(controller=controller) as bench:
        code, output = await ipmitool(bench.port, "sdr", "elist", "full")
        assert code == 0
        assert "212 Watts" in output


async def test_ipmitool_through_loss_and_delay(bench):
    """With retries ipmitool gets through a tenth lost and late answers.

    The seed spares what ipmitool 1.8.19 cannot bear: when RAKP message 2 is lost in a second attempt, or an
    answer of the log-in is doubled, it believes itself logged in and sends commands outside any session.
    """
    weather = Weather(loss=0.1, delay_s=0.01, jitter_s=0.02)
    proxy = UdpProxy(bench.port, weather, seed=7)
    try:
        port = await proxy.start()
        code, output = await ipmitool(port, "dcmi", "power", "reading", retries=5, within_s=60.0)
    finally:
        await proxy.close()
    assert code == 0
    assert re.search(r"Instantaneous power reading: +213 Watts", output)


@pytest.mark.parametrize("suite", [3, 17])
async def test_freeipmi_reads_statistics_and_sensors(bench, suite, tmp_path):
    """FreeIPMI's DCMI statistics and sensors, a sensor on the satellite included."""
    code, output = await freeipmi("ipmi-dcmi", bench.port, "--get-system-power-statistics", suite=suite)
    assert code == 0
    found = dict(re.split(r" +: ", line, maxsplit=1) for line in output.splitlines())
    assert found["Current Power"] == "213 Watts"
    assert found["Statistics reporting time period"] == "60000 milliseconds"
    assert found["Power Measurement"] == "Active"

    cache = (f"--sdr-cache-directory={tmp_path}", "--quiet-cache", "--bridge-sensors")
    code, output = await freeipmi("ipmi-sensors", bench.port, *cache, suite=suite)
    assert code == 0
    rows = [[cell.strip() for cell in line.split("|")][1:5] for line in output.splitlines()]
    assert ["Pwr Consumption", "Other Units Based Sensor", "212.00", "W"] in rows
    assert ["Sys Power", "Other Units Based Sensor", "N/A", "W"] in rows
    assert ["Node Pwr", "Other Units Based Sensor", "107.00", "W"] in rows
    assert bench.bmc.stats()["live_sessions"] == 0


async def test_freeipmi_is_refused(bench):
    """A wrong password is told as such."""
    code, output = await freeipmi("ipmi-dcmi", bench.port, "--get-system-power-statistics", password="wrong")
    assert code == 1
    assert "password invalid" in output


async def test_freeipmi_sees_an_inactive_meter(bench):
    """The state bit arrives."""
    bench.bmc.inject(IpmiFault("dcmi_inactive"))
    _, output = await freeipmi("ipmi-dcmi", bench.port, "--get-system-power-statistics")
    assert re.search(r"Power Measurement +: Not Available", output)


async def test_pyghmi_reads_all_of_it(bench):
    """The pyghmi client reads power state, DCMI, sensors, inventory and the satellite, with SHA-256."""
    found = await pyghmi(bench.port, "watts", "sensors", "inventory", "bridge")
    assert found.get("error") is None
    assert found["power"] == "on"
    assert found["watts"] == 213
    assert found["sensors"]["Pwr Consumption"] == [212.0, "W", 0]
    assert found["sensors"]["Sys Power"] == [None, "W", 1]
    assert found["inventory"] == "PowerEdge R640"
    assert found["bridge"][:3] == [0xDC, 213, 0]
    assert bench.bmc.stats()["live_sessions"] == 0


async def test_pyghmi_falls_back_to_the_suite_that_is_offered():
    """Refused with suite 17, pyghmi logs in with suite 3."""
    async with Bench(suites=(3,)) as bench:
        found = await pyghmi(bench.port, "watts")
        assert found == {"power": "on", "watts": 213}
        assert bench.bmc.stats()["refused"] == 1


async def test_pyghmi_is_refused(bench):
    """A wrong password is told as such."""
    found = await pyghmi(bench.port, password="wrong")
    assert "Incorrect password" in found["error"]


async def test_pyghmi_breaks_on_a_downgrade(bench):
    """The fault is what breaks pyghmi in the field: SHA-1 answered to SHA-256 gives no IpmiException."""
    bench.bmc.inject(IpmiFault("suite_downgrade"))
    found = await pyghmi(bench.port)
    assert found["error"].startswith("error(")
