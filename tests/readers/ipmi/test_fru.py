"""Names out of FRU inventories, built here byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.clock import wall_ns
from energyrecorder_bmcsim.ipmi.server import ControllerSettings
from energyrecorder_execd.readers.base import Context, Memory, Target
from energyrecorder_execd.readers.ipmi import IpmiEndpoint, IpmiReader, fru
from energyrecorder_execd.readers.ipmi.inventory import read_names
from support.ipmi_bmc import USER, start_bmc
from support.ipmi_script import ScriptedTransport


def summed(octets):
    """Return the octets with the checksum that makes their sum 0."""
    return octets + bytes((-sum(octets) & 0xFF,))


def header(*, board=0, product=0):
    return summed(bytes((1, 0, 0, board, product, 0, 0)))


def area(*fields, language=25, head=b""):
    """Return an area of fields given as (type code, raw bytes)."""
    body = bytes((language,)) + head
    for kind, raw in fields:
        body += bytes((kind << 6 | len(raw),)) + raw
    body += b"\xc1"
    units = -(-(len(body) + 3) // 8)
    return summed(bytes((1, units)) + body.ljust(units * 8 - 3, b"\0"))


@pytest.mark.parametrize(
    ("fields", "language", "names"),
    [
        (((3, b"Intel Corporation"), (3, b"S2600WT2")), 25, ("Intel Corporation", "S2600WT2")),
        (((3, b"Lenovo  "), (3, b"\0\0")), 0, ("Lenovo", None)),
        (((3, "Müller".encode("utf-16-le")), (3, b"")), 7, ("Müller", None)),
        (((2, bytes.fromhex("29dca6")), (1, bytes.fromhex("2600a1"))), 25, ("IPMI", "2600 1")),
        (((0, b"\x01\x02"), (3, b"XY")), 25, (None, "XY")),
        ((), 25, (None, None)),
    ],
)
def test_the_codings_of_names(fields, language, names):
    """8-bit, Unicode, 6-bit ASCII (the standard's own example), BCD plus, binary, and nothing at all."""
    found = fru.names(area(*fields, language=language), product=True)
    assert (found.maker, found.model) == names


def test_the_board_names_a_server_without_product_area():
    """Its fields stand behind the date of manufacture."""
    assert fru.best_area(header(board=1)) == fru.Area(8, product=False)
    assert fru.best_area(header(board=1, product=9)) == fru.Area(72, product=True)
    found = fru.names(area((3, b"Quanta"), (3, b"S2BP"), head=b"\x01\x02\x03"), product=False)
    assert (found.maker, found.model) == ("Quanta", "S2BP")


@given(st.binary(max_size=80))
def test_garbage_names_nothing_or_something_printable(garbage):
    """Whatever the bytes, checksum right or wrong."""
    fru.best_area(garbage)
    for octets in (garbage, summed(garbage), area((3, garbage[:60]))):
        found = fru.names(octets, product=True)
        assert all(name is None or name.isprintable() for name in (found.maker, found.model))


@pytest.mark.parametrize("product", [True, False])
def test_only_maker_and_model_are_passed_on(product):
    """Serial number and asset tag are blanked whatever their coding; the area reads as before."""
    head = b"" if product else b"\x01\x02\x03"
    fields = ((3, b"Maker"), (3, b"Model 1"), (3, b"SERIAL-77"), (2, b"\x29\xdc\xa6"), (0, b"\x07\x09"))
    whole = header(product=1) if product else header(board=1)
    whole += area(*fields, head=head)
    clean = fru.without_serials(dict(enumerate(whole)))
    kept = bytes(clean[at] for at in range(len(whole)))
    assert fru.names(kept[8:], product=product) == fru.Names("Maker", "Model 1")
    for secret in (b"SERIAL-77", b"\x29\xdc\xa6", b"\x07\x09"):
        assert secret in whole
        assert secret not in kept


def test_an_area_that_is_not_understood_is_not_passed_on():
    """Not read whole, a wrong checksum, no header: nothing of its bytes is kept."""
    whole = header(product=1) + area((3, b"Maker"), (3, b"Model"), (3, b"SERIAL-77"))
    read = dict(enumerate(whole))
    assert fru.without_serials(read | {20: read[20] ^ 1}).keys() == set(range(8))
    assert fru.without_serials({at: octet for at, octet in read.items() if at != 20}).keys() == set(range(8))
    assert fru.without_serials(read | {0: 9}) == {}


@given(st.binary(max_size=60))
def test_junk_behind_the_fields_is_blanked(junk):
    """Some makers keep notes behind the end mark."""
    body = bytes((25,)) + b"\xc2AB\xc2CD\xc1" + junk
    units = -(-(len(body) + 3) // 8)
    whole = header(product=1) + summed(bytes((1, units)) + body.ljust(units * 8 - 3, b"\0"))
    clean = fru.without_serials(dict(enumerate(whole)))
    assert not any(clean[at] for at in range(8 + 2 + len(body) - len(junk), len(whole) - 1))


@pytest.mark.parametrize("answer", [0xC1, 0xCB, b"", b"\x00", b"\x08" + bytes(8), b"\x08" + b"\xff" * 8])
async def test_a_bmc_without_inventory_has_no_names(answer):
    """Refusals, empty answers and unwritten memories are no error."""
    transport = ScriptedTransport()
    transport.answers[0x0A, fru.READ] = answer
    assert await read_names(transport) == fru.Names(None, None)


async def test_the_model_is_read_once_in_the_life_of_a_firmware():
    """The sixth poll asks for it; after a restart it comes from memory with the first."""
    controller = ControllerSettings(manufacturer=10876, vendor_name="Supermicro", product_name="SYS-6019U")
    bmc = await start_bmc(controller=controller)
    facts, told = {}, []
    endpoint = IpmiEndpoint()
    for _ in range(2):
        target = Target("n", "127.0.0.1", bmc.port, "https", USER, bmc.login().password)
        reader = IpmiReader(target, Context(Memory(facts), wall_ns), endpoint)
        polls = [await reader.poll() for _ in range(7)]
        assert {poll.info.vendor for poll in polls if poll.info} == {"Supermicro"}
        assert all(poll.readings[0].watts == 216 for poll in polls)
        told.append([poll.info and poll.info.model for poll in polls])
        await reader.close()
    assert told == [[None] * 5 + ["SYS-6019U", None], ["SYS-6019U"] + [None] * 6]
    endpoint.close()
    await bmc.server.close()
