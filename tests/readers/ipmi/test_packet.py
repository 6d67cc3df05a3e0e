"""The bytes of IPMI messages and wrappers, typed out from IPMI 2.0 §13."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_execd.readers.ipmi.lanplus import packet
from energyrecorder_execd.readers.ipmi.lanplus.packet import PacketError


@pytest.mark.parametrize(
    ("request_fields", "wire"),
    [
        ({"netfn": 6, "command": 0x01, "data": b"", "sequence": 1}, "20 18 c8 81 04 01 7a"),
        ({"netfn": 6, "command": 0x38, "data": b"\x8e\x02", "sequence": 0}, "20 18 c8 81 00 38 8e 02 b7"),
        (
            {"netfn": 0x2C, "command": 0x02, "data": bytes.fromhex("dc010000"), "sequence": 63},
            "20 b0 30 81 fc 02 dc 01 00 00 a4",
        ),
        (
            {"netfn": 4, "command": 0x2D, "data": b"\x05", "sequence": 2, "lun": 1, "responder": 0x82},
            "82 11 6d 81 08 2d 05 45",
        ),
    ],
)
def test_requests_are_these_bytes(request_fields, wire):
    """Addresses, network function with LUN, two checksums."""
    assert packet.encode_request(**request_fields).hex(" ") == wire


def test_a_bridged_request_is_a_message_in_a_message():
    """Send Message with tracking, its data the whole inner message, from the BMC to the satellite."""
    inner = packet.encode_request(
        netfn=6, command=1, data=b"", sequence=5, responder=0x82, requester=packet.BMC_ADDRESS
    )
    whole = packet.encode_bridged(inner, channel=0, sequence=5)
    assert whole.hex(" ") == "20 18 c8 81 14 34 40 82 18 66 20 14 01 cb f7"


def test_a_response_is_taken_apart():
    """Completion code and data stand between the header and the last checksum."""
    response = packet.decode_response(bytes.fromhex("81 1c 63 20 04 01 00 20 01 02 b8"))
    assert response == packet.Response(netfn=7, sequence=1, command=1, code=0, data=b"\x20\x01\x02")


def test_wrappers_are_these_bytes():
    """The 1.5 wrapper outside a session, and the 2.0 wrapper of session setup."""
    assert (
        packet.wrap_sessionless(b"\xaa\xbb").hex() == "0600ff07" + "00" + "00000000" + "00000000" + "02aabb"
    )
    assert packet.wrap_setup(0x10, b"\xaa").hex() == "0600ff07" + "0610" + "00000000" * 2 + "0100" + "aa"


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "06",
        "0600ff07",
        "0600ff0700",
        "0600ff06" + "00" * 12,  # ASF, not IPMI
        "0600ff07" + "00" + "00" * 8 + "09" + "aa" * 8,  # one byte short of its length
        "0600ff07" + "02" + "00" * 9,  # MD5 session
    ],
)
def test_foreign_datagrams_outside_a_session_are_refused(wire):
    """Nothing shorter than it claims, nothing of another class or kind."""
    with pytest.raises(PacketError):
        packet.unwrap_sessionless(bytes.fromhex(wire))


@given(st.binary(max_size=80), st.sampled_from([0x11, 0x13, 0x15]))
def test_any_bytes_are_a_payload_or_refused(datagram, kind):
    """Decoding garbage raises `PacketError` and nothing else."""
    head = packet.RMCP_HEADER if len(datagram) % 2 else b""
    for decode in (
        packet.unwrap_sessionless,
        packet.decode_response,
        lambda whole: packet.unwrap_setup(whole, kind),
    ):
        with contextlib.suppress(PacketError):
            decode(head + datagram)
    assert packet.session_id_of(head + datagram) >= 0


@given(st.binary(max_size=60))
def test_wrapping_and_unwrapping_give_the_same(payload):
    """Both wrappers are undone exactly, whatever follows the payload."""
    assert packet.unwrap_setup(packet.wrap_setup(0x11, payload) + b"\0", 0x11) == payload
    assert packet.unwrap_sessionless(packet.wrap_sessionless(payload) + b"\0") == payload
