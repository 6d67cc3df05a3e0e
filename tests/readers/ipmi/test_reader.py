"""The reader: which source is the power, what is remembered, and that nothing false comes out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyrecorder import schema
from energyrecorder.errors import BmcError, BmcUnreachableError
from energyrecorder_execd.readers.ipmi.reader import IpmiReader
from energyrecorder_execd.readers.ipmi.sensor_source import SensorSource
from energyrecorder_execd.readers.ipmi.sources import DcmiSource
from energyrecorder_execd.readers.ipmi.transport import TRANSIENT_CODES
from support.clock import Clock
from support.ipmi_reader import watts_of
from support.ipmi_records import record
from support.ipmi_script import CHASSIS, DCMI, DEVICE, SENSOR, ScriptedTransport, repository

GOOD_DCMI = bytes.fromhex("dc d800 6400 2c01 c800 00000000 60ea0000 40")
ZERO_ACTIVE = bytes.fromhex("dc 0000 0000 0000 0000 00000000 60ea0000 40")
ZERO_INACTIVE = b"\xdc" + bytes(17)
ON, OFF = b"\x01\x00\x00", b"\x00\x00\x00"
POWER_SDR = repository([record("Pwr Consumption", number=1)])
TWO_SUPPLIES = repository(
    [record("PS1 Input Power", number=1), record("PS2 Input Power", number=2, record_id=2)]
)
DAY_NS = 24 * 3600 * 10**9


def inactive(watts):
    return b"\xdc" + watts.to_bytes(2, "little") + bytes(15)


def build(answers, facts=None, clock=None, setting="user"):
    transport = ScriptedTransport()
    transport.answers.update(answers)
    facts = {} if facts is None else facts
    clock = clock or Clock()
    sources = (DcmiSource(transport, None, facts, clock), SensorSource(transport, None, facts, clock))
    return IpmiReader(transport, sources, facts=facts, settings=setting, clock=clock), transport


async def test_dcmi_is_one_request_per_poll():
    """With statistics; device id and chassis status are asked for once."""
    reader, transport = build({DCMI: GOOD_DCMI, **POWER_SDR})
    first = await reader.poll()
    assert transport.asked == [DEVICE, DCMI, CHASSIS]
    assert (first.error, first.host, first.source, first.requests) == ("", {None: "on"}, "dcmi", 3)
    assert (first.info.vendor, first.info.bmc_fw) == ("Dell", "6.10")
    reading = first.readings[0]
    assert (reading.watts, reading.min_w, reading.max_w, reading.avg_w) == (216, 100, 300, 200)
    assert (reading.clock, reading.protocol, reading.side, reading.scope) == (
        "poll",
        "ipmi",
        "unknown",
        "server",
    )
    assert (reading.quantum_w, reading.window_s, reading.backfill, reading.part) == (1.0, None, False, None)
    second = await reader.poll()
    assert transport.asked[3:] == [DCMI]
    assert (second.requests, second.host, second.info) == (1, {None: "on"}, None)


async def test_a_sensor_is_one_request_per_poll_and_remembered():
    """DCMI refused and repository read once; the next process asks the sensor at once."""
    facts = {}
    reader, transport = build({SENSOR: b"\x35\xc0", **POWER_SDR}, facts)
    first = await reader.poll()
    assert (watts_of(first), first.source, first.error) == (212.0, "sdr", "")
    assert first.readings[0].quantum_w == 4.0
    assert (await reader.poll()).requests == 1
    again, transport = build({SENSOR: b"\x36\xc0", **POWER_SDR}, facts)
    assert watts_of(await again.poll()) == 216.0
    assert transport.asked == [DEVICE, (0x0A, 0x20), SENSOR, CHASSIS]


async def test_what_a_bmc_lacks_is_asked_for_again_after_a_day_and_after_an_update():
    """DCMI comes back when a day has passed, the firmware changed, or a setting did."""
    facts, clock = {}, Clock()
    answers = {SENSOR: b"\x35\xc0", **POWER_SDR}
    await build(answers, facts, clock)[0].poll()
    for change in ("day", "firmware", "setting"):
        more = dict(answers)
        if change == "day":
            clock.now_ns += DAY_NS + 1
        if change == "firmware":
            more[DEVICE] = bytes.fromhex("20 01 06 11 02 bf a20200 0001")
        reader, transport = build(more, facts, clock, setting="operator" if change == "setting" else "user")
        await reader.poll()
        assert DCMI in transport.asked, change


@pytest.mark.parametrize(
    ("answers", "watts", "error", "host"),
    [
        pytest.param({DCMI: ZERO_ACTIVE, CHASSIS: ON}, None, "no_reading", "on", id="0 W while on"),
        pytest.param({DCMI: ZERO_ACTIVE, CHASSIS: OFF}, 0.0, "", "off", id="0 W while off"),
        pytest.param(
            {DCMI: ZERO_ACTIVE, CHASSIS: 0xC1}, None, "no_reading", "unknown", id="0 W, state unknown"
        ),
        pytest.param({DCMI: GOOD_DCMI, CHASSIS: OFF}, 216.0, "", "off", id="standby watts"),
        pytest.param({DCMI: GOOD_DCMI, CHASSIS: 0xC1}, 216.0, "", "unknown", id="no chassis"),
        pytest.param({DCMI: GOOD_DCMI, CHASSIS: b""}, 216.0, "", "unknown", id="empty chassis answer"),
        pytest.param({DCMI: ZERO_INACTIVE}, None, "no_reading", "on", id="not measuring"),
        pytest.param({DCMI: inactive(360)}, None, "no_reading", "on", id="360 W but not measuring"),
        pytest.param({DCMI: b"\xdc\xff\xff" + GOOD_DCMI[3:]}, None, "no_reading", "on", id="FFFFh"),
        pytest.param({DCMI: GOOD_DCMI[:9]}, None, "data", "on", id="short DCMI, nothing else"),
        pytest.param({DCMI: 0xD4}, None, "privilege", "on", id="privilege"),
        pytest.param({DCMI: 0xC0}, None, "busy", "on", id="busy"),
        pytest.param({}, None, "unsupported", "on", id="nothing"),
        pytest.param({SENSOR: b"\x00\xc0", **POWER_SDR}, None, "no_reading", "on", id="sensor 0 W while on"),
        pytest.param(
            {SENSOR: b"\x00\xc0", CHASSIS: OFF, **POWER_SDR}, 0.0, "", "off", id="sensor 0 W while off"
        ),
        pytest.param({SENSOR: b"\x35\xe0", **POWER_SDR}, None, "no_reading", "on", id="unavailable"),
        pytest.param({SENSOR: b"\x35\x80", **POWER_SDR}, None, "no_reading", "on", id="not scanned"),
        pytest.param({SENSOR: 0xCB, **POWER_SDR}, None, "no_reading", "on", id="sensor gone"),
        pytest.param({SENSOR: b"\x35", **POWER_SDR}, None, "data", "on", id="short sensor answer"),
        pytest.param({DCMI: 0xD4, SENSOR: b"\x35\xc0", **POWER_SDR}, 212.0, "", "on", id="D4, then sensor"),
        pytest.param(
            {DCMI: ZERO_ACTIVE, SENSOR: b"\x35\xc0", **POWER_SDR}, 212.0, "", "on", id="0, then sensor"
        ),
        pytest.param(
            {DCMI: ZERO_INACTIVE, SENSOR: b"\x35\xc0", **POWER_SDR},
            212.0,
            "",
            "on",
            id="inactive, then sensor",
        ),
        pytest.param(
            {DCMI: GOOD_DCMI[:9], SENSOR: b"\x35\xc0", **POWER_SDR}, 212.0, "", "on", id="short, then sensor"
        ),
        pytest.param({DCMI: 0xC1, **repository([])}, None, "unsupported", "on", id="empty repository"),
    ],
)
async def test_what_comes_out(answers, watts, error, host):
    """A value, or none with the reason; 0 W only of a host that is off."""
    reader, _ = build(answers)
    poll = await reader.poll()
    assert (watts_of(poll), poll.error, poll.host) == (watts, error, {None: host})
    assert bool(poll.message) == bool(error)
    for reading in poll.readings:
        if reading.watts is None:
            assert (reading.avg_w, reading.min_w, reading.max_w) == (None, None, None)


async def test_dcmi_that_lies_about_measuring_is_found_out():
    """The value moves though the bit says no (OpenBMC): believed from the third value on, and remembered."""
    facts = {}
    reader, transport = build({}, facts)
    seen = []
    for watts in (300, 300, 310, 305, 320):
        transport.answers[DCMI] = inactive(watts)
        seen.append(watts_of(await reader.poll()))
    assert seen == [None, None, None, 305, 320]
    again, _ = build({DCMI: inactive(311)}, facts)
    assert watts_of(await again.poll()) == 311


async def test_a_busy_bmc_is_asked_again_and_the_source_stays():
    """C0h once costs a second request; C0h for long is `busy`, and only then another source takes over."""
    codes = [0xC0]
    reader, transport = build({DCMI: lambda _, **__: codes.pop() if codes else GOOD_DCMI, **POWER_SDR})
    transport.answers[SENSOR] = b"\x35\xc0"
    assert watts_of(await reader.poll()) == 216
    transport.answers[DCMI] = 0xC0
    outcomes = [await reader.poll() for _ in range(4)]
    assert [poll.error for poll in outcomes[:2]] == ["busy", "busy"]
    assert outcomes[-1].source == "sdr"
    assert watts_of(outcomes[-1]) == 212.0


async def test_a_source_that_was_busy_at_first_is_not_lost():
    """A busy first poll is read from the sensor; the next one goes to DCMI, which is the better source."""
    answers = [0xC0, 0xC0, 0xC0]
    reader, transport = build({DCMI: lambda _, **__: answers.pop() if answers else GOOD_DCMI, **POWER_SDR})
    transport.answers[SENSOR] = b"\x35\xc0"
    assert [(await reader.poll()).source for _ in range(3)] == ["sdr", "dcmi", "dcmi"]


async def test_a_source_without_values_is_left_out_and_looked_at_again():
    """DCMI that measures nothing costs three polls, then the sensor is asked alone for ten minutes."""
    clock = Clock()
    reader, transport = build({DCMI: ZERO_INACTIVE, SENSOR: b"\x35\xc0", **POWER_SDR}, clock=clock)
    polls = [await reader.poll() for _ in range(5)]
    assert {poll.source for poll in polls} == {"sdr"}
    assert polls[4].requests == 1
    transport.answers[DCMI] = GOOD_DCMI
    clock.now_ns += 601 * 10**9
    assert (await reader.poll()).source == "dcmi"


async def test_a_bmc_that_fails_for_a_while_is_never_given_up():
    """Busy, silent in all sources for many polls: the first good answer is a value again."""
    reader, transport = build({DCMI: 0xFF, SENSOR: b"\x35\xe0", **POWER_SDR})
    for _ in range(10):
        assert (await reader.poll()).error in {"data", "no_reading"}
    transport.answers[DCMI] = GOOD_DCMI
    assert watts_of(await reader.poll()) == 216


@pytest.mark.parametrize("standby_w", [0, 8])
async def test_a_host_that_is_switched_off_and_on_is_seen(standby_w):
    """A fall of the power costs one chassis status; while off, each poll asks."""
    reader, transport = build({DCMI: GOOD_DCMI})
    await reader.poll()
    standby = b"\xdc" + standby_w.to_bytes(2, "little") + ZERO_ACTIVE[3:]
    transport.answers.update({DCMI: standby, CHASSIS: OFF})
    off = await reader.poll()
    assert (watts_of(off), off.host, off.requests) == (standby_w, {None: "off"}, 2)
    transport.answers.update({DCMI: GOOD_DCMI, CHASSIS: ON})
    on = await reader.poll()
    assert (watts_of(on), on.host, on.requests) == (216, {None: "on"}, 2)
    assert (await reader.poll()).requests == 1


def supplies(values):
    return lambda data, **_: values[data[0]]


async def test_power_supplies_are_added_up():
    """Parts make a total; the step is that of one sensor; inputs are on the AC side."""
    reader, transport = build({SENSOR: supplies({1: b"\x20\xc0", 2: b"\x10\xc0"}), **TWO_SUPPLIES})
    transport.answers[DEVICE] = bytes.fromhex("20 01 06 10 02 bf 570100 0001")
    poll = await reader.poll()
    assert (watts_of(poll), poll.readings[0].side, poll.readings[0].quantum_w) == (192.0, "ac", 4.0)


@pytest.mark.parametrize("missing", [b"\x00\xe0", b"\x00\x80", 0xCB])
async def test_a_supply_that_never_was_there_does_not_count(missing):
    """An empty bay reads "unavailable", "not scanned" or CBh: the other supply is the whole power."""
    reader, _ = build({SENSOR: supplies({1: b"\x20\xc0", 2: missing}), **TWO_SUPPLIES})
    assert watts_of(await reader.poll()) == 128.0


@pytest.mark.parametrize("missing", [b"\x00\xe0", 0xCB])
async def test_a_supply_that_drops_out_is_waited_for(missing):
    """Half the power is worse than none: no value for two polls, then it counts as taken out."""
    values = {1: b"\x20\xc0", 2: b"\x10\xc0"}
    reader, _ = build({SENSOR: supplies(values), **TWO_SUPPLIES})
    assert watts_of(await reader.poll()) == 192.0
    values[2] = missing
    polls = [await reader.poll() for _ in range(3)]
    assert [watts_of(poll) for poll in polls] == [None, None, 128.0]
    assert polls[0].error == "no_reading"
    assert "PS2" in polls[0].message
    values[2] = b"\x08\xc0"
    assert watts_of(await reader.poll()) == 160.0


async def test_sensors_that_are_gone_are_looked_for_again():
    """A renumbered repository is read anew once the sensors answer CBh."""
    reader, transport = build({SENSOR: b"\x35\xc0", **POWER_SDR})
    assert watts_of(await reader.poll()) == 212.0
    transport.answers.update(repository([record("Pwr Consumption", number=9)]))
    transport.answers[SENSOR] = lambda data, **_: b"\x36\xc0" if data == b"\x09" else 0xCB
    polls = [await reader.poll() for _ in range(2)]
    assert [watts_of(poll) for poll in polls] == [None, 216.0]


async def test_a_new_log_in_asks_who_is_there():
    """After a re-login the device id is read again; a changed repository is read anew."""
    reader, transport = build({SENSOR: b"\x35\xc0", **POWER_SDR})
    await reader.poll()
    transport.log_ins = 2
    transport.answers.update(repository([record("Pwr Consumption", number=1, m=8), record("X", record_id=2)]))
    assert watts_of(await reader.poll()) == 424.0


async def test_a_poll_that_fails_as_a_whole_raises():
    """Silence in the middle of a poll is an error of the poll; the reader goes on afterwards."""
    reader, transport = build({DCMI: BmcUnreachableError("no answer", reason="timeout")})
    with pytest.raises(BmcError) as caught:
        await reader.poll()
    assert caught.value.reason == "timeout"
    transport.answers[DCMI] = GOOD_DCMI
    assert watts_of(await reader.poll()) == 216
    await reader.close()
    assert transport.closed


async def test_a_reading_is_dated_in_the_middle_of_its_request(monkeypatch):
    """The wall clock at the answer minus half the time since the request, also after a busy answer."""
    clock = Clock()
    reader, _ = build({DCMI: GOOD_DCMI}, clock=clock)
    reading = (await reader.poll()).readings[0]
    assert 0 <= clock.now_ns - reading.sampled_at_ns < 0.5e9
    assert reading.sampled_at_ns == clock.now_ns - int(reading.latency_s * 5e8)


_ANSWER = st.one_of(st.binary(max_size=40), st.integers(0xC0, 0xFF))


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            DCMI: st.one_of(_ANSWER, st.binary(min_size=17, max_size=17).map(lambda rest: b"\xdc" + rest)),
            CHASSIS: _ANSWER,
            SENSOR: _ANSWER,
            DEVICE: _ANSWER,
            (0x0A, 0x20): _ANSWER,
            (0x0A, 0x22): _ANSWER,
            (0x0A, 0x23): _ANSWER,
        },
    ),
    st.booleans(),
)
async def test_whatever_a_bmc_answers_nothing_false_comes_out(answers, with_sensor):
    """Any bytes and codes: a poll or `BmcError`, reasons as in the schema, 0 W only of a host that is off."""
    base = {**POWER_SDR, SENSOR: b"\x35\xc0"} if with_sensor else {}
    calm = {key: value for key, value in answers.items() if value not in TRANSIENT_CODES}
    reader, _ = build({**base, **calm})
    for _ in range(2):
        try:
            poll = await reader.poll()
        except BmcError:
            continue
        assert poll.error in {"", *schema.ERRORS}
        assert poll.host[None] in schema.HOST_STATES
        if not poll.error:
            watts = watts_of(poll)
            assert watts is not None
            assert watts > 0 or (watts == 0 and poll.host[None] == "off")


@pytest.mark.parametrize(
    "damaged",
    [
        {"suite": "x", "absent": [], "sdr": []},
        {"absent": {"dcmi": 1, "sdr": {"since_ns": "now"}}, "source": 7},
        {"sdr": {"key": 1, "records": [1], "seen": None}, "identity": None},
    ],
)
async def test_a_damaged_memory_is_as_good_as_none(damaged):
    """Whatever the state file holds, the BMC is read."""
    reader, _ = build({SENSOR: b"\x35\xc0", **POWER_SDR}, damaged)
    assert [watts_of(await reader.poll()) for _ in range(2)] == [212.0, 212.0]


async def test_period_and_step_of_the_values_are_learned():
    """A BMC that renews every 30 s in steps of 8 W, polled every 5 s: DCMI's own step is only 1 W."""
    clock = Clock()
    clock.now_ns = 10**18

    def answer(_data, **_):
        number = clock.now_ns // (30 * 10**9)
        return _dcmi(200 + 8 * (number * 7 % 13))

    reader, _ = build({DCMI: answer}, clock=clock)
    for _ in range(300):
        last = (await reader.poll()).readings[0]
        clock.now_ns += 5 * 10**9
    assert last.refresh_s == pytest.approx(30, rel=0.1)
    assert last.quantum_w == 8.0


def _dcmi(watts):
    """Return an active Get Power Reading answer with the same value four times."""
    return b"\xdc" + watts.to_bytes(2, "little") * 4 + bytes(4) + b"\x60\xea\x00\x00\x40"
