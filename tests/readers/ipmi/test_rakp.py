"""Session setup and session packets, against vectors computed here from the formulas of IPMI 2.0 §13."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.errors import BmcAuthError
from energyrecorder_execd.readers.ipmi.lanplus import rakp
from energyrecorder_execd.readers.ipmi.lanplus.crypto import SUITES, PacketCipher, SessionKeys
from energyrecorder_execd.readers.ipmi.lanplus.packet import PacketError
from energyrecorder_execd.readers.ipmi.lanplus.session import ReplayWindow, SecureSession

LOCAL, REMOTE = 0x11223344, 0xA0B0C0D0
RM, RC, GUID = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
USER, PASSWORD, KG = b"monitor", b"s3cret", b"k" * 20
ROLE = bytes((0x12, len(USER))) + USER  # name-only lookup, level USER
HASHES = {3: (hashlib.sha1, 20, 12), 17: (hashlib.sha256, 32, 16)}
suites = pytest.mark.parametrize("number", [3, 17])


def account(kg=b"", password=PASSWORD):
    return rakp.Account(USER, password, kg, privilege=2)


def opened(number):
    return rakp.Opened(SUITES[number], LOCAL, REMOTE, RM)


def mac(number, key, data):
    return hmac.new(key, data, HASHES[number][0]).digest()


def rakp2_payload(number, password=PASSWORD, tag=7, status=0):
    data = struct.pack("<II", LOCAL, REMOTE) + RM + RC + GUID + ROLE
    return struct.pack("<BBHI", tag, status, 0, LOCAL) + RC + GUID + mac(number, password, data)


def rakp4_payload(number, kg=PASSWORD, tag=9):
    sik = mac(number, kg, RM + RC + ROLE)
    code = mac(number, sik, RM + struct.pack("<I", REMOTE) + GUID)[: HASHES[number][2]]
    return struct.pack("<BBHI", tag, 0, 0, LOCAL) + code


def challenged(number):
    return rakp.Challenged(opened(number), RC, GUID)


@pytest.mark.parametrize(
    ("number", "algorithms_wire"),
    [
        (3, "0000000801000000 0100000801000000 0200000801000000"),
        (17, "0000000803000000 0100000804000000 0200000801000000"),
    ],
)
def test_the_open_session_request_proposes_one_suite(number, algorithms_wire):
    """Tag, privilege 0 ("highest"), our id, then authentication, integrity, confidentiality."""
    wire = rakp.open_request(tag=7, local_id=LOCAL, suite=SUITES[number]).hex()
    assert wire == "07000000" + "44332211" + algorithms_wire.replace(" ", "")


def open_response(number, *, tag=7, local=LOCAL, remote=REMOTE, algorithms_of=None):
    request = rakp.open_request(tag=tag, local_id=local, suite=SUITES[algorithms_of or number])
    return request[:4] + struct.pack("<II", local, remote) + request[8:]


@suites
def test_the_open_session_response_gives_the_bmcs_id(number):
    """The id of a BMC that confirms exactly what was proposed."""
    payload = open_response(number)
    assert rakp.parse_open_response(payload, tag=7, local_id=LOCAL, suite=SUITES[number]) == REMOTE


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (bytes((7, 0x11, 0, 0, 0x44, 0x33, 0x22, 0x11)), 0x11),
        (bytes((7, 0x01)), 0x01),
        (open_response(17, algorithms_of=3), 0x11),
    ],
)
def test_a_refused_suite_and_a_downgrade_carry_a_status(payload, status):
    """An error needs no more than tag and status; other algorithms than proposed count as refused."""
    with pytest.raises(rakp.StatusError) as caught:
        rakp.parse_open_response(payload, tag=7, local_id=LOCAL, suite=SUITES[17])
    assert caught.value.status == status


@pytest.mark.parametrize(
    "payload",
    [
        open_response(17, tag=8),
        open_response(17, local=LOCAL + 1),
        open_response(17, remote=0),
        open_response(17)[:35],
        b"",
        b"\x07",
    ],
)
def test_other_open_session_responses_are_dropped(payload):
    """Another tag, another session, no id, truncated."""
    with pytest.raises(PacketError):
        rakp.parse_open_response(payload, tag=7, local_id=LOCAL, suite=SUITES[17])


@suites
def test_rakp_1_is_these_bytes(number):
    """Tag, BMC's id, our random number, role with name-only lookup, user name."""
    wire = rakp.rakp1(opened(number), account(), tag=5).hex()
    assert wire == "05000000" + "d0c0b0a0" + RM.hex() + "120000" + "07" + USER.hex()


@suites
def test_rakp_2_is_checked_with_the_password(number):
    """The right code passes; the code of another password is a refused log-in."""
    seen = rakp.parse_rakp2(rakp2_payload(number), opened(number), account(), tag=7)
    assert (seen.remote_random, seen.guid) == (RC, GUID)
    with pytest.raises(BmcAuthError) as caught:
        rakp.parse_rakp2(rakp2_payload(number, password=b"other"), opened(number), account(), tag=7)
    assert caught.value.reason == "auth"


@suites
def test_rakp_3_is_these_bytes(number):
    """Tag, status 0, BMC's id, HMAC over the BMC's random number, our id and the role."""
    expected = mac(number, PASSWORD, RC + struct.pack("<I", LOCAL) + ROLE)
    wire = rakp.rakp3(challenged(number), account(), tag=8)
    assert wire.hex() == "08000000" + "d0c0b0a0" + expected.hex()


@suites
@pytest.mark.parametrize("kg", [b"", KG])
def test_rakp_4_is_checked_with_kg_and_gives_the_keys(number, kg):
    """SIK from Kg, or the password where none is set; K1 and K2 from twenty bytes 01h and 02h."""
    payload = rakp4_payload(number, kg=kg or PASSWORD)
    keys = rakp.parse_rakp4(payload, challenged(number), account(kg), tag=9)
    sik = mac(number, kg or PASSWORD, RM + RC + ROLE)
    assert keys == SessionKeys(mac(number, sik, b"\1" * 20), mac(number, sik, b"\2" * 20)[:16])
    with pytest.raises(BmcAuthError):
        rakp.parse_rakp4(payload, challenged(number), account(b"another key"), tag=9)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0x01, "session_limit"),
        (0x0B, "session_limit"),
        (0x09, "privilege"),
        (0x0A, "privilege"),
        (0x0D, "auth"),
        (0x0F, "auth"),
        (0x11, "unsupported"),
        (0x12, "protocol"),
        (0xC0, "protocol"),
    ],
)
def test_each_status_has_a_reason(status, reason):
    """What the lock-out guard counts as refused is `auth` and nothing else."""
    with pytest.raises(rakp.StatusError) as caught:
        rakp.parse_rakp2(bytes((7, status)), opened(17), account(), tag=7)
    error = caught.value.as_bmc_error()
    assert error.reason == reason
    assert isinstance(error, BmcAuthError) == (reason in {"auth", "privilege"})


def test_no_repr_shows_a_key():
    """Accounts and keys may end up in a traceback."""
    shown = repr([account(KG), SessionKeys(b"integrity-key", b"encryption-key")])
    assert not any(secret in shown for secret in ("s3cret", "kkkk", "integrity-key", "encryption-key"))


def sessions(number):
    """Return our end and the BMC's end of one session."""
    keys = SessionKeys(b"\x0a" * HASHES[number][1], b"\x0b" * 16)
    ours = SecureSession(suite=SUITES[number], keys=keys, local_id=LOCAL, remote_id=REMOTE)
    theirs = SecureSession(suite=SUITES[number], keys=keys, local_id=REMOTE, remote_id=LOCAL)
    return ours, theirs


@suites
@pytest.mark.parametrize("length", [7, 8, 15, 16, 31])
def test_a_sealed_packet_is_built_as_the_standard_says(number, length):
    """Header, IV and AES-CBC body with pad 1, 2, 3…, integrity pad to four bytes, truncated HMAC."""
    ours, _ = sessions(number)
    message = bytes(range(length))
    wire = ours.seal(message)
    assert wire[:6].hex() == "0600ff0706c0"
    assert struct.unpack("<IIH", wire[6:16]) == (REMOTE, 1, len(wire[16:]) - _trailer_bytes(wire, number))
    code_bytes = HASHES[number][2]
    assert (
        hmac.new(b"\x0a" * HASHES[number][1], wire[4:-code_bytes], HASHES[number][0]).digest()[:code_bytes]
        == wire[-code_bytes:]
    )
    assert (len(wire) - 4 - code_bytes) % 4 == 0
    body = wire[16 : 16 + struct.unpack("<H", wire[14:16])[0]]
    plain = Cipher(algorithms.AES(b"\x0b" * 16), modes.CBC(body[:16])).decryptor().update(body[16:])
    pad = plain[-1]
    assert plain == message + bytes(range(1, pad + 1)) + bytes((pad,))
    assert struct.unpack("<I", ours.seal(message)[10:14]) == (2,)


def _trailer_bytes(wire, number):
    pad = wire[-HASHES[number][2] - 2]
    assert wire[-HASHES[number][2] - 1] == 0x07
    return pad + 2 + HASHES[number][2]


@suites
@given(st.binary(min_size=7, max_size=120))
def test_what_one_end_seals_the_other_opens_once(number, message):
    """Round trip; the same packet again is a replay."""
    ours, theirs = sessions(number)
    wire = theirs.seal(message)
    assert ours.unseal(wire) == message
    with pytest.raises(PacketError, match="replayed"):
        ours.unseal(wire)


@suites
@given(st.data())
def test_any_change_of_a_packet_is_noticed(number, data):
    """Flipped bits and truncation anywhere behind the RMCP header are refused, and cost no number."""
    ours, theirs = sessions(number)
    wire = theirs.seal(b"seven bytes and more")
    at = data.draw(st.integers(4, len(wire) - 1))
    flipped = wire[:at] + bytes((wire[at] ^ data.draw(st.integers(1, 255)),)) + wire[at + 1 :]
    for forged in (flipped, wire[:at], wire + b"\0"):
        with pytest.raises(PacketError):
            ours.unseal(forged)
    assert ours.unseal(wire) == b"seven bytes and more"


def cipher_of(key):
    """Return the cipher of a session of suite 17."""
    return PacketCipher(SUITES[17], SessionKeys(b"integrity-key", key))


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage):
    """Nothing but `PacketError` comes of any bytes, sealed correctly or not."""
    ours, _ = sessions(17)
    for wire in (garbage, b"\x06\x00\xff\x07\x06\xc0" + struct.pack("<I", LOCAL) + garbage):
        with pytest.raises(PacketError):
            ours.unseal(wire)
    with contextlib.suppress(PacketError):
        cipher_of(b"\x0b" * 16).decrypt(garbage)


@given(st.binary(max_size=100))
def test_encryption_is_undone(payload):
    """Whatever its length, and by any implementation of CBC."""
    sealed = cipher_of(b"k" * 16).encrypt(payload)
    assert cipher_of(b"k" * 16).decrypt(sealed) == payload
    padded = Cipher(algorithms.AES(b"k" * 16), modes.CBC(sealed[:16])).decryptor().update(sealed[16:])
    assert padded[: -1 - padded[-1]] == payload


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 2**32 - 100))
def test_no_number_is_accepted_twice(offsets, start):
    """Whatever the order, from any first number on; what is far behind is refused, what is ahead accepted."""
    window = ReplayWindow()
    assert not window.accept(0)
    accepted = []
    for offset in [0, *offsets]:
        number = start + offset
        newest = max(accepted, default=number)
        fresh = number not in accepted and newest - number < 16
        if not accepted or number > newest:
            fresh = number not in accepted
        assert window.accept(number) == fresh
        if fresh:
            accepted.append(number)
