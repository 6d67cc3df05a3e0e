"""Reading the sensor data records: whole, in pieces, interrupted, and from BMCs that do it their own way."""

from __future__ import annotations

import asyncio

import pytest

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.ipmi.repository import Repository
from energyrecorder_execd.readers.ipmi.transport import CompletionCodeError
from support.ipmi_records import record
from support.ipmi_script import ScriptedTransport, repository

LOCATOR = bytes.fromhex("0500 51 12 0b 20 00 00 00 00 00 07 01 00 c1 42")
RECORDS = [
    record("Temp", unit=1, record_id=1, number=1),
    record("Pwr Consumption", record_id=2, number=2),
    LOCATOR,
    record("Sys Power", record_id=9, number=3),
]
WATTS = [RECORDS[1], RECORDS[3]]
GET = (0x0A, 0x23)


def scripted(answers):
    transport = ScriptedTransport()
    transport.answers.update(answers)
    return transport


@pytest.mark.parametrize("limit", [0xFF, 64, 32, 22, 16])
@pytest.mark.parametrize("short_is_error", [False, True])
async def test_only_records_in_watts_come_back_whole(limit, short_is_error):
    """However few bytes the BMC hands out at once, and also if asking past a record's end is an error."""
    transport = scripted(repository(RECORDS, limit=limit, short_is_error=short_is_error))
    found = Repository(transport, None)
    await found.stamp()
    assert await found.watts_records() == WATTS


async def test_whole_records_cost_one_request_each():
    """300 records cost 300 requests and one reservation where the BMC allows it."""
    many = [record(f"Temp {n}", unit=1, record_id=n, number=1) for n in range(1, 300)] + [RECORDS[1]]
    many[-1] = record("Pwr Consumption", record_id=300, number=2)
    transport = scripted(repository(many))
    assert await Repository(transport, None).watts_records() == [many[-1]]
    assert transport.requests == 301


async def test_pieces_are_asked_for_only_where_the_unit_is_watts():
    """One request tells the unit; other sensors cost no more."""
    transport = scripted(repository(RECORDS, limit=22))
    await Repository(transport, None).watts_records()
    # The whole first one in vain, a look at each of the four, the locator again by its header alone at most,
    # and three pieces of 16 bytes for each of the two in watts.
    assert transport.asked.count(GET) <= 1 + 4 + 1 + 2 * 3


async def test_a_cancelled_walk_goes_on_where_it_stopped():
    """A repository that is slower than a poll is read over several polls."""
    answers = repository(RECORDS)
    transport = scripted(answers)
    get, asked = answers[GET], []

    def interrupted(data, **options):
        asked.append(data[2:4])
        if len(asked) == 3:
            raise asyncio.CancelledError
        return get(data, **options)

    transport.answers[GET] = interrupted
    found = Repository(transport, None)
    with pytest.raises(asyncio.CancelledError):
        await found.watts_records()
    assert await found.watts_records() == WATTS
    assert len(asked) == len(RECORDS) + 1, "no record was read twice but the one that was interrupted"


async def test_a_lost_reservation_is_taken_again():
    """C5h in the middle costs a new reservation, not the records read so far."""
    answers = repository(RECORDS)
    transport = scripted(answers)
    get, calls = answers[GET], []

    def losing(data, **options):
        calls.append(data)
        return 0xC5 if len(calls) == 3 else get(data, **options)

    transport.answers[GET] = losing
    assert await Repository(transport, None).watts_records() == WATTS
    assert transport.asked.count((0x0A, 0x22)) == 2


async def test_a_reservation_that_is_always_lost_ends():
    """A BMC that cancels every reservation is given up, not asked for ever."""
    transport = scripted(repository(RECORDS) | {GET: 0xC5})
    with pytest.raises(CompletionCodeError):
        await Repository(transport, None).watts_records()
    assert transport.requests < 100


async def test_records_that_run_in_a_circle_end():
    """A next id that was there before is `data`, not an endless loop."""
    transport = scripted(repository(RECORDS))
    get = transport.answers[GET]
    transport.answers[GET] = lambda data, **options: b"\x01\x00" + get(data, **options)[2:]
    with pytest.raises(BmcDataError, match="do not end"):
        await Repository(transport, None).watts_records()


async def test_a_controller_without_repository_tells_its_device_records():
    """A satellite refuses the storage commands and answers Get Device SDR."""
    main = repository(RECORDS)
    transport = scripted({(0x04, 0x21): main[GET], (0x04, 0x22): b"\x01\x00", (0x04, 0x20): b"\x04\x01"})
    found = Repository(transport, None)
    assert (await found.stamp()).startswith("device/")
    assert await found.watts_records() == WATTS


async def test_the_stamp_follows_the_records():
    """Other count or time: other stamp; free space alone does not matter."""
    transport = scripted(repository(RECORDS))
    before = await Repository(transport, None).stamp()
    info = bytearray(transport.answers[(0x0A, 0x20)])
    info[3:5] = b"\x01\x01"
    transport.answers[(0x0A, 0x20)] = bytes(info)
    assert await Repository(transport, None).stamp() == before
    info[5] += 1
    transport.answers[(0x0A, 0x20)] = bytes(info)
    assert await Repository(transport, None).stamp() != before


@pytest.mark.parametrize("answer", [b"", b"\x02", b"\xff\xff", b"\xff\xff\x01\x00"])
async def test_short_answers_are_data(answer):
    """An answer too short for id and header is `data`."""
    transport = scripted(repository(RECORDS) | {GET: answer})
    with pytest.raises(BmcDataError):
        await Repository(transport, None).watts_records()


async def test_a_short_reservation_is_data():
    """A reservation id of one byte is not sent back to the BMC."""
    transport = scripted(repository(RECORDS) | {(0x0A, 0x22): b"\x01"})
    with pytest.raises(BmcDataError, match="Reserve"):
        await Repository(transport, None).watts_records()
