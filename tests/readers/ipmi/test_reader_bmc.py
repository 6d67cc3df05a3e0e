"""The whole reader against BMCs on loopback: simulated ones with faults and a bad network, and ipmi_sim."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time

import pytest

from energyrecorder.clock import wall_ns
from energyrecorder.errors import BmcError
from energyrecorder.secret import Secret
from energyrecorder_bmcsim.ipmi.proxy import UdpProxy, Weather
from energyrecorder_bmcsim.ipmi.server import ControllerSettings, IpmiFault
from energyrecorder_bmcsim.ipmi.settings import SdrSensor, temperature_sensors
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.ipmi import IpmiEndpoint, IpmiReader
from energyrecorder_execd.readers.ipmi.lanplus import Endpoint, LanplusTransport
from support import ipmi_bmc, ipmi_sim
from support.ipmi_bmc import start_bmc

NO_SENSORS = ControllerSettings(sensors=())
MS_NS = 1_000_000


@pytest.fixture
async def endpoint():
    shared = IpmiEndpoint()
    yield shared
    shared.close()


def reader_of(endpoint, port, *, user=ipmi_bmc.USER, password=ipmi_bmc.PASSWORD, facts=None, **options):
    timeout_s = options.pop("timeout_s", 8.0)
    target = Target(
        "node-1", "127.0.0.1", port, "https", user, Secret(password), timeout_s=timeout_s, options=options
    )
    memory = Memory({} if facts is None else facts)
    return IpmiReader(target, Context(memory, wall_ns), endpoint)


@contextlib.asynccontextmanager
async def polling(endpoint, *, weather=None, options=None, **settings):
    """Run a BMC, behind a bad network if wanted, and a reader of it."""
    bmc = await start_bmc(**settings)
    proxy = None if weather is None else UdpProxy(bmc.port, weather, seed=7)
    reader = reader_of(endpoint, bmc.port if proxy is None else await proxy.start(), **(options or {}))
    try:
        yield bmc, reader
    finally:
        await reader.close()
        if proxy is not None:
            await proxy.close()
        await bmc.server.close()


def watts_of(poll):
    return poll.readings[0].watts if poll.readings else None


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


@pytest.mark.parametrize(
    ("weather", "polls"),
    [
        (Weather(loss=0.1), 20),
        pytest.param(Weather(loss=0.3), 12, marks=pytest.mark.e2e),
        (Weather(delay_s=0.2), 3),
        (Weather(duplicate=0.5), 20),
        (Weather(reorder=0.3, jitter_s=0.01), 20),
        (Weather(loss=0.1, duplicate=0.2, reorder=0.2, jitter_s=0.02), 12),
    ],
    ids=["loss 10 %", "loss 30 %", "0.4 s there and back", "duplicates", "reordering", "all"],
)
async def test_a_bad_network(endpoint, weather, polls):
    """Polls end, most of them with a value, none with a false one."""
    async with polling(endpoint, weather=weather) as (bmc, reader):
        good = 0
        for number in range(polls):
            bmc.meter.power_w = 200.0 + 4 * number
            with contextlib.suppress(BmcError, TimeoutError):
                async with asyncio.timeout(30.0):
                    poll = await reader.poll()
                assert watts_of(poll) == bmc.meter.power_w
                good += 1
        assert good >= 0.8 * polls


async def test_a_restarted_bmc_is_read_at_once_when_it_answers_again(endpoint):
    """Sessions forgotten and silence for two seconds: the reading comes soon, `make bench` says how soon."""
    async with polling(endpoint) as (bmc, reader):
        await reader.poll()
        silent_until_ns = time.time_ns() + 2000 * MS_NS
        bmc.server.inject(IpmiFault("bmc_reboot", start_ns=time.time_ns(), end_ns=silent_until_ns))
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(BmcError, TimeoutError):
                    async with asyncio.timeout(8):
                        poll = await reader.poll()
                    break
        assert watts_of(poll) == 216
        assert time.time_ns() - silent_until_ns < 20_000 * MS_NS


async def test_short_deadlines_do_not_keep_a_dead_session_alive(endpoint):
    """With a deadline shorter than our patience, polls still find out that the BMC forgot the session."""
    async with polling(endpoint, options={"timeout_s": 0.5}) as (bmc, reader):
        await reader.poll()
        bmc.server.inject(IpmiFault("bmc_reboot", start_ns=time.time_ns(), end_ns=time.time_ns() + MS_NS))
        outcomes = []
        async with asyncio.timeout(60):
            while 216 not in outcomes:
                with contextlib.suppress(BmcError, TimeoutError):
                    async with asyncio.timeout(0.5):
                        outcomes.append(watts_of(await reader.poll()))
        assert reader.log_ins == 2


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


async def test_garbage_and_foreign_packets_change_nothing(endpoint):
    """5,000 seeded datagrams at our own socket, cut, flipped, replayed, and from a stranger: values go on."""
    async with polling(endpoint) as (bmc, reader):
        await reader.poll()
        dice = random.Random(5)
        sock = endpoint._lanplus._sockets[socket.AF_INET]
        ours = ("127.0.0.1", sock.getsockname()[1])
        session = reader._transport._session
        heads = [
            b"",
            b"\x06\x00\xff\x07",
            b"\x06\x00\xff\x07\x06\xc0" + session.local_id.to_bytes(4, "little"),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(5000):
                datagram = dice.choice(heads) + dice.randbytes(dice.randrange(60))
                if number % 2:
                    stranger.sendto(datagram, ours)
                else:
                    bmc.server._transport.sendto(datagram, ours)  # from the BMC's own address
                if number % 500 == 0:
                    bmc.meter.power_w = 200.0 + number // 100
                    assert watts_of(await reader.poll()) == bmc.meter.power_w
        assert endpoint._lanplus.strangers > 0
        assert reader._transport.log_ins == 1


async def test_a_bmc_that_answers_for_another_is_not_heard(endpoint):
    """Two sessions on one socket: packets of one BMC with the session id of the other are dropped."""
    async with polling(endpoint) as (_, first), polling(endpoint) as (two, second):
        two.meter.power_w = 100.0
        await first.poll()
        await second.poll()
        ours = ("127.0.0.1", endpoint._lanplus._sockets[socket.AF_INET].getsockname()[1])
        heard = []
        first._transport._channel._receiver = heard.append
        stolen = b"\x06\x00\xff\x07\x06\xc0" + first._transport._session.local_id.to_bytes(4, "little")
        two.server._transport.sendto(stolen + bytes(40), ours)
        assert watts_of(await second.poll()) == 100.0
        assert heard == []
        assert watts_of(await first.poll()) == 216


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


async def test_many_bmcs_share_one_socket(endpoint):
    """64 BMCs log in at once and are read over a single socket, each with its own value."""
    running = [await start_bmc() for _ in range(64)]
    readers = [reader_of(endpoint, bmc.port) for bmc in running]
    try:
        for number, bmc in enumerate(running):
            bmc.meter.power_w = 100.0 + number
        polls = await asyncio.gather(*(reader.poll() for reader in readers))
        assert [watts_of(poll) for poll in polls] == [100.0 + number for number in range(64)]
        assert len(endpoint._lanplus._sockets) == 1
        await asyncio.gather(*(reader.close() for reader in readers))
        assert all(bmc.server.stats()["live_sessions"] == 0 for bmc in running)
    finally:
        for bmc in running:
            await bmc.server.close()


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


async def test_an_idle_session_is_kept_alive(monkeypatch):
    """Polled less often than sessions last, a BMC is not logged in to each time."""
    monkeypatch.setattr("energyrecorder_execd.readers.ipmi.lanplus.client._KEEPALIVE_S", 0.2)
    monkeypatch.setattr("energyrecorder_execd.readers.ipmi.lanplus.client._LEAST_KEEPALIVE_S", 0.05)
    bmc = await start_bmc()
    endpoint = Endpoint()
    transport = LanplusTransport(bmc.login(), endpoint, {})
    await transport.request(0x06, 0x01)
    begun_s, before = time.monotonic(), bmc.server.stats()["requests"]
    async with asyncio.timeout(60):
        while bmc.server.stats()["requests"] < before + 3:  # noqa: ASYNC110  # a count has no event
            await asyncio.sleep(0.05)
    elapsed_s = time.monotonic() - begun_s
    assert elapsed_s >= 3 * 0.2 * 0.9
    assert await transport.request(0x06, 0x01)
    assert transport.log_ins == 1
    await transport.close()
    endpoint.close()
    await bmc.server.close()
