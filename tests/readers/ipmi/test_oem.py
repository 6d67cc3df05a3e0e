"""Power and energy by commands of single makers: Intel Node Manager and Lenovo's energy counters."""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import replace

import pytest
from pyghmi.exceptions import IpmiException
from pyghmi.ipmi.oem.lenovo.energy import EnergyManager

from energyrecorder.clock import wall_ns
from energyrecorder.errors import BmcUnreachableError
from energyrecorder_bmcsim.ipmi.server import ControllerSettings
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.ipmi import IpmiEndpoint, IpmiReader
from energyrecorder_execd.readers.ipmi.device import Device
from energyrecorder_execd.readers.ipmi.lenovo_energy import EnergyCounter
from energyrecorder_execd.readers.ipmi.node_manager import NodeManagerSource
from energyrecorder_execd.readers.ipmi.transport import CompletionCodeError
from support.ipmi_bmc import PASSWORD, USER, start_bmc
from support.ipmi_script import ScriptedTransport
from support.tools import need

NOTHING = ControllerSettings(dcmi=False, sensors=(), manufacturer=10876)
NODE_MANAGER = ControllerSettings(
    address=0x2C, channel=6, dcmi=False, sensors=(), node_manager=True, manufacturer=343
)
BOARD = replace(NOTHING, bridged=(NODE_MANAGER,))
LENOVO = ControllerSettings(manufacturer=19046, lenovo_energy=True)
SUPERMICRO, LENOVO_BMC = Device(10876, 1, "1.0", ""), Device(19046, 1, "1.0", "")
STATISTICS = (0x2E, 0xC8)
FIND, READ = (0x2E, 0x82), (0x2E, 0x81)
# By hand from FreeIPMI's template: 310 W now, 200 to 400, mean 300, period 60 s, domain 0, all bits set.
ANSWER = bytes.fromhex("570100 3601 c800 9001 2c01 00000060 3c000000 f0")


async def poll_once(bmc, facts=None, polls=1):
    endpoint = IpmiEndpoint()
    target = Target("n", "127.0.0.1", bmc.port, "https", USER, bmc.login().password)
    reader = IpmiReader(target, Context(Memory({} if facts is None else facts), wall_ns), endpoint)
    try:
        return [await reader.poll() for _ in range(polls)][-1]
    finally:
        await reader.close()
        endpoint.close()


@pytest.mark.parametrize("style", ["forwarded", "inline"])
async def test_node_manager_is_read_where_nothing_else_tells(style):
    """No DCMI and no sensor: the bridged statistics are the power, remembered, one request per poll."""
    bmc = await start_bmc(controller=BOARD, bridge_style=style)
    facts = {}
    poll = await poll_once(bmc, facts, polls=2)
    reading = poll.readings[0]
    assert (reading.watts, reading.source, poll.error, poll.requests) == (216.0, "oem", "", 1)
    assert facts["ipmi"]["node_manager"]["place"] == [0x2C, 6]
    await bmc.server.close()


async def test_without_a_node_manager_the_bmc_is_asked_once():
    """A refusal is remembered across restarts, and the poll says what is missing."""
    bmc = await start_bmc(controller=NOTHING)
    facts = {}
    poll = await poll_once(bmc, facts)
    assert (poll.readings, poll.error) == ((), "unsupported")
    assert facts["ipmi"]["node_manager"]["place"] is None
    await bmc.server.close()


async def test_ipmitool_decodes_the_same_statistics():
    """An independent reader of the simulated Node Manager."""
    command = [need("ipmitool"), "-I", "lanplus", "-H", "127.0.0.1", "-U", USER, "-P", PASSWORD]
    bmc = await start_bmc(controller=BOARD)
    command += ["-p", str(bmc.port), "-b", "6", "-t", "0x2c"]
    command += ["nm", "statistics", "power", "domain", "platform"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False
    )
    await bmc.server.close()
    assert "216 Watts" in done.stdout, done


@pytest.mark.parametrize(
    ("answer", "watts", "why"),
    [
        (ANSWER, 310.0, ""),
        (ANSWER[:-1] + b"\xb0", None, "suspended"),
    ],
)
async def test_the_bytes_of_node_manager(answer, watts, why):
    """Current, minimum, maximum and average; a suspended measurement is no value."""
    transport = ScriptedTransport()
    transport.answers[STATISTICS] = answer
    power = await NodeManagerSource(transport, {}, wall_ns).read(SUPERMICRO)
    assert power.watts == watts
    assert why in power.why
    if watts:
        assert (power.min_w, power.max_w, power.avg_w) == (200.0, 400.0, 300.0)


@pytest.mark.parametrize("answer", [ANSWER[:-1], b"", b"\x66\x4a\x00" + ANSWER[3:]])
async def test_other_bytes_are_no_reading(answer):
    """Short answers and those of another maker are told, not decoded."""
    transport = ScriptedTransport()
    transport.answers[STATISTICS] = answer
    with pytest.raises(Exception, match="Node Manager") as caught:
        await NodeManagerSource(transport, {}, wall_ns).read(SUPERMICRO)
    assert caught.value.reason == "data"


async def test_silence_behind_the_bmc_is_met_once():
    """A lost bridged answer costs a log-in: it is not asked for again until the firmware changes."""
    transport = ScriptedTransport()
    transport.answers[STATISTICS] = BmcUnreachableError("no answer", reason="timeout")
    facts = {}
    for _ in range(3):
        with pytest.raises(Exception, match="no answer behind") as caught:
            await NodeManagerSource(transport, facts, wall_ns).read(SUPERMICRO)
        assert caught.value.reason == "unsupported"
    assert transport.requests == 2


async def test_a_missing_right_is_told_as_such():
    """D4h on the bridged request is `privilege`, and is asked again another day."""
    transport = ScriptedTransport()
    transport.answers[STATISTICS] = 0xD4
    with pytest.raises(CompletionCodeError) as caught:
        await NodeManagerSource(transport, {}, wall_ns).read(SUPERMICRO)
    assert caught.value.reason == "privilege"


async def test_lenovo_energy_is_a_counter_in_joules():
    """It stands beside the watts, once a minute, and grows with the power."""
    bmc = await start_bmc(controller=LENOVO)
    begun_ns = time.time_ns()
    first = await poll_once(bmc)
    between_ns = time.time_ns()
    await asyncio.sleep(0.5)
    until_ns = time.time_ns()
    later = await poll_once(bmc, polls=1)
    grown_j = later.readings[0].energy_counter_j - first.readings[0].energy_counter_j
    # Each counter was read at some moment of its poll.
    assert 216e-9 * (until_ns - between_ns) - 0.01 <= grown_j <= 216e-9 * (time.time_ns() - begun_ns) + 0.01
    again = await poll_once(bmc, polls=2)
    assert again.readings[0].energy_counter_j is None
    await bmc.server.close()


@pytest.mark.parametrize(("ac", "expected"), [(True, 12.345), (False, 6.789)])
async def test_the_counter_is_the_one_that_pyghmi_reads(ac, expected):
    """The same bytes to both: AC side if there is one, else DC; millijoules, most significant byte first."""

    def read(data, **_):
        if data[6] == 1 and not ac:
            return 0xCB
        return b"\x66\x4a\x00" + (12345 if data[6] == 1 else 6789).to_bytes(8, "big")

    transport = ScriptedTransport()
    transport.answers[FIND] = lambda data, **_: (
        bytes.fromhex("664a00 00 0209 05") if data[:3] == b"\x66\x4a\x00" else 0xC1
    )
    transport.answers[READ] = read
    assert await EnergyCounter(transport, wall_ns).read(LENOVO_BMC) == expected
    if ac:
        theirs = EnergyManager(_Pyghmi(transport.answers))
        assert theirs.get_ac_energy(_Pyghmi(transport.answers)) * 3.6e6 == pytest.approx(expected)


class _Pyghmi:
    """What pyghmi's handler talks to, answered from the same table."""

    def __init__(self, answers):
        self._answers = answers

    def xraw_command(self, *, netfn, command, data):
        answer = self._answers.get((netfn, command), 0xC1)
        answer = answer(bytes(data)) if callable(answer) else answer
        if isinstance(answer, int):
            raise IpmiException(code=answer)
        return {"data": answer}


async def test_a_server_without_counters_is_asked_once():
    """Refusals of both makers' commands end the matter until the firmware changes."""
    transport = ScriptedTransport()
    counter = EnergyCounter(transport, lambda: 0)
    assert await counter.read(LENOVO_BMC) is None
    assert transport.requests == 2
    counter._read_ns = None
    assert await counter.read(LENOVO_BMC) is None
    assert transport.requests == 2
