"""Requests and answers are heard by the traffic log and by whoever records."""

from __future__ import annotations

import logging

import pytest

from energyrecorder.clock import wall_ns
from energyrecorder.errors import BmcError
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.ipmi import IpmiEndpoint, IpmiReader
from energyrecorder_execd.readers.ipmi.heard import HeardTransport, tell_progress
from energyrecorder_execd.readers.ipmi.transport import Bridge
from support.ipmi_bmc import PASSWORD, USER, start_bmc
from support.ipmi_reader import reader_of, watts_of
from support.ipmi_script import DCMI, ScriptedTransport


async def test_the_traffic_of_a_server_is_logged_without_secrets(caplog):
    """`debug = true` logs requests and answers as hex; log-in and password are not among them."""
    bmc = await start_bmc()
    heard = []
    endpoint = IpmiEndpoint(heard.append)
    target = Target("n1", "127.0.0.1", bmc.port, "https", USER, bmc.login().password, options={"debug": True})
    with caplog.at_level(logging.INFO):
        reader = IpmiReader(target, Context(Memory(), wall_ns), endpoint)
        await reader.poll()
        await reader.close()
    endpoint.close()
    await bmc.server.close()
    assert any("n1: ipmi 2c/02 dc010000 -> dcd800" in line for line in caplog.messages)
    assert not any(form in caplog.text for form in (PASSWORD, PASSWORD.encode().hex()))
    assert [(one.netfn, one.command) for one in heard] == [(6, 1), DCMI, (0, 1)]


async def test_a_refusal_is_heard_and_raised():
    """The outcome of a refused or bridged request is its error."""
    heard = []
    transport = HeardTransport(ScriptedTransport(), (heard.append,))
    with pytest.raises(BmcError):
        await transport.request(*DCMI, b"\xdc", bridge=Bridge(0x82, 7))
    assert "completion code C1h" in heard[0].as_text()
    assert heard[0].as_text().startswith("@7/82 2c/02 dc -> ")


async def test_each_answer_puts_off_the_end_of_the_poll():
    """A walk over hundreds of slow records goes on; a refusal shows a BMC that is there."""
    told = []
    scripted = ScriptedTransport()
    scripted.answers[4, 0x2D] = b"\x35\xc0"
    scripted.answers[DCMI] = BmcError("no answer", reason="timeout")
    transport = HeardTransport(scripted, (tell_progress(told.append),))
    await transport.request(4, 0x2D, b"\x05")
    for refused_or_silent in ((0x0A, 0x20), DCMI):
        with pytest.raises(BmcError):
            await transport.request(*refused_or_silent)
    assert told == [True, True]


async def test_a_poll_tells_its_answers():
    """Each request of the first poll; the poller's deadline hears them."""
    told = []
    bmc = await start_bmc()
    endpoint = IpmiEndpoint()
    reader = reader_of(endpoint, bmc.port, heard=told.append)
    poll = await reader.poll()
    await reader.close()
    endpoint.close()
    await bmc.server.close()
    assert watts_of(poll) == 216.0
    assert len(told) >= 3
    assert set(told) == {True}


async def test_what_is_heard_is_what_a_recording_holds():
    """Request with unit and satellite, answer with its completion code; silence has no answer."""
    heard = []
    scripted = ScriptedTransport()
    scripted.answers[4, 0x2D] = b"\x35\xc0"
    scripted.answers[DCMI] = BmcError("no answer", reason="timeout")
    transport = HeardTransport(scripted, (heard.append,))
    await transport.request(4, 0x2D, b"\x05", lun=1, bridge=Bridge(0x2C, 6))
    await transport.request(6, 1, bridge=Bridge(0x72, 7, via=Bridge(0x82)))
    with pytest.raises(BmcError):
        await transport.request(0x0A, 0x20)
    with pytest.raises(BmcError):
        await transport.request(*DCMI, b"\xdc")
    assert [one.request_text() for one in heard] == [
        "@6/2c 04.1/2d 05",
        "@0/82:7/72 06/01",
        "0a/20",
        "2c/02 dc",
    ]
    answers = [one.answer_text() for one in heard]
    assert (answers[0], answers[2:]) == ("0035c0", ["c1", None])
