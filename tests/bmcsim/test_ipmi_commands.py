"""Readings, records, inventory and satellites of the simulated IPMI BMC, good and awkward."""

from __future__ import annotations

import asyncio
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmcsim.ipmi_console import DCMI_POWER, Bench, ipmi_message, v20
from energyrecorder_bmcsim.ipmi.controller import Call
from energyrecorder_bmcsim.ipmi.crypto import SUITES
from energyrecorder_bmcsim.ipmi.message import parse_request
from energyrecorder_bmcsim.ipmi.rmcp import PayloadType
from energyrecorder_bmcsim.ipmi.server import ControllerSettings, IpmiFault, SdrSensor
from energyrecorder_bmcsim.ipmi.session import Session
from energyrecorder_bmcsim.ipmi.settings import temperature_sensors

READ_SENSOR = (0x04, 0x2D)
SDR_INFO = (0x0A, 0x20)
RESERVE = (0x0A, 0x22)
GET_SDR = (0x0A, 0x23)
SATELLITE = ControllerSettings(address=0x82, product_name="NM", manufacturer=343, share=0.5)
BOARD = ControllerSettings(bridged=(SATELLITE,))


def power_reading(data):
    assert data[0] == 0xDC
    return struct.unpack("<4H2IB", data[1:])


def get_sdr(reservation, record, offset=0, count=0xFF):
    return struct.pack("<HHBB", reservation, record, offset, count)


async def test_dcmi_power_reading():
    """Current at the moment, statistics of the last minute, period in ms, state active."""
    async with Bench() as bench:
        start_ns = bench.clock.now_ns
        bench.source.power = lambda now_ns: 100 + (now_ns - start_ns) / 1e9
        bench.clock.pass_s(300)
        console = await bench.logged_in()
        code, data = await console.command(*DCMI_POWER)
        assert code == 0
        assert power_reading(data) == (400, 340, 400, 370, bench.clock.now_ns // 10**9, 60_000, 0x40)


async def test_statistics_do_not_reach_behind_the_start():
    """A BMC knows nothing of the time before it started."""
    async with Bench() as bench:
        start_ns = bench.clock.now_ns
        bench.source.power = lambda now_ns: 200 if now_ns >= start_ns else 9999
        bench.clock.pass_s(10)
        console = await bench.logged_in()
        assert power_reading((await console.command(*DCMI_POWER))[1])[:4] == (200, 200, 200, 200)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("dcmi_zero", (0, 0, 0, 0, 0x00)),
        ("dcmi_inactive", (213, 213, 213, 213, 0x00)),
        ("dcmi_stats_zero", (213, 0, 0, 0, 0x00)),
        ("dcmi_stats_extreme", (213, 0, 65535, 213, 0x40)),
        ("dcmi_time_1970", (213, 213, 213, 213, 0x40)),
    ],
)
async def test_awkward_dcmi_readings(kind, expected):
    """The variants that real BMCs have shown, as long as the fault lasts."""
    async with Bench() as bench:
        end_ns = bench.clock.now_ns + 10**10
        bench.bmc.inject(IpmiFault(kind, end_ns=end_ns))
        console = await bench.logged_in()
        bench.clock.pass_s(5)
        *watts, time_s, _, state = power_reading((await console.command(*DCMI_POWER))[1])
        assert (*watts, state) == expected
        if kind == "dcmi_time_1970":
            assert time_s == 5
        bench.clock.pass_s(5)
        assert power_reading((await console.command(*DCMI_POWER))[1])[-1] == 0x40


async def test_short_dcmi_reply():
    """The fault ends the reply after the average."""
    async with Bench() as bench:
        bench.bmc.inject(IpmiFault("dcmi_short", count=1))
        console = await bench.logged_in()
        assert len((await console.command(*DCMI_POWER))[1]) == 9
        assert len((await console.command(*DCMI_POWER))[1]) == 18


@pytest.mark.parametrize("code", [0xC0, 0xC3, 0xD4])
async def test_completion_codes_n_times(code):
    """Readings end with the code as often as told, other commands do not."""
    async with Bench() as bench:
        bench.bmc.inject(IpmiFault("completion_code", code=code, count=2))
        console = await bench.logged_in()
        assert await console.command(*DCMI_POWER) == (code, b"")
        assert (await console.command(0x00, 0x01))[0] == 0
        assert await console.command(*READ_SENSOR, b"\x01") == (code, b"")
        assert (await console.command(*DCMI_POWER))[0] == 0


async def test_a_bmc_without_dcmi_refuses_its_commands():
    """Without DCMI, and with the fault, its commands end with C1h; so do those of other groups always."""
    async with Bench(controller=ControllerSettings(dcmi=False)) as bench:
        assert (await (await bench.logged_in()).command(*DCMI_POWER))[0] == 0xC1
    async with Bench() as bench:
        bench.bmc.inject(IpmiFault("dcmi_off", count=None))
        assert (await (await bench.logged_in()).command(*DCMI_POWER))[0] == 0xC1
    async with Bench() as bench:
        console = await bench.logged_in()
        assert (await console.command(0x2C, 0x00, b"\x00"))[0] == 0xC1
        assert (await console.command(0x2C, 0x02, b"\xdc\x01\x00"))[0] == 0xC7
        assert (await console.command(0x2C, 0x02, b"\xdc\x09\x00\x00"))[0] == 0xCC
        assert (await console.command(0x2C, 0x02))[0] == 0xC7


async def test_dcmi_capabilities():
    """Parameter 1 announces power management; an unknown parameter ends with CCh."""
    async with Bench() as bench:
        console = await bench.console()
        assert await console.bare(0x2C, 0x01, b"\xdc\x01") == (0, bytes.fromhex("DC 01 05 02 00 01 01"))
        assert (await console.bare(0x2C, 0x01, b"\xdc\x09"))[0] == 0xCC


async def test_a_source_without_a_figure():
    """NaN is no 0 W: DCMI is not active, the sensor is unavailable."""
    async with Bench() as bench:
        bench.source.power = math.nan
        console = await bench.logged_in()
        assert power_reading((await console.command(*DCMI_POWER))[1])[-1] == 0x00
        assert await console.command(*READ_SENSOR, b"\x01") == (0, bytes((0, 0xE0, 0xC0)))


@pytest.mark.parametrize(
    ("sensor", "answer"),
    [
        (SdrSensor("p"), (53, 0xC0, 0xC0)),
        (SdrSensor("p", share=0.5), (27, 0xC0, 0xC0)),
        (SdrSensor("p", m=1, constant=25.0), (25, 0xC0, 0xC0)),
        (SdrSensor("p", scanning=False), (53, 0x80, 0xC0)),
        (SdrSensor("p", available=False), (0, 0xE0, 0xC0)),
        (SdrSensor("p", reading_type=0x6F, constant=0b101), (0, 0xC0, 0x05, 0x80)),
    ],
)
async def test_sensor_reading(sensor, answer):
    """Raw octet, scanning and availability; discrete sensors show states."""
    async with Bench(controller=ControllerSettings(sensors=(sensor,))) as bench:
        console = await bench.logged_in()
        assert await console.command(*READ_SENSOR, b"\x01") == (0, bytes(answer))
        assert (await console.command(*READ_SENSOR, b"\x02"))[0] == 0xCB
        assert (await console.command(0x04, 0x27, b"\x01")) == (0, bytes(7))


@pytest.mark.parametrize(("kind", "state"), [("sensor_unavailable", 0xE0), ("sensor_scanning_off", 0x80)])
async def test_sensor_faults(kind, state):
    """The fault marks the reading, once if told so."""
    async with Bench() as bench:
        bench.bmc.inject(IpmiFault(kind, count=1))
        console = await bench.logged_in()
        assert (await console.command(*READ_SENSOR, b"\x01"))[1][1] == state
        assert (await console.command(*READ_SENSOR, b"\x01"))[1][1] == 0xC0


async def test_a_host_that_is_off_shows_in_chassis_status_and_sensors():
    """Chassis status tells, and sensors that need the host are unavailable."""
    sensors = (SdrSensor("p", number=1), SdrSensor("cpu", number=2, needs_host=True))
    async with Bench(controller=ControllerSettings(sensors=sensors)) as bench:
        console = await bench.logged_in()
        assert (await console.command(0x00, 0x01))[1][0] & 1 == 1
        bench.source.on, bench.source.power = False, 12.0
        assert (await console.command(0x00, 0x01))[1][0] & 1 == 0
        assert (await console.command(*READ_SENSOR, b"\x01"))[1] == bytes((3, 0xC0, 0xC0))
        assert (await console.command(*READ_SENSOR, b"\x02"))[1][1] == 0xE0


async def test_device_id_and_guids():
    """Get Device ID: revision, BCD, manufacturer and product little-endian; both GUIDs alike."""
    controller = ControllerSettings(manufacturer=10876, product=0x0F02, firmware="3.45")
    async with Bench(controller=controller, guid=bytes(range(16))) as bench:
        console = await bench.logged_in()
        assert await console.command(0x06, 0x01) == (0, bytes.fromhex("20 81 03 45 02 8B 7C 2A 00 02 0F"))
        assert await console.command(0x06, 0x08) == (0, bytes(range(16)))
        assert await console.bare(0x06, 0x37) == (0, bytes(range(16)))


async def test_sdr_repository_walk():
    """From record 0 along the next ids to FFFFh: each record once."""
    async with Bench(controller=ControllerSettings(sensors=temperature_sensors(7))) as bench:
        console = await bench.logged_in()
        _, info = await console.command(*SDR_INFO)
        assert struct.unpack_from("<BHH", info) == (0x51, 7, 0)
        record, seen = 0, []
        while record != 0xFFFF:
            code, data = await console.command(*GET_SDR, get_sdr(0, record))
            assert code == 0
            seen.append(struct.unpack_from("<H", data, 2)[0])
            (record,) = struct.unpack_from("<H", data)
        assert seen == list(range(1, 8))
        assert (await console.command(*GET_SDR, get_sdr(0, 0xFFFF)))[1][2:4] == b"\x07\x00"
        assert (await console.command(*GET_SDR, get_sdr(0, 8)))[0] == 0xCB


async def test_sdr_parts_need_a_reservation():
    """Parts put together are the record; without, or with an older reservation: C5h; too much: CAh."""
    async with Bench(controller=ControllerSettings(sdr_read_limit=20)) as bench:
        console = await bench.logged_in()
        assert (await console.command(*GET_SDR, get_sdr(0, 1)))[0] == 0xCA
        assert (await console.command(*GET_SDR, get_sdr(0, 1, 5, 20)))[0] == 0xC5
        _, first = await console.command(*RESERVE)
        _, second = await console.command(*RESERVE)
        assert first != second
        old, new = struct.unpack("<H", first)[0], struct.unpack("<H", second)[0]
        assert (await console.command(*GET_SDR, get_sdr(old, 1, 5, 20)))[0] == 0xC5
        parts = [(await console.command(*GET_SDR, get_sdr(new, 1, at, 20)))[1][2:] for at in (0, 20, 40, 60)]
        record = b"".join(parts)
        assert len(record) == record[4] + 5
        assert record.endswith(b"Pwr Consumption")
        assert (await console.command(*GET_SDR, get_sdr(new, 1, 63, 20)))[0] == 0xC9


async def test_sdr_change_cancels_the_reservation():
    """A change moves the time stamp and ends the reservation; a new one is good."""
    async with Bench() as bench:
        console = await bench.logged_in()
        before = (await console.command(*SDR_INFO))[1][5:9]
        _, reservation = await console.command(*RESERVE)
        number = struct.unpack("<H", reservation)[0]
        bench.clock.pass_s(9)
        bench.bmc.inject(IpmiFault("sdr_changed", start_ns=bench.clock.now_ns))
        assert (await console.command(*GET_SDR, get_sdr(number, 1, 5, 8)))[0] == 0xC5
        after = (await console.command(*SDR_INFO))[1][5:9]
        assert struct.unpack("<I", after)[0] - struct.unpack("<I", before)[0] == 9
        _, reservation = await console.command(*RESERVE)
        number = struct.unpack("<H", reservation)[0]
        assert (await console.command(*GET_SDR, get_sdr(number, 1, 5, 8)))[0] == 0


async def test_big_repository_is_slow():
    """300 records, the last sensor is on LUN 1 and answers there; each Get SDR costs its time."""
    controller = ControllerSettings(sensors=temperature_sensors(300), sdr_latency_s=0.02)
    async with Bench(controller=controller) as bench:
        console = await bench.logged_in()
        began_s = asyncio.get_running_loop().time()
        code, data = await console.command(*GET_SDR, get_sdr(0, 300))
        assert code == 0
        assert asyncio.get_running_loop().time() - began_s >= 0.02
        lun, number = data[2 + 6], data[2 + 7]
        assert (lun, number) == (1, 46)
        reading = await console.command(*READ_SENSOR, bytes((number,)), lun=lun)
        assert reading == (0, bytes((20 + 299 % 40, 0xC0, 0xC0)))


async def test_fru_inventory_is_read_in_parts():
    """Area info tells the size; parts put together hold maker and product; FRU 1 is not there."""
    controller = ControllerSettings(vendor_name="Supermicro", product_name="X11DPT-B")
    async with Bench(controller=controller) as bench:
        console = await bench.logged_in()
        _, info = await console.command(0x0A, 0x10, b"\x00")
        (size,) = struct.unpack_from("<H", info)
        area = b""
        while len(area) < size:
            _, part = await console.command(0x0A, 0x11, struct.pack("<BHB", 0, len(area), 16))
            assert part[0] == len(part) - 1
            area += part[1:]
        assert b"Supermicro" in area
        assert b"X11DPT-B" in area
        assert (await console.command(0x0A, 0x11, struct.pack("<BHB", 0, size, 16)))[0] == 0xC9
        assert (await console.command(0x0A, 0x10, b"\x01"))[0] == 0xCB


def send_message(address, message, *, channel=0x40):
    return bytes((channel,)) + ipmi_message(*message, responder=address, requester=0x20, sequence=9)


@pytest.mark.parametrize("style", ["forwarded", "inline"])
async def test_bridging_to_a_satellite(style):
    """The satellite's own DCMI answers, after an acknowledgement or within the answer."""
    async with Bench(controller=BOARD, bridge_style=style) as bench:
        console = await bench.logged_in()
        code, data = await console.command(0x06, 0x34, send_message(0x82, DCMI_POWER))
        assert code == 0
        if style == "forwarded":
            assert data == b""
            inner = console.opened(await console.receive())
            assert inner[0] == 0x81
            assert inner[4] >> 2 == console.message
        else:
            inner = data
            assert inner[0] == 0x20
            assert inner[4] >> 2 == 9
        assert inner[3] == 0x82
        assert sum(inner[:3]) & 0xFF == sum(inner[3:]) & 0xFF == 0
        assert (inner[1] >> 2, inner[5], inner[6]) == (0x2D, 0x02, 0)
        assert power_reading(inner[7:-1])[0] == 107


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (send_message(0x84, DCMI_POWER), 0x83),
        (send_message(0x82, DCMI_POWER, channel=0x46), 0x83),
        (send_message(0x82, DCMI_POWER, channel=0x00), 0xCC),
        (send_message(0x82, DCMI_POWER)[:-1] + b"\x00", 0xCC),
        (b"\x40", 0xC7),
    ],
)
async def test_bridging_that_fails(data, code):
    """Nobody at the address 83h; no tracking, a bad inner checksum CCh; too short C7h."""
    async with Bench(controller=BOARD) as bench:
        console = await bench.logged_in()
        assert await console.command(0x06, 0x34, data) == (code, b"")


COMMANDS = sorted(Bench(controller=BOARD).bmc._controller._commands)


@given(key=st.sampled_from(COMMANDS), data=st.binary(max_size=24), group=st.booleans(), lun=st.integers(0, 3))
def test_any_data_gets_a_completion_code(key, data, group, lun):
    """Whatever data a logged-in console sends with any command, the BMC answers and lives."""
    bench = Bench(controller=BOARD)
    session = Session(7, 8, 0, SUITES[17], ("127.0.0.1", 9), 4, bench.clock.now_ns, handle=1)
    session.privilege = 4
    if group and key[0] == 0x2C:
        data = b"\xdc" + data
    request = parse_request(ipmi_message(*key, data, lun=lun))
    answer = bench.bmc._controller.answer(Call(request, request.data, bench.clock.now_ns, session))
    assert answer
    assert answer[0] == 0 or len(answer) == 1


@given(
    kind=st.sampled_from([PayloadType.OPEN_SESSION_REQUEST, PayloadType.RAKP_1, PayloadType.RAKP_3, 0x3F]),
    payload=st.binary(max_size=60),
)
def test_any_log_in_message_is_answered_or_dropped(kind, payload):
    """Whatever a log-in message holds, nothing but an answer or silence comes of it."""
    bench = Bench()
    sent = []
    bench.bmc._send = lambda answers, peer, delay_s: sent.extend(answers)
    bench.bmc._received(v20(kind, payload), ("127.0.0.1", 9))
    stats = bench.bmc.stats()
    assert stats["requests"] + stats["dropped"] == 1
    assert len(sent) <= stats["requests"]
