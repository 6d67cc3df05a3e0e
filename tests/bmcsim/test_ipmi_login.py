"""Log-in to the simulated IPMI BMC, its status codes, and the life of a session."""

from __future__ import annotations

import asyncio

import pytest

from bmcsim.ipmi_console import DCMI_POWER, Bench, ipmi_message, v15, v20
from energyrecorder_bmcsim.ipmi.server import IpmiFault

CLOSE_SESSION = (0x06, 0x3C)
SET_PRIVILEGE = (0x06, 0x3B)
CHASSIS_STATUS = (0x00, 0x01)


@pytest.mark.parametrize("suite", [3, 17])
@pytest.mark.parametrize("kg", [b"", b"K" * 20])
async def test_log_in_and_read(suite, kg):
    """Both suites, with and without a BMC key, lead to a power reading."""
    async with Bench(kg=kg) as bench:
        console = await bench.logged_in(suite=suite, kg=kg)
        code, data = await console.command(*DCMI_POWER)
        assert code == 0
        assert data[:3] == bytes((0xDC, 213, 0))
        assert bench.bmc.stats() == {
            "requests": 5, "log_ins": 1, "live_sessions": 1, "refused": 0, "dropped": 0
        }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "options", "status"),
    [
        ({"suites": (3,)}, {"suite": 17}, 0x11),
        ({"suites": (17,)}, {"suite": 3}, 0x11),
        ({"suites": (3,), "suite_refusal": 0x04}, {"suite": 17}, 0x04),
        ({}, {"user": b"nobody"}, 0x0D),
        ({}, {"user": b"n" * 17}, 0x0C),
        ({}, {"role": 0x10}, 0x09),
        ({}, {"role": 0x15}, 0x09),
        ({"privilege_limit": 2}, {"role": 0x14}, 0x0A),
        ({"kg": b"K" * 20}, {}, "rakp4"),
        ({}, {"password": b"wrong"}, "rakp2"),
    ],
)
async def test_refused_log_ins(settings, options, status):
    """Each refusal has the standard's status (IPMI 2.0 table 13-15), and no session comes to life."""
    async with Bench(**settings) as bench:
        console = await bench.console()
        assert await console.log_in(**options) == status
        if isinstance(status, int):
            assert bench.bmc.stats()["refused"] == 1
            assert bench.bmc.stats()["live_sessions"] == 0


async def test_wrong_proof_ends_the_log_in():
    """RAKP message 3 with a wrong code: status 0Fh, then the session is unknown: 02h."""
    async with Bench() as bench:
        console = await bench.console()
        await console.open_session()
        assert (await console.rakp_1())[1] == 0
        rakp_3 = v20(0x14, bytes((3, 0, 0, 0)) + console.bmc_id.to_bytes(4, "little") + bytes(32))
        assert (await console.exchange(rakp_3))[17] == 0x0F
        assert (await console.exchange(rakp_3))[17] == 0x02


async def test_console_that_gives_up_gets_no_answer():
    """RAKP message 3 with an error status is not answered, and counts as a refused log-in."""
    async with Bench() as bench:
        console = await bench.console()
        await console.open_session()
        await console.rakp_1()
        rakp_3 = v20(0x14, bytes((3, 0x0F, 0, 0)) + console.bmc_id.to_bytes(4, "little"))
        assert await console.silent(rakp_3)
        assert bench.bmc.stats()["refused"] == 1


@pytest.mark.parametrize(
    ("suite", "status"),
    [((None, None, None), 0), ((3, None, None), 0), ((2, 2, 1), 0x11), ((3, 1, 1), 0x11), ((1, 1, 0), 0x11)],
)
async def test_proposals(suite, status):
    """A BMC fills in what a proposal leaves open, and refuses mixes that are no suite."""
    async with Bench() as bench:
        console = await bench.console()
        answer = await console.open_session(suite)
        assert answer[1] == status
        assert len(answer) == (8 if status else 36)
        if status == 0:
            assert (answer[16], answer[24], answer[32]) == (3, 4, 1)


async def test_suite_downgrade():
    """The downgrade fault answers SHA-256 with suite 3 and success."""
    async with Bench() as bench:
        bench.bmc.inject(IpmiFault("suite_downgrade", count=1))
        console = await bench.console()
        answer = await console.open_session(17)
        assert (answer[1], answer[16], answer[24], answer[32]) == (0, 1, 1, 1)
        assert (await console.open_session(17, tag=9))[16] == 3


@pytest.mark.parametrize(("kind", "result"), [("rakp2_code_wrong", "rakp2"), ("rakp4_code_wrong", "rakp4")])
async def test_wrong_codes(kind, result):
    """The fault spoils one code; the next log-in is good."""
    async with Bench() as bench:
        bench.bmc.inject(IpmiFault(kind, count=1))
        assert await (await bench.console()).log_in() == result
        assert await (await bench.console()).log_in() == 0


async def test_session_slots():
    """Full slots answer 01h; a pending log-in gives way; a closed session frees its slot."""
    async with Bench(max_sessions=2) as bench:
        first = await bench.logged_in()
        await (await bench.console()).open_session()
        await bench.logged_in()
        late = await bench.console()
        assert await late.log_in() == 0x01
        code, _ = await first.command(*CLOSE_SESSION, first.bmc_id.to_bytes(4, "little"))
        assert code == 0
        assert await late.log_in() == 0


async def test_slots_full_fault():
    """The fault refuses as often as told."""
    async with Bench() as bench:
        bench.bmc.inject(IpmiFault("slots_full", count=2))
        console = await bench.console()
        assert [await console.log_in() for _ in range(3)] == [1, 1, 0]


async def test_idle_session_ends():
    """After 60 s without a packet the BMC knows the session no more and stays silent."""
    async with Bench() as bench:
        console = await bench.logged_in()
        bench.clock.pass_s(59)
        assert (await console.command(*CHASSIS_STATUS))[0] == 0
        bench.clock.pass_s(61)
        assert await console.silent(console.sealed(ipmi_message(*CHASSIS_STATUS)))
        assert bench.bmc.stats()["live_sessions"] == 0


async def test_lost_answers_in_a_log_in():
    """Repeated log-in messages get the same answers and make no second session."""
    async with Bench(max_sessions=1) as bench:
        console = await bench.console()
        assert await console.open_session() == await console.open_session()
        assert await console.rakp_1() == await console.rakp_1()
        assert await console.log_in() == 0
        assert (await console.exchange(console.rakp_3))[17] == 0
        assert bench.bmc.stats()["log_ins"] == 1
        assert (await console.command(*CHASSIS_STATUS))[0] == 0


async def test_replayed_and_forged_packets_are_dropped():
    """A repeated number, a number far ahead, a wrong code and a bare command get no answer."""
    async with Bench() as bench:
        console = await bench.logged_in()
        request = ipmi_message(*CHASSIS_STATUS)
        datagram = console.sealed(request)
        await console.exchange(datagram)
        assert await console.silent(datagram)
        assert await console.silent(console.sealed(request, sequence=console.sequence + 17))
        assert await console.silent(console.sealed(request)[:-1] + b"\x00")
        plain = v20(0, request)
        assert await console.silent(plain[:6] + console.bmc_id.to_bytes(4, "little") + b"\x09" + plain[11:])
        assert bench.bmc.stats()["dropped"] == 4


async def test_privilege():
    """A session begins as user, may rise to its role and no further; outside, readings end with D4h."""
    async with Bench(privilege_limit=3) as bench:
        console = await bench.logged_in(role=0x13)
        assert await console.command(*SET_PRIVILEGE, b"\x00") == (0, b"\x03")
        assert await console.command(*SET_PRIVILEGE, b"\x04") == (0x81, b"")
        assert await console.command(*SET_PRIVILEGE, b"\x02") == (0, b"\x02")
        assert (await console.bare(*DCMI_POWER))[0] == 0xD4


async def test_callback_session_reads_nothing():
    """A session at callback level may only close itself."""
    async with Bench() as bench:
        console = await bench.console()
        await console.log_in(role=0x11)
        assert (await console.command(*DCMI_POWER))[0] == 0xD4
        assert (await console.command(*CLOSE_SESSION, console.bmc_id.to_bytes(4, "little")))[0] == 0
        assert bench.bmc.stats()["live_sessions"] == 0


async def test_session_info():
    """By this session, by number, by handle, by id; an empty place has handle 0."""
    async with Bench(max_sessions=4) as bench:
        console = await bench.logged_in()
        code, mine = await console.command(0x06, 0x3D, b"\x00")
        assert code == 0
        assert mine[:6] == bytes((1, 4, 1, 2, 4, 0x11))
        assert mine[6:10] == bytes((127, 0, 0, 1))
        own_id = b"\xff" + console.bmc_id.to_bytes(4, "little")
        for asked in (b"\x01", b"\xfe\x01", own_id):
            assert await console.command(0x06, 0x3D, asked) == (0, mine)
        assert await console.command(0x06, 0x3D, b"\x02") == (0, bytes((0, 4, 1)))
        assert (await console.command(0x06, 0x3D, b"\x05"))[0] == 0xCC


async def test_close_session_of_others():
    """Unknown id 87h, unknown handle 88h; an administrator may close another session."""
    async with Bench() as bench:
        first, second = await bench.logged_in(), await bench.logged_in()
        assert (await first.command(*CLOSE_SESSION, b"\x01\x00\x00\x00"))[0] == 0x87
        assert (await first.command(*CLOSE_SESSION, bytes((0, 0, 0, 0, 9))))[0] == 0x88
        assert (await first.command(*CLOSE_SESSION, bytes((0, 0, 0, 0, 2))))[0] == 0
        assert await second.silent(second.sealed(ipmi_message(*CHASSIS_STATUS)))


async def test_channel_commands_outside_a_session():
    """Capabilities announce RMCP+ only and a BMC key; cipher suites come as records."""
    async with Bench(kg=b"K" * 20) as bench:
        console = await bench.console()
        assert await console.bare(0x06, 0x38, b"\x8e\x04") == (0, bytes((1, 0x80, 0x24, 2, 0, 0, 0, 0)))
        assert await console.bare(0x06, 0x38, b"\x0e\x04") == (0, bytes((1, 0x00, 0x24, 0, 0, 0, 0, 0)))
        suites = bytes.fromhex("01 C0 03 01 41 81 C0 11 03 44 81")
        assert await console.bare(0x06, 0x54, b"\x0e\x00\x80") == (0, suites)
        assert await console.bare(0x06, 0x54, b"\x0e\x00\x81") == (0, b"\x01")
        assert (await console.bare(0x06, 0x38, b"\x82\x04"))[0] == 0xCC
        assert (await console.bare(0x06, 0x38, b"\x8e"))[0] == 0xC7
        assert (await console.bare(0x06, 0x99))[0] == 0xC1


async def test_v20_wrapper_outside_a_session():
    """A BMC answers in the wrapper of the request."""
    async with Bench() as bench:
        console = await bench.console()
        answer = await console.exchange(v20(0, ipmi_message(0x06, 0x37)))
        assert answer[4:6] == b"\x06\x00"
        assert len(answer[16:]) == 8 + 16


async def test_presence_ping():
    """A pong; with an RMCP sequence number the acknowledgement comes first."""
    async with Bench() as bench:
        console = await bench.console()
        ping = bytes.fromhex("06 00 FF 06 00 00 11 BE 80 2A 00 00")
        assert (await console.exchange(ping))[8:10] == bytes((0x40, 0x2A))
        assert await console.exchange(ping[:2] + b"\x07" + ping[3:]) == bytes((6, 0, 7, 0x86))
        assert (await console.receive())[8:10] == bytes((0x40, 0x2A))


async def test_bmc_reboot_forgets_sessions():
    """Silent while it lasts; afterwards old sessions are unknown and new ones are welcome."""
    async with Bench() as bench:
        console = await bench.logged_in()
        start_ns = bench.clock.now_ns + 5 * 10**9
        bench.bmc.inject(IpmiFault("bmc_reboot", start_ns=start_ns, end_ns=start_ns + 10**10))
        assert (await console.command(*CHASSIS_STATUS))[0] == 0
        bench.clock.pass_s(6)
        assert await console.silent(v15(ipmi_message(0x06, 0x38, b"\x8e\x04")))
        assert bench.bmc.stats()["live_sessions"] == 0
        bench.clock.pass_s(10)
        assert await console.silent(console.sealed(ipmi_message(*CHASSIS_STATUS)))
        assert (await bench.logged_in()).bmc_id != console.bmc_id


async def test_reboot_that_nobody_noticed_forgets_sessions_too():
    """No packet needs to arrive during the silence."""
    async with Bench() as bench:
        console = await bench.logged_in()
        now_ns = bench.clock.now_ns
        bench.bmc.inject(IpmiFault("bmc_reboot", start_ns=now_ns + 10**9, end_ns=now_ns + 2 * 10**9))
        bench.clock.pass_s(3)
        assert await console.silent(console.sealed(ipmi_message(*CHASSIS_STATUS)))


async def test_silence_keeps_sessions():
    """After the silence the session goes on."""
    async with Bench() as bench:
        console = await bench.logged_in()
        bench.bmc.inject(IpmiFault("silent", count=1))
        assert await console.silent(console.sealed(ipmi_message(*CHASSIS_STATUS)))
        assert (await console.command(*CHASSIS_STATUS))[0] == 0


async def test_slow_answers_queue():
    """A BMC works on one request after the other: three at once take three times as long."""
    async with Bench(latency_s=0.03) as bench:
        console = await bench.console()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for _ in range(3):
            console.send(v15(ipmi_message(0x06, 0x37)))
        for _ in range(3):
            await console.receive()
        assert loop.time() - began_s >= 0.09
        bench.bmc.inject(IpmiFault("slow", latency_s=0.1, count=1))
        began_s = loop.time()
        await console.bare(0x06, 0x37)
        assert loop.time() - began_s >= 0.13


async def test_fifty_bmcs_in_one_process():
    """Fifty BMCs answer concurrent log-ins and readings, and give their sockets back."""
    benches = [Bench() for _ in range(50)]
    try:
        for bench in benches:
            await bench.__aenter__()
        consoles = await asyncio.gather(*(bench.logged_in() for bench in benches))
        answers = await asyncio.gather(*(console.command(*DCMI_POWER) for console in consoles))
        assert all(code == 0 for code, _ in answers)
    finally:
        for bench in benches:
            await bench.__aexit__()
