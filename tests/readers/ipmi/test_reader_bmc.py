"""The whole reader against BMCs on loopback: simulated ones of many kinds and with faults, and ipmi_sim."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from energyrecorder.errors import BmcError
from energyrecorder_bmcsim.ipmi.server import ControllerSettings, IpmiFault
from energyrecorder_bmcsim.ipmi.settings import SdrSensor, temperature_sensors
from support import ipmi_sim
from support.ipmi_bmc import start_bmc
from support.ipmi_reader import polling, reader_of, watts_of

NO_SENSORS = ControllerSettings(sensors=())


@pytest.mark.parametrize("transport", ["lanplus", "pyghmi"])
async def test_ipmi_sim_is_read_by_its_sensor(endpoint, transport, tmp_path):
    """OpenIPMI's simulator: no DCMI, 4-W steps, one request per poll once its state is known."""
    sim = ipmi_sim.IpmiSim(tmp_path, watts=640)
    sim.start()
    try:
        reader = reader_of(
            endpoint, sim.port, user=ipmi_sim.USER, password=ipmi_sim.PASSWORD, transport=transport
        )
        poll = await reader.poll()
        assert (watts_of(poll), poll.source, poll.readings[0].quantum_w) == (640.0, "sdr", 4.0)
        assert poll.info.vendor == "Supermicro"
        sim.show(212)
        async with asyncio.timeout(60):
            while watts_of(await reader.poll()) != 212.0:
                pass
        await reader.close()
    finally:
        sim.stop()


@pytest.mark.parametrize("transport", ["lanplus", "pyghmi"])
async def test_a_simulated_bmc_is_read_by_dcmi(endpoint, transport):
    """One request per poll; the value, its time and the host state."""
    async with polling(endpoint, options={"transport": transport}) as (bmc, reader):
        await reader.poll()
        before = time.time_ns()
        poll = await reader.poll()
        assert (watts_of(poll), poll.source, poll.host, poll.requests) == (216, "dcmi", {None: "on"}, 1)
        assert before <= poll.readings[0].sampled_at_ns <= time.time_ns()
        bmc.meter.on, bmc.meter.power_w = False, 0.0
        off = await reader.poll()
        assert (watts_of(off), off.host, off.requests) == (0.0, {None: "off"}, 2)


@pytest.mark.parametrize(
    ("fault", "with_sensor", "without_sensor"),
    [
        (IpmiFault("dcmi_off"), (216.0, ""), (None, "unsupported")),
        (IpmiFault("dcmi_zero"), (216.0, ""), (None, "no_reading")),
        (IpmiFault("dcmi_inactive"), (216.0, ""), (None, "no_reading")),
        (IpmiFault("dcmi_stats_zero"), (216.0, ""), (None, "no_reading")),
        (IpmiFault("dcmi_stats_extreme"), (216.0, ""), (216.0, "")),
        (IpmiFault("dcmi_time_1970"), (216.0, ""), (216.0, "")),
        (IpmiFault("dcmi_short"), (216.0, ""), (None, "data")),
        (IpmiFault("completion_code", code=0xC0, count=2), (216.0, ""), (216.0, "")),
        (IpmiFault("completion_code", code=0xC0), (None, "busy"), (None, "busy")),
        (IpmiFault("completion_code", code=0xC3), (None, "timeout"), (None, "timeout")),
        (IpmiFault("completion_code", code=0xD4), (None, "privilege"), (None, "privilege")),
    ],
    ids=lambda value: f"{value.kind}-{value.code:02X}-{value.count}" if isinstance(value, IpmiFault) else "",
)
@pytest.mark.parametrize("sensor", [True, False], ids=["sensor", "alone"])
async def test_awkward_bmcs(endpoint, fault, sensor, with_sensor, without_sensor):
    """Each fault gives the value or none with its reason, with and without a sensor to fall back to."""
    controller = ControllerSettings() if sensor else NO_SENSORS
    async with polling(endpoint, controller=controller) as (bmc, reader):
        bmc.server.inject(fault)
        poll = await reader.poll()
        watts, error = with_sensor if sensor else without_sensor
        assert (watts_of(poll), poll.error, poll.host) == (watts, error, {None: "on"})


@pytest.mark.parametrize("kind", ["sensor_unavailable", "sensor_scanning_off"])
async def test_a_sensor_without_reading_is_not_zero(endpoint, kind):
    """The bits of Get Sensor Reading mean no value."""
    async with polling(endpoint, controller=ControllerSettings(dcmi=False)) as (bmc, reader):
        bmc.server.inject(IpmiFault(kind))
        poll = await reader.poll()
        assert (watts_of(poll), poll.error) == (None, "no_reading")


@pytest.mark.e2e
async def test_a_big_slow_repository(endpoint):
    """300 records at 20 ms each: a reading after several polls, which take some 6 s; then one request."""
    sensors = (*temperature_sensors(299), SdrSensor("Pwr Consumption", number=254))
    controller = ControllerSettings(dcmi=False, sensors=sensors, sdr_latency_s=0.02)
    async with polling(endpoint, controller=controller) as (_, reader):
        begun = time.monotonic()
        async with asyncio.timeout(120):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(4):  # a poll that is shorter than the walk
                        poll = await reader.poll()
                    break
        assert time.monotonic() - begun < 60
        assert watts_of(poll) == 216.0
        assert (await reader.poll()).requests == 1


async def test_a_non_linear_sensor_asks_for_the_factors_of_each_new_value_once(endpoint):
    """Below and above the knee of the simulated sensor; a value seen before costs one request."""
    sensor = SdrSensor("Pwr Consumption", m=1, non_linear=True)
    async with polling(endpoint, controller=ControllerSettings(dcmi=False, sensors=(sensor,))) as (
        bmc,
        reader,
    ):
        for power_w, requests in [(100.0, None), (100.0, 1), (403.0, 2), (100.0, 1), (403.0, 1)]:
            bmc.meter.power_w = power_w
            poll = await reader.poll()
            assert watts_of(poll) == power_w
            assert poll.readings[0].quantum_w is None
            # A fall of the power has the host's state looked at.
            assert requests is None or poll.requests - requests in {0, 1}


async def test_a_satellite_beyond_channel_0_is_asked(endpoint):
    """`bridge = "6/0x2c"`: DCMI and sensors of the controller at 2Ch on channel 6."""
    satellite = ControllerSettings(address=0x2C, channel=6, manufacturer=343, share=0.5)
    board = ControllerSettings(bridged=(satellite,))
    async with polling(endpoint, controller=board, options={"bridge": "6/0x2c"}) as (_, reader):
        assert watts_of(await reader.poll()) == 108.0
        assert [one.watts for one in await reader.survey()] == [108.0, 108.0]


async def test_a_satellite_behind_a_satellite_is_asked(endpoint):
    """`bridge = "0x82:7/0x72"`: the sensors of the module 72h on channel 7 of the carrier 82h."""
    module = ControllerSettings(address=0x72, channel=7, dcmi=False, share=0.5)
    carrier = ControllerSettings(address=0x82, dcmi=False, sensors=(), bridged=(module,))
    board = ControllerSettings(bridged=(carrier,))
    async with polling(endpoint, controller=board, options={"bridge": "0x82:7/0x72"}) as (_, reader):
        poll = await reader.poll()
        assert (watts_of(poll), poll.source) == (108.0, "sdr")
        assert (await reader.poll()).requests == 1


async def test_the_survey_shows_what_each_source_says_or_lacks(endpoint):
    """A refusal, a value, an absent sensor: side by side, each with its reason."""
    sensors = (SdrSensor("Pwr Consumption"), SdrSensor("PS2 Input Power", available=False))
    async with polling(endpoint, controller=ControllerSettings(dcmi=False, sensors=sensors)) as (_, reader):
        await reader.poll()
        found = {one.name.partition(" (")[0]: one for one in await reader.survey()}
    assert found["DCMI"].reason == "unsupported"
    assert "C1h" in found["DCMI"].why
    assert found["sensor 'Pwr Consumption'"].watts == 216.0
    assert found["sensor 'PS2 Input Power'"].reason == "no_reading"
    assert found["Intel Node Manager"].reason == "unsupported"


async def test_the_survey_of_a_dead_bmc_says_so(endpoint):
    """Each source with the reason; nothing hangs."""
    async with polling(endpoint, options={"timeout_s": 1.0}) as (bmc, reader):
        await reader.poll()
        bmc.server.inject(IpmiFault("silent"))
        with pytest.raises(BmcError) as caught:
            await reader.survey()
        assert caught.value.reason == "timeout"


async def test_the_suite_that_worked_is_remembered_and_tried_first(endpoint):
    """A BMC with suite 3 only costs the refused open session once; a changed one is found again."""
    facts = {}
    bmc = await start_bmc(suites=(3,))
    for _ in range(2):
        reader = reader_of(endpoint, bmc.port, facts=facts)
        assert watts_of(await reader.poll()) == 216
        await reader.close()
    assert facts["ipmi"]["suite"] == 3
    assert bmc.server.stats()["refused"] == 1
    await bmc.server.close()
    updated = await start_bmc(suites=(17,))
    reader = reader_of(endpoint, updated.port, facts=facts)
    assert watts_of(await reader.poll()) == 216
    assert facts["ipmi"]["suite"] == 17
    await reader.close()
    await updated.server.close()
