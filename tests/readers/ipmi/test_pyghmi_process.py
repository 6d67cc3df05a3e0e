"""pyghmi in its own process: among many open files, after its end, and with its prints and secrets."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from pathlib import Path

import pytest

from energyrecorder.errors import BmcError
from energyrecorder.secret import Secret
from energyrecorder_bmcsim.ipmi.server import IpmiFault
from energyrecorder_execd.readers.ipmi import IpmiEndpoint
from energyrecorder_execd.readers.ipmi.pyghmi_wire import as_error, as_login, from_error, from_login
from energyrecorder_execd.readers.ipmi.transport import CompletionCodeError, Login
from support.ipmi_bmc import PASSWORD, start_bmc

GET_DEVICE_ID = (0x06, 0x01)


@pytest.fixture
async def bmc():
    running = await start_bmc()
    yield running
    await running.server.close()


@pytest.fixture
def many_files():
    """Open files up to numbers that `select()` cannot take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1200)]
    yield held
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("kind", ["lanplus", "pyghmi"])
async def test_ten_bmcs_among_1200_open_files(endpoint, many_files, kind):
    """As beside 1,200 Redfish connections: every new file number is beyond what `select()` takes."""
    assert max(many_files) > 1023
    bmcs = [await start_bmc() for _ in range(10)]
    transports = [endpoint.transport(kind, bmc.login(timeout_s=60.0), {}) for bmc in bmcs]
    answers = await asyncio.gather(*(one.request(*GET_DEVICE_ID) for one in transports))
    assert all(answers)
    for one in transports:
        await one.close()
    assert [bmc.server.stats()["live_sessions"] for bmc in bmcs] == [0] * 10
    for bmc in bmcs:
        await bmc.server.close()


async def test_a_process_that_ended_is_started_again(endpoint, bmc):
    """Who waits is told; the next request logs in anew, and the counts go on."""
    transport = endpoint.transport("pyghmi", bmc.login(timeout_s=60.0), {})
    await transport.request(*GET_DEVICE_ID)
    before = transport.requests
    child = endpoint._pyghmi.child()
    silence = IpmiFault("silent")
    bmc.server.inject(silence)
    waiting = asyncio.create_task(transport.request(*GET_DEVICE_ID))
    while not child._asked:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.01)
    child._process.kill()
    with pytest.raises(BmcError, match="the pyghmi process has ended"):
        await waiting
    silence.end_ns = 0
    assert await transport.request(*GET_DEVICE_ID)
    assert endpoint._pyghmi.child() is not child
    assert transport.log_ins == 2
    assert transport.requests > before


async def test_no_process_stays_behind(bmc):
    """The end of the endpoint is the end of the process."""
    endpoint = IpmiEndpoint()
    await endpoint.transport("pyghmi", bmc.login(timeout_s=60.0), {}).request(*GET_DEVICE_ID)
    process = endpoint._pyghmi.child()._process
    endpoint.close()
    assert process.returncode is not None


async def test_without_a_bmc_for_pyghmi_there_is_no_process(endpoint, bmc):
    """The default transport needs none."""
    transport = endpoint.transport("lanplus", bmc.login(timeout_s=60.0), {})
    assert await transport.request(*GET_DEVICE_ID)
    assert endpoint._pyghmi._child is None
    await transport.close()


async def test_no_secret_stands_in_the_arguments_or_the_environment(endpoint, bmc):
    """The account goes through a pipe."""
    transport = endpoint.transport("pyghmi", bmc.login(timeout_s=60.0), {})
    await transport.request(*GET_DEVICE_ID)
    folder = Path("/proc") / str(endpoint._pyghmi.child()._process.pid)
    for name in ("cmdline", "environ"):
        assert PASSWORD.encode() not in (folder / name).read_bytes()
    await transport.close()


async def test_what_the_process_prints_is_logged(endpoint, caplog):
    """A wrong module name stands for any trouble: its text is in the log, and the error is ours."""
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr("energyrecorder_execd.readers.ipmi.pyghmi_process._MODULE", "no_such_module_of_ours")
        transport = endpoint.transport("pyghmi", Login("127.0.0.1", 9, "u", Secret("p"), timeout_s=60.0), {})
        with pytest.raises(BmcError, match="the pyghmi process has ended"):
            await transport.open()
    assert "no_such_module_of_ours" in caplog.text


def test_log_ins_and_errors_survive_the_way():
    """Whatever one side raises, the other side raises the same."""
    login = Login("h", 623, "u", Secret("p"), Secret("0x01"), privilege=3, suites=(3,), timeout_s=2.5)
    again = as_login(from_login(login))
    assert again == login
    assert (again.password.reveal(), again.kg.reveal()) == ("p", "0x01")
    for error in (BmcError("text", reason="busy"), CompletionCodeError(4, 0x2D, 0xCB)):
        back = from_error(as_error(error))
        assert (type(back), str(back), back.reason) == (type(error), str(error), error.reason)
