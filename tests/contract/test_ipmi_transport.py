"""The contract of `energyrecorder_execd.readers.ipmi.transport`, held against both transports.

The counterparts are Debian's ipmi_sim, which is independent C code, and the simulated BMC, which is written
from the specification without knowledge of our client.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from energyrecorder.errors import BmcAuthError, BmcError, BmcUnreachableError
from energyrecorder.secret import Secret
from energyrecorder_bmcsim.ipmi.server import ControllerSettings, IpmiFault
from energyrecorder_execd.readers.ipmi import IpmiEndpoint
from energyrecorder_execd.readers.ipmi.transport import Bridge, CompletionCodeError, Login
from support import ipmi_bmc, ipmi_sim
from support.ipmi_bmc import start_bmc

GET_DEVICE_ID = (0x06, 0x01)
GET_CHASSIS_STATUS = (0x00, 0x01)
DCMI_POWER = (0x2C, 0x02, bytes.fromhex("dc010000"))
UNKNOWN_COMMAND = (0x06, 0x7F)


@pytest.fixture(params=["lanplus", "pyghmi"])
def kind(request):
    return request.param


@pytest.fixture
async def bmc():
    running = await start_bmc()
    yield running
    await running.server.close()


@pytest.fixture
async def connect(kind, bmc):
    """Return a function that makes a transport of the kind under test; all are closed before the BMC is."""
    endpoint = IpmiEndpoint()
    made = []

    def make(login, facts=None):
        made.append(endpoint.transport(kind, login, {} if facts is None else facts))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()
    endpoint.close()


@contextlib.asynccontextmanager
async def another_bmc(**settings):
    running = await start_bmc(**settings)
    try:
        yield running
    finally:
        await running.server.close()


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    running = ipmi_sim.IpmiSim(tmp_path_factory.mktemp("ipmi_sim"))
    running.start()
    yield running
    running.stop()


def sim_login(sim):
    return Login("127.0.0.1", sim.port, ipmi_sim.USER, Secret(ipmi_sim.PASSWORD), timeout_s=20.0)


async def refused(transport):
    with pytest.raises(BmcError) as caught:
        await transport.open()
    return caught.value


async def test_equal_log_ins_have_sessions_of_their_own(connect, bmc):
    """Two satellites of one BMC are two transports: neither waits for the other, nor ends with it."""
    one, other = connect(bmc.login()), connect(bmc.login())
    async with asyncio.timeout(60):
        await asyncio.gather(one.open(), other.open())
        await asyncio.gather(*(each.request(*GET_DEVICE_ID) for each in (one, other) for _ in range(5)))
        await one.close()
        await other.request(*GET_DEVICE_ID)
    assert (one.log_ins, other.log_ins) == (1, 1)


async def test_ipmi_sim_is_read(connect, sim):
    """OpenIPMI's simulator refuses suite 17 with status 04h, answers suite 3, and has no DCMI."""
    transport = connect(sim_login(sim))
    data = await transport.request(*GET_DEVICE_ID)
    assert int.from_bytes(data[6:9], "little") == ipmi_sim.MANUFACTURER
    assert (transport.log_ins, transport.requests > 3) == (1, True)
    with pytest.raises(CompletionCodeError) as caught:
        await transport.request(*DCMI_POWER)
    assert caught.value.code in {0xC1, 0xD4}


@pytest.mark.parametrize("suites", [(17, 3), (3,), (17,)])
async def test_a_simulated_bmc_is_read(connect, suites):
    """Both suites, alone and together."""
    async with another_bmc(suites=suites) as bmc:
        transport = connect(bmc.login())
        data = await transport.request(*GET_DEVICE_ID)
        assert int.from_bytes(data[6:9], "little") == 674
        assert (await transport.request(*DCMI_POWER))[:3] == bytes((0xDC, 216, 0))
        assert bmc.server.stats()["log_ins"] == 1


async def test_suite_3_can_be_forced(connect, bmc):
    """A BMC that offers 17 is spoken to with 3 when only 3 is allowed."""
    transport = connect(bmc.login(suites=(3,)))
    assert (await transport.request(*GET_CHASSIS_STATUS))[0] & 1


@pytest.mark.parametrize("change", [{"password": Secret("wrong")}, {"user": "nobody"}])
async def test_a_refused_log_in_is_one_attempt(connect, bmc, change):
    """A wrong password and an unknown user are `auth`; the BMC counts one refusal."""
    error = await refused(connect(bmc.login(**change)))
    assert isinstance(error, BmcAuthError)
    assert error.reason == "auth"
    # A log-in that works: the refusal left nothing behind, and all earlier datagrams have been looked at.
    assert await connect(bmc.login()).request(*GET_DEVICE_ID)
    assert bmc.server.stats()["refused"] <= 1
    assert bmc.server.stats()["log_ins"] == 1


async def test_more_privilege_than_the_account_has_is_told(connect):
    """The level is never raised by itself, and asking for too much is `privilege`."""
    async with another_bmc(privilege_limit=2) as bmc:
        error = await refused(connect(bmc.login(privilege=4)))
        assert isinstance(error, BmcAuthError)
        assert error.reason == "privilege"
        assert await connect(bmc.login(privilege=2)).request(*GET_DEVICE_ID)


async def test_no_free_session_is_told(connect, bmc):
    """A BMC without a free session is `session_limit`."""
    bmc.server.inject(IpmiFault("slots_full"))
    assert (await refused(connect(bmc.login()))).reason == "session_limit"


async def test_silence_ends_within_the_deadline(connect):
    """Nobody there is `timeout`, told by the transport itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        login = Login("127.0.0.1", silent.getsockname()[1], "monitor", Secret("x"), timeout_s=2.0)
        async with asyncio.timeout(60):
            error = await refused(connect(login))
    assert isinstance(error, BmcUnreachableError)
    assert error.reason == "timeout"


async def test_a_name_that_does_not_resolve_is_unreachable(connect):
    """No foreign exception for a wrong host name."""
    error = await refused(connect(Login("no-such-host.invalid", 623, "u", Secret("p"), timeout_s=2.0)))
    assert isinstance(error, BmcUnreachableError)


async def test_a_completion_code_is_told(connect, bmc):
    """What the BMC refuses carries its code; the session goes on."""
    transport = connect(bmc.login())
    with pytest.raises(CompletionCodeError) as caught:
        await transport.request(*UNKNOWN_COMMAND)
    assert caught.value.code == 0xC1
    assert caught.value.reason == "unsupported"
    assert await transport.request(*GET_DEVICE_ID)
    assert transport.log_ins == 1


async def test_a_cancelled_request_leaves_the_transport_usable(connect, bmc):
    """The loop's deadline cancels a request; the next one works, on the same or a new session."""
    transport = connect(bmc.login())
    await transport.open()
    silence = IpmiFault("silent")
    bmc.server.inject(silence)
    waiting = asyncio.create_task(transport.request(*GET_DEVICE_ID))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    silence.end_ns = 0
    async with asyncio.timeout(60):
        while True:  # pyghmi may need a second attempt
            with contextlib.suppress(BmcUnreachableError):
                assert await transport.request(*GET_DEVICE_ID)
                break


async def test_a_bmc_that_forgot_the_session_is_logged_in_to_again(connect, bmc):
    """After the restart of a BMC one request costs one new log-in and succeeds."""
    transport = connect(bmc.login())
    await transport.request(*GET_DEVICE_ID)
    reboot = IpmiFault("bmc_reboot")
    bmc.server.inject(reboot)
    reboot.count = 0
    assert await transport.request(*GET_DEVICE_ID)
    assert transport.log_ins == 2


async def test_close_ends_the_session_and_may_be_repeated(connect, bmc):
    """No session stays behind; closing again, or without a session, is harmless."""
    transport = connect(bmc.login())
    await transport.request(*GET_DEVICE_ID)
    assert bmc.server.stats()["live_sessions"] == 1
    await transport.close()
    assert bmc.server.stats()["live_sessions"] == 0
    await transport.close()
    assert await transport.request(*GET_DEVICE_ID), "a closed transport opens again"


async def test_close_does_not_wait_for_a_dead_bmc(connect, bmc):
    """A BMC that is gone delays the end by a second or so; the bound is for a busy machine."""
    transport = connect(bmc.login())
    await transport.open()
    bmc.server.inject(IpmiFault("silent"))
    begun = time.monotonic()
    await transport.close()
    assert time.monotonic() - begun < 20


async def test_a_downgrade_is_never_accepted_silently(connect, kind, bmc):
    """SHA-1 in answer to SHA-256: we propose suite 3, or tell an error; `struct.error` does not escape."""
    bmc.server.inject(IpmiFault("suite_downgrade"))
    transport = connect(bmc.login())
    if kind == "pyghmi":
        assert (await refused(transport)).reason in {"protocol", "timeout"}
    else:
        assert await transport.request(*GET_DEVICE_ID)
    error = await refused(connect(bmc.login(suites=(17,))))
    assert not isinstance(error, BmcAuthError)


async def test_a_bmc_that_does_not_know_the_password_is_not_believed(connect, bmc):
    """RAKP message 2 with a wrong code is `auth`: wrong password, or not the BMC."""
    bmc.server.inject(IpmiFault("rakp2_code_wrong"))
    assert (await refused(connect(bmc.login()))).reason == "auth"


async def test_kg_is_used_and_checked(connect):
    """Two-key log-in works with the right key only; the BMC's refusal of a wrong one is `auth`."""
    kg = "a-key-of-twenty-byte"
    async with another_bmc(kg=kg.encode()) as bmc:
        assert await connect(bmc.login(kg=Secret(kg))).request(*GET_DEVICE_ID)
        error = await refused(connect(bmc.login(kg=Secret("another-key-of-bytes"))))
        assert (type(error), error.reason) == (BmcAuthError, "auth")


@pytest.mark.parametrize("style", ["forwarded", "inline"])
async def test_a_satellite_is_reached_through_the_bmc(connect, style):
    """A bridged request is answered by the satellite, in both forms that BMCs use."""
    satellite = ControllerSettings(address=0x82, manufacturer=343, share=0.5)
    board = ControllerSettings(bridged=(satellite,))
    async with another_bmc(controller=board, bridge_style=style) as bmc:
        transport = connect(bmc.login())
        data = await transport.request(*GET_DEVICE_ID, bridge=Bridge(0x82))
        assert int.from_bytes(data[6:9], "little") == 343
        assert (await transport.request(*DCMI_POWER, bridge=Bridge(0x82)))[:3] == bytes((0xDC, 108, 0))
        assert (await transport.request(*DCMI_POWER))[:3] == bytes((0xDC, 216, 0))
        for request, address, code in ((GET_DEVICE_ID, 0x84, 0x83), (UNKNOWN_COMMAND, 0x82, 0xC1)):
            with pytest.raises(CompletionCodeError) as caught:
                await transport.request(*request, bridge=Bridge(address))
            assert caught.value.code == code


@pytest.mark.parametrize("style", ["forwarded", "inline"])
async def test_a_satellite_behind_a_satellite_answers(connect, kind, style):
    """Two Send Messages, one in the other; pyghmi has no such thing and says so without a request."""
    module = ControllerSettings(address=0x72, channel=7, manufacturer=343, share=0.25)
    carrier = ControllerSettings(address=0x82, share=0.5, bridged=(module,))
    async with another_bmc(controller=ControllerSettings(bridged=(carrier,)), bridge_style=style) as bmc:
        transport = connect(bmc.login())
        way = Bridge(0x72, 7, via=Bridge(0x82))
        if kind == "pyghmi":
            with pytest.raises(BmcError, match="it bridges once") as caught:
                await transport.request(*DCMI_POWER, bridge=way)
            assert (caught.value.reason, transport.requests) == ("unsupported", 0)
            return
        assert (await transport.request(*DCMI_POWER, bridge=way))[:3] == bytes((0xDC, 54, 0))
        assert (await transport.request(*DCMI_POWER, bridge=Bridge(0x82)))[:3] == bytes((0xDC, 108, 0))
        for nowhere in (Bridge(0x74, 7, via=Bridge(0x82)), Bridge(0x72, 7, via=Bridge(0x84))):
            with pytest.raises(CompletionCodeError) as refusal:
                await transport.request(*DCMI_POWER, bridge=nowhere)
            assert refusal.value.code == 0x83


async def test_two_bmcs_are_not_mixed_up(connect, bmc):
    """Same maker, firmware and account, other port: each answers for itself, also at the same time."""
    async with another_bmc() as other:
        other.meter.power_w = 100.0
        one, two = connect(bmc.login()), connect(other.login())
        for _ in range(5):
            first, second = await asyncio.gather(one.request(*DCMI_POWER), two.request(*DCMI_POWER))
            assert (first[1], second[1]) == (216, 100)


async def test_credentials_too_long_for_ipmi_are_told_without_an_attempt(connect, bmc):
    """21 bytes of password are a mistake of ours, not a refusal that counts."""
    error = await refused(connect(bmc.login(password=Secret("x" * 21))))
    assert error.reason == "unsupported"
    assert bmc.server.stats()["refused"] == 0


async def test_stdout_belongs_to_line_protocol(connect, bmc, capfd):
    """Neither success nor failure prints a byte to stdout, and no secret anywhere."""
    await connect(bmc.login()).request(*GET_DEVICE_ID)
    await refused(connect(bmc.login(password=Secret("wrong"))))
    out, err = capfd.readouterr()
    assert out == ""
    assert ipmi_bmc.PASSWORD not in err
