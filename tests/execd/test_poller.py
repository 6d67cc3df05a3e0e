"""One poll of one BMC, whatever its reader does: one outcome, its reason, and an informed guard."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

import pytest
from line_protocol_parser import parse_line

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError, BmcUnreachableError, ConfigError
from energyrecorder.secret import Secret
from energyrecorder_execd.emit import Outcome
from energyrecorder_execd.fleet import Server
from energyrecorder_execd.fleet.hosts import parse_host
from energyrecorder_execd.guard import LockoutGuard
from energyrecorder_execd.lockout_file import LockoutFile
from energyrecorder_execd.loop import CALM_POLLS, Voice
from energyrecorder_execd.poller import Poller, Tools
from energyrecorder_execd.readers.base import Memory, Poll, Reading, ServerInfo, Target
from execd.virtual_time import in_virtual_time
from execd.waiting import until


def good_poll(**more):
    reading = Reading(100.0, time.time_ns(), "poll", "redfish", "power_control")
    return Poll((reading,), {None: "on"}, "redfish", "power_control", 1, **more)


class Scripted:
    """A reader that does what the test says."""

    def __init__(self, act):
        self.act = act
        self.polls = 0
        self.requests = 0

    async def poll(self):
        self.polls += 1
        self.requests += 2
        result = self.act(self)
        return await result if asyncio.iscoroutine(result) else result

    async def close(self):
        raise RuntimeError("the log-out failed")


def server(server_id="a", host="10.0.0.1", timeout_s=0.2, protocol="redfish"):
    target = Target(server_id, host, None, "https", "monitor", Secret("sikrit"), timeout_s=timeout_s)
    return Server(server_id, "pod1", protocol, 1.0, "lab", {}, target, "fleet.toml")


class Bench:
    """Pollers over one lock-out file."""

    def __init__(self, folder, act):
        self.now_s = 1_700_000_000.0
        self.file = LockoutFile(folder)
        self.reader = Scripted(act)
        guard = LockoutGuard(self.file, lambda: int(self.now_s * 1e9))
        self.tools = Tools(guard, self.make, self.file.credential)

    def make(self, _protocol, _target, context):
        self.heard = context.heard
        return self.reader

    def poller(self, **more):
        return Poller(server(**more), Memory({}), self.tools)


def _raises(error):
    def act(_reader):
        raise error

    return act


async def test_a_poll_that_works(tmp_path):
    """Its lines are there, and the credential is proven."""
    bench = Bench(tmp_path, lambda _: good_poll())
    poller = bench.poller()
    outcome = await poller.poll()
    assert outcome.error == ""
    assert [line.split(",")[0] for line in poller.lines(outcome, 0)] == ["server_power", "server_bmc"]
    assert bench.file.current().proven
    await poller.close()


@pytest.mark.parametrize(
    ("host", "protocol", "url"),
    [
        ("10.0.0.7", "redfish", "https://10.0.0.7"),
        ("bmc-7.lab.example", "ilo", "https://bmc-7.lab.example"),
        ("bmc-7:8443", "redfish", "https://bmc-7:8443"),
        ("http://10.0.0.7", "redfish", "http://10.0.0.7"),
        ("http://10.0.0.7:8080", "redfish", "http://10.0.0.7:8080"),
        ("fd00::7", "redfish", "https://[fd00::7]"),
        ("[fd00::7]:8443", "ilo", "https://[fd00::7]:8443"),
        # Usable on this machine alone.
        ("fe80::7%eth0", "redfish", None),
        # Whether it has a page is unknown, and a port is not that of one.
        ("10.0.0.7:623", "ipmi", None),
    ],
)
async def test_where_its_web_server_is_goes_with_the_description(tmp_path, host, protocol, url):
    """Scheme, host and port that are asked; neither account nor path."""
    where = parse_host(host)
    bench = Bench(tmp_path, lambda _: replace(good_poll(info=ServerInfo(model="M")), protocol=protocol))
    plain = server(protocol=protocol)
    target = replace(
        plain.target, address=where.address, port=where.port, scheme=where.scheme or plain.target.scheme
    )
    poller = Poller(replace(plain, target=target), Memory({}), bench.tools)
    lines = [parse_line(line) for line in (await poller.poll()).lines]
    (fields,) = (line["fields"] for line in lines if line["measurement"] == "server_info")
    assert fields == {"model": "M"} | ({} if url is None else {"bmc_url": url})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BmcUnreachableError("refused", reason="unreachable"), "unreachable"),
        (BmcUnreachableError("certificate", reason="tls"), "tls"),
        (BmcDataError("/x: null", reason="data"), "data"),
        (BmcError("503", reason="busy"), "busy"),
        (BmcAuthError("D4", reason="privilege"), "privilege"),
        (TimeoutError(), "timeout"),
        (ConfigError("protocol 'ipmi' needs 'cryptography'"), "unsupported"),
        (KeyError("Watts"), "data"),
        (ValueError("\n\n"), "data"),
        (RecursionError(), "data"),
        (OSError(28, "full"), "data"),
        (StopAsyncIteration(), "data"),
    ],
)
async def test_each_failure_is_an_outcome(tmp_path, error, reason):
    """No exception gets out, nothing is claimed of the host, and only a refused log-in counts as one."""
    bench = Bench(tmp_path, _raises(error))
    poller = bench.poller()
    outcome = await poller.poll()
    assert outcome.error == reason
    (line,) = poller.lines(outcome, 0)
    assert 'up=0i,host="unknown",' in line
    assert f'error="{reason}"' in line
    assert not bench.file.current().refusals
    assert not bench.file.current().claims


async def test_a_value_of_a_wrong_type_concerns_this_bmc_alone(tmp_path):
    """The line cannot be written: `data`."""
    reading = Reading("212", time.time_ns(), "poll", "redfish", "power_control")
    bench = Bench(tmp_path, lambda _: Poll((reading,), {None: "on"}, "redfish", "power_control", 1))
    poller = bench.poller()
    outcome = await poller.poll()
    assert outcome.error == "data"
    assert len(poller.lines(outcome, 0)) == 1


async def test_a_hung_bmc_ends_at_its_deadline_and_gets_more_time_until_it_answered_once(tmp_path):
    """A first poll has more to ask than later ones; four times the deadline is the most."""
    bench = Bench(tmp_path, lambda _: asyncio.sleep(60))
    poller = bench.poller(timeout_s=0.05)
    for allowed_s in (0.05, 0.1, 0.2, 0.2):
        await assert_ends_at(poller, allowed_s)
    # One that answered and falls silent gets more time with every second poll.
    bench.reader.act = lambda _: good_poll()
    bench.tools = replace(bench.tools, monotonic=lambda: 0.0)
    poller._tools = bench.tools
    await poller.poll()
    poller._tools = replace(bench.tools, monotonic=time.monotonic)
    bench.reader.act = lambda _: asyncio.sleep(60)
    for allowed_s in (0.05, 0.05, 0.1, 0.05, 0.2):
        await assert_ends_at(poller, allowed_s)


async def assert_ends_at(poller, allowed_s):
    """Poll a BMC that hangs; how late the loop of a busy machine wakes is not what is tested."""
    outcome = await poller.poll()
    assert outcome.error == "timeout"
    assert outcome.message == f"no answer within {allowed_s:g} s"
    assert outcome.scrape_s >= allowed_s * 0.9
    assert "requests=2i" in poller.lines(outcome, 0)[-1]


@in_virtual_time
async def test_a_bmc_that_answers_slowly_is_not_given_up_while_it_looks_around(tmp_path):
    """Six answers of 2 s in 9 s do not go; others learn of the accepted log-in before the poll is done."""

    async def look_around():
        for number in range(6):
            await asyncio.sleep(2)
            bench.heard(number > 1)
            proven.append(bool(bench.file.current().proven))
        return good_poll()

    proven = []
    bench = Bench(tmp_path, lambda _: look_around())
    bench.tools = replace(bench.tools, monotonic=asyncio.get_running_loop().time)
    outcome = await bench.poller(timeout_s=9.0).poll()
    assert (outcome.error, outcome.scrape_s) == ("", pytest.approx(12))
    assert proven == [False, False, True, True, True, True]


async def test_hurry_ends_a_poll_under_way_as_a_time_out(tmp_path):
    """So that its line is still written at the end of `run`."""
    bench = Bench(tmp_path, lambda _: asyncio.sleep(60))
    poller = bench.poller(timeout_s=60.0)
    poller.hurry()  # nothing under way: harmless
    task = asyncio.create_task(poller.poll())
    await until(lambda: bench.reader.polls)
    poller.hurry()
    async with asyncio.timeout(30):
        assert (await task).error == "timeout"


async def test_a_cancelled_poll_leaves_no_claim(tmp_path):
    """Else the credential would stay in doubt."""
    bench = Bench(tmp_path, lambda _: asyncio.sleep(60))
    task = asyncio.create_task(bench.poller(timeout_s=60.0).poll())
    await until(lambda: bench.reader.polls)
    assert bench.file.current().claims
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not bench.file.current().claims


async def test_a_refused_log_in_is_tried_again_after_a_minute_then_hourly(tmp_path):
    """`auth` until the second refusal, `locked` after it; no request goes out meanwhile."""
    bench = Bench(tmp_path, _raises(BmcAuthError("refused", reason="auth")))
    poller = bench.poller()
    seen = []
    for wait_s in (0.0, 10.0, 49.0, 2.0, 1.0, 3000.0, 700.0):
        bench.now_s += wait_s
        outcome = await poller.poll()
        seen.append((outcome.error, bench.reader.polls))
    assert seen == [
        ("auth", 1),
        ("auth", 1),
        ("auth", 1),
        ("auth", 2),
        ("locked", 2),
        ("locked", 2),
        ("auth", 3),
    ]
    bench.reader.act = lambda _: good_poll()
    bench.now_s += 3601.0
    assert (await poller.poll()).error == ""
    assert not bench.file.current().refusals


async def test_a_missing_right_is_no_refusal(tmp_path):
    """The password was accepted."""
    bench = Bench(tmp_path, _raises(BmcAuthError("D4", reason="privilege")))
    await bench.poller().poll()
    assert bench.file.current().proven


async def test_what_the_bmc_asked_us_to_wait_is_told(tmp_path):
    """`Retry-After`."""
    error = BmcError("503", reason="busy")
    error.retry_after_s = 30.0
    bench = Bench(tmp_path, _raises(error))
    poller = bench.poller()
    await poller.poll()
    assert poller.retry_after_s == 30.0


def test_the_reason_is_logged_once_per_change_of_state(caplog):
    """Going down, another reason, coming back; nothing while it stays the same."""
    caplog.set_level(logging.INFO)
    voice = Voice(server())
    for error in ("", "", "timeout", "timeout", "timeout", "data", "", ""):
        voice.heard(_outcome(error))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "server 'a' (10.0.0.1): timeout: because"),
        ("WARNING", "server 'a' (10.0.0.1): data: because"),
        ("INFO", "server 'a' (10.0.0.1): read again after 4 failed polls"),
    ]


def test_a_source_that_another_one_stands_in_for_is_logged_once(caplog):
    """A warning when it begins, a word when it is over for good; a failure in between counts as one."""
    caplog.set_level(logging.INFO)
    voice = Voice(server())
    up, stood_in, down = _outcome(""), _outcome("", "sensor stands in"), _outcome("data")
    calm = [up] * CALM_POLLS
    for outcome in (up, *[stood_in, up] * 9, stood_in, *calm, up, stood_in, down, stood_in, down, up, up):
        voice.heard(outcome)
    told = [record.getMessage().removeprefix("server 'a' (10.0.0.1): ") for record in caplog.records]
    assert told == [
        "sensor stands in",
        "read from its usual source again",
        "sensor stands in",
        "data: because",
        "sensor stands in",
        "data: because",
        "read again after 2 failed polls",
    ]


def _outcome(error, message=""):
    return Outcome(0, 0.0, None, error, "because" if error else message)
