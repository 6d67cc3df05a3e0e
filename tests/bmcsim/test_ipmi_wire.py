"""Octets of the simulated IPMI BMC against tables typed from the standards and known good devices."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_bmcsim.ipmi import crypto, rmcp
from energyrecorder_bmcsim.ipmi.dcmi import PowerReading
from energyrecorder_bmcsim.ipmi.identity import fru_inventory
from energyrecorder_bmcsim.ipmi.message import build_response, parse_request
from energyrecorder_bmcsim.ipmi.rmcp import WireError
from energyrecorder_bmcsim.ipmi.sdr import controller_locator_record, full_sensor_record
from energyrecorder_bmcsim.ipmi.sensors import place, raw_reading
from energyrecorder_bmcsim.ipmi.server import ControllerSettings, IpmiFault, IpmiSettings, SdrSensor
from energyrecorder_bmcsim.ipmi.session import SequenceWindow
from energyrecorder_bmcsim.ipmi.settings import temperature_sensors

KEY = bytes(range(16))


def octets(text):
    return bytes.fromhex(text)


def test_presence_ping_and_pong():
    """The example of IPMI 2.0 §13.2.3: ping with tag 0, pong with entity 81h."""
    assert rmcp.parse(octets("06 00 FF 06 00 00 11 BE 80 00 00 00")) == rmcp.Ping(0, 0xFF)
    assert rmcp.pong(5) == octets(
        "06 00 FF 06 00 00 11 BE 40 05 00 10 00 00 11 BE 00 00 00 00 81 00 00 00 00 00 00 00"
    )


def test_v15_wrapper():
    """Get Channel Authentication Capabilities as ipmitool sends it."""
    request = octets("06 00 FF 07 00 00 00 00 00 00 00 00 00 09 20 18 C8 81 00 38 8E 04 B5")
    packet = rmcp.parse(request)
    assert packet == rmcp.Packet15(request[14:])
    message = parse_request(packet.payload)
    assert (message.netfn, message.command, message.data) == (6, 0x38, octets("8E 04"))
    answer = rmcp.wrap_v15(build_response(message, octets("00 01")))
    assert answer == octets("06 00 FF 07 00 00 00 00 00 00 00 00 00 09 81 1C 63 20 00 38 00 01 A7")


def test_v20_wrapper():
    """Outside a session: authentication type 06h, payload type, zeros, length."""
    datagram = rmcp.wrap_v20(0x10, b"abc")
    assert datagram == octets("06 00 FF 07 06 10 00 00 00 00 00 00 00 00 03 00") + b"abc"
    assert rmcp.parse(datagram) == rmcp.Packet20(0x10, False, False, 0, 0, b"abc")


@pytest.mark.parametrize("size", range(16, 21))
def test_protected_packet_is_padded_to_four(size):
    """Authentication type to next header fill whole words (IPMI 2.0 table 13-8)."""
    body = rmcp.protected_body(0, bytes(size), session_id=0x01020304, sequence=7)
    assert len(body) % 4 == 0
    assert body[:12] == octets("06 C0 04 03 02 01 07 00 00 00") + size.to_bytes(2, "little")
    assert body[-1] == 7
    assert body[12 + size : -2] == b"\xff" * body[-2]
    packet = rmcp.parse(rmcp.wrap_protected(body, b"code"))
    assert (packet.encrypted, packet.authenticated) == (True, True)
    assert packet.signed == body + b"code"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "06 00 FF",
        "05 00 FF 06 00 00 11 BE 80 00 00 00",
        "06 00 FF 06 00 00 11 BE 40 00 00 00",
        "06 00 FF 07",
        "06 00 FF 07 06 00 00",
        "06 00 FF 07 06 10 00 00 00 00 00 00 00 00 09 00 61",
        "06 00 FF 07 02 01 00 00 00 01 00 00 00 00",
        "06 00 FF 07 00 00 00 00 00 00 00 00 00 09 20 18",
    ],
)
def test_malformed_datagrams_are_told_apart(text):
    """Cut short, another version, a v1.5 session, a pong: WireError."""
    with pytest.raises(WireError):
        rmcp.parse(octets(text))


@pytest.mark.parametrize("text", ["20 18 C8 81 00 38 B6", "20 18 C9 81 00 38 47", "20 1C C4 81 00 38 47"])
def test_bad_messages_are_dropped(text):
    """A wrong checksum on either side, and a response, are no requests."""
    with pytest.raises(WireError):
        parse_request(octets(text))


@given(st.binary(max_size=80))
def test_aes_round_trip(plain):
    """What is encrypted comes back, in whole blocks after the vector."""
    sealed = crypto.encrypt(KEY, plain)
    assert len(sealed) % 16 == 0
    assert crypto.decrypt(KEY, sealed) == plain


def test_aes_padding_is_checked():
    """Padding counts 01h, 02h, 03h…: another one is refused."""
    for plain in (b"abcd" + bytes((1, 2, 9)) + bytes(8) + bytes((11,)), b"abcd" + bytes(11) + b"\xff"):
        cipher = Cipher(algorithms.AES(KEY), modes.CBC(bytes(16))).encryptor()
        with pytest.raises(WireError):
            crypto.decrypt(KEY, bytes(16) + cipher.update(plain) + cipher.finalize())
    for sealed in (crypto.encrypt(KEY, b"abcd")[:-1], bytes(16), b""):
        with pytest.raises(WireError):
            crypto.decrypt(KEY, sealed)


@given(st.binary(max_size=120))
def test_no_datagram_raises_anything_but_wire_error(datagram):
    """Whatever arrives is parsed or refused."""
    for octets_ in (datagram, b"\x06\x00\xff\x07" + datagram):
        try:
            packet = rmcp.parse(octets_)
            parse_request(getattr(packet, "payload", b""))
        except WireError:
            pass


def test_power_reading():
    """DCMI 1.5 §6.6.1: 17 octets after the group id, state bit 6."""
    reading = PowerReading(213, 105, 377, 231, 1_700_000_000, 60_000, active=True)
    assert reading.encode() == octets("D5 00 69 00 79 01 E7 00 00 F1 53 65 60 EA 00 00 40")


def test_full_sensor_record():
    """The record that works with OpenIPMI's simulator, ipmitool and pyghmi, but for flags of scanning."""
    sensor = SdrSensor("Pwr Consumption", m=4)
    record = full_sensor_record(sensor, owner=0x20, lun=0, number=1)
    assert record == (
        octets("51 01 3A 20 00 01 07 01 41 43 0B 01 00 00 00 00 00 00 00 06 00 00 04 00 00 00 00 00")
        + octets("00 00 00 00 FF 00 00 00 00 00 00 00 00 00 00 00 00 CF")
        + b"Pwr Consumption"
    )


@pytest.mark.parametrize(
    ("sensor", "factors"),
    [
        (SdrSensor("a", m=0x155, b=-2, b_exp=-1, r_exp=2), "00 06 00 00 55 40 FE C0 00 2F"),
        (SdrSensor("a", m=-1, b=511, b_exp=7, r_exp=-8, signed=True), "80 06 00 00 FF C0 FF 40 00 87"),
        (SdrSensor("a", reading_type=0x6F, constant=1), "C0 00 00 00 04 00 00 00 00 00"),
    ],
)
def test_factors_are_ten_bit_and_four_bit_signed(sensor, factors):
    """M and B are split over two octets, both exponents share one (IPMI 2.0 §43.1 octets 25 to 30)."""
    record = full_sensor_record(sensor, owner=0x20, lun=0, number=1)
    assert record[18:28] == octets(factors)


def test_controller_locator_record():
    """IPMI 2.0 §43.9: slave address and channel of a satellite."""
    record = controller_locator_record(ControllerSettings(address=0x82, channel=6, product_name="NM"))
    assert record == octets("51 12 0D 82 06 00 09 00 00 00 2E 01 00 C2") + b"NM"


@pytest.mark.parametrize(
    ("factors", "value", "raw"),
    [
        ({"m": 4}, 213.0, 53),
        ({"m": 4}, 0.0, 0),
        ({"m": 4}, 5000.0, 255),
        ({"m": 4}, -8.0, 0),
        ({"m": 1, "r_exp": 1}, 354.0, 35),
        ({"m": 2, "b": 5, "b_exp": 1}, 150.0, 50),
        ({"m": 5, "r_exp": -1}, 12.3, 25),
        ({"m": 1, "signed": True}, -3.0, 0xFD),
        ({"m": 1, "signed": True}, -300.0, 0x80),
    ],
)
def test_raw_reading(factors, value, raw):
    """The nearest raw octet of M·x + B·10^b_exp times 10^r_exp; the ends hold."""
    assert raw_reading(SdrSensor("a", **factors), value) == raw


def test_sensors_get_free_numbers_lun_by_lun():
    """Numbers given stay; the others take the free ones; 300 sensors need a second LUN."""
    keys = list(place((SdrSensor("p", number=2), *temperature_sensors(300))))
    assert keys[0] == (0, 2)
    assert keys[1:4] == [(0, 1), (0, 3), (0, 4)]
    assert len(set(keys)) == 301
    assert keys[-1][0] == 1
    assert all(0 < number < 0xFF for _, number in keys)


def test_fru_inventory():
    """Header and product area each sum to 0; a one-letter name does not end the area."""
    inventory = fru_inventory("X", "R640")
    assert inventory[:8] == octets("01 00 00 00 01 00 00 FE")
    area = inventory[8:]
    assert len(area) == area[1] * 8
    assert sum(area) & 0xFF == 0
    assert area[2:].startswith(octets("19 C2 58 20 C4") + b"R640" + octets("C0 C0 CA"))


@pytest.mark.parametrize(
    ("numbers", "accepted"),
    [
        ([1, 2, 3], [True, True, True]),
        ([1, 1], [True, False]),
        ([0], [False]),
        ([3, 1, 2, 1], [True, True, True, False]),
        ([16, 17, 1, 40], [True, True, True, False]),
        ([17], [False]),
        ([10, 26, 10, 11, 9], [True, True, False, True, False]),
    ],
)
def test_sequence_window(numbers, accepted):
    """Each number once, at most 16 ahead of and behind the highest."""
    window = SequenceWindow()
    assert [window.accept(number) for number in numbers] == accepted


@given(st.lists(st.integers(1, 60), max_size=60))
def test_sequence_window_never_takes_a_number_twice(numbers):
    """Whatever the order, no number passes twice."""
    window = SequenceWindow()
    passed = [number for number in numbers if window.accept(number)]
    assert len(passed) == len(set(passed))


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: SdrSensor("m" * 17), "name"),
        (lambda: SdrSensor("m", m=0), "m"),
        (lambda: SdrSensor("m", r_exp=8), "r_exp"),
        (lambda: ControllerSettings(address=0x21), "address"),
        (lambda: ControllerSettings(firmware="2"), "firmware"),
        (lambda: ControllerSettings(sensors=(SdrSensor("a", number=7), SdrSensor("b", number=7))), "sensors"),
        (lambda: IpmiSettings(b"", b"p"), "user"),
        (lambda: IpmiSettings(b"u", b"p" * 21), "password"),
        (lambda: IpmiSettings(b"u", b"p", suites=(8,)), "suites"),
        (lambda: IpmiSettings(b"u", b"p", kg=b"short"), "kg"),
        (lambda: IpmiFault("no such"), "kind"),
    ],
)
def test_impossible_settings_are_refused(build, key):
    """One line that names the key and what is allowed; no secret in it."""
    with pytest.raises(ValueError, match=rf"key '{key}' is .*; allowed: ") as caught:
        build()
    assert "\n" not in str(caught.value)
    assert "pppp" not in str(caught.value)


def test_secrets_stay_out_of_the_representation():
    """Neither password nor BMC key shows."""
    shown = repr(IpmiSettings(b"u", b"passphrase", kg=b"k" * 20))
    assert "passphrase" not in shown
    assert "kkkk" not in shown
