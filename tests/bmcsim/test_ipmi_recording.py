"""A BMC that gives recorded answers again, over the wire, and what a recording may look like."""

from __future__ import annotations

import pytest

from bmcsim.ipmi_console import Bench, ipmi_message
from energyrecorder_bmcsim.ipmi.recording import Recording

ANSWERS = {
    "06/01": ["00208102"],
    "2c/02 dc010000": ["c0", "00dc0a00"],
    "04.1/2d 05": ["0035c0"],
    "@6/2c 2e/c8 5701": ["00570100"],
    "@0/82:7/72 06/01": ["00208103"],
}


async def test_each_request_gets_its_answers_in_their_order():
    """The last answer stays; another unit, other data and what was not recorded are C1h."""
    async with Bench(recording=Recording(ANSWERS)) as bench:
        console = await bench.logged_in()
        assert await console.command(6, 1) == (0, bytes.fromhex("208102"))
        dcmi = (0x2C, 2, bytes.fromhex("dc010000"))
        assert [(await console.command(*dcmi))[0] for _ in range(3)] == [0xC0, 0, 0]
        assert await console.command(0x2C, 2, bytes.fromhex("dc010001")) == (0xC1, b"")
        assert await console.command(4, 0x2D, b"\x05") == (0xC1, b"")
        assert await console.command(4, 0x2D, b"\x05", lun=1) == (0, b"\x35\xc0")


async def test_a_recorded_satellite_answers_behind_the_bmc():
    """Reached by Send Message; others do not answer."""
    async with Bench(recording=Recording(ANSWERS)) as bench:
        console = await bench.logged_in()
        for responder, code in ((0x82, 0x83), (0x2C, 0)):
            inner = ipmi_message(0x2E, 0xC8, bytes.fromhex("5701"), responder=responder)
            assert (await console.command(6, 0x34, b"\x46" + inner))[0] == code
        forwarded = console.opened(await console.receive())
        assert (forwarded[3], forwarded[6:-1]) == (0x2C, bytes.fromhex("00570100"))


async def test_a_recorded_satellite_answers_behind_a_satellite():
    """By a Send Message in a Send Message: two acknowledgements, then its answer."""
    async with Bench(recording=Recording(ANSWERS)) as bench:
        console = await bench.logged_in()
        inner = ipmi_message(6, 1, responder=0x72)
        middle = ipmi_message(6, 0x34, b"\x47" + inner, responder=0x82)
        assert await console.command(6, 0x34, b"\x40" + middle) == (0, b"")
        acknowledged = console.opened(await console.receive())
        assert (acknowledged[3], acknowledged[5:-1]) == (0x82, b"\x34\x00")
        answer = console.opened(await console.receive())
        assert (answer[3], answer[6:-1]) == (0x72, bytes.fromhex("00208103"))


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"06-01": ["00"]},
        {"6/1": ["00"]},
        {"@0/82: 06/01": ["00"]},
        {"06/01 DC": ["00"]},
        {"06/01": []},
        {"06/01": "00"},
        {"06/01": [""]},
        {"06/01": ["0"]},
        {"06/01": [7]},
    ],
)
def test_a_recording_of_another_form_is_refused(content):
    """With the form that is allowed."""
    with pytest.raises(ValueError, match="allowed"):
        Recording(content)
