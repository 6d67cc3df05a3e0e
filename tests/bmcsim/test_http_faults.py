"""Each HTTP fault, as a client sees it, and the end of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time

import aiohttp
import pytest

from energyrecorder_bmcsim.faults import KINDS, Fault, FaultPlan
from support.bmcsim import PASSWORD, USER, basic, simulated

DELL = (
    '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\n'
    "power = { steps = [[0, 200], [0.3, 400]] }\nsensor = { refresh_s = 0.1, window_s = 0 }\n"
)
ILO = '[[bmc]]\nid = "a"\nprotocol = "ilo5"\npower = { constant_w = 321 }\n'
POWER = "/redfish/v1/Chassis/System.Embedded.1/Power"
METER = "/redfish/v1/Chassis/1/Power/FastPowerMeter"
SESSIONS = "/redfish/v1/SessionService/Sessions"

TESTED = set()


def about(*kinds):
    """Mark which kinds of fault a test is about; the last test here asks for all of them."""
    TESTED.update(kinds)
    return lambda function: function


@contextlib.asynccontextmanager
async def faulty(tmp_path, fault, table=DELL):
    async with simulated(tmp_path, table + f"faults = [{fault}]\n") as sim:
        yield sim


async def fetch(sim, path=POWER, **more):
    """Return status, headers and raw body."""
    more.setdefault("headers", basic())
    async with sim.client.get(sim.url("a", path), **more) as answer:
        return answer.status, answer.headers, await answer.read()


def consumed_w(body):
    return json.loads(body)["PowerControl"][0]["PowerConsumedWatts"]


async def _took_s(work):
    started = time.monotonic()
    await work
    return time.monotonic() - started


@about("slow")
async def test_slow_waits_before_the_headers(tmp_path):
    async with faulty(tmp_path, "{ kind = 'slow', delay_s = 0.4, count = 1 }") as sim:
        started = time.monotonic()
        assert (await fetch(sim))[0] == 200
        assert time.monotonic() - started >= 0.4
        # It strikes once; a busy machine may be slow by itself now and then.
        assert min([await _took_s(fetch(sim)) for _ in range(10)]) < 0.4


@about("drip")
async def test_drip_sends_a_whole_body_little_by_little(tmp_path):
    async with faulty(tmp_path, "{ kind = 'drip', bytes_per_s = 4000 }") as sim:
        whole = len(sim.fleet.bmcs["a"].spec.payload.bodies[POWER])
        started = time.monotonic()
        _, _, body = await fetch(sim)
        assert consumed_w(body) in (200, 400)
        assert time.monotonic() - started >= 0.7 * whole / 4000


@about("busy")
async def test_busy_answers_503_with_retry_after_for_a_number_of_requests(tmp_path):
    async with faulty(tmp_path, "{ kind = 'busy', retry_after_s = 7, count = 2 }") as sim:
        answers = [await fetch(sim) for _ in range(3)]
        assert [status for status, _, _ in answers] == [503, 503, 200]
        assert answers[0][1]["Retry-After"] == "7"


@about("busy")
async def test_busy_can_say_so_in_the_text_alone(tmp_path):
    async with faulty(tmp_path, "{ kind = 'busy', retry_after_s = 30, said_in = 'text' }") as sim:
        status, headers, body = await fetch(sim)
        assert (status, "Retry-After" in headers) == (503, False)
        assert "Wait for 30 seconds" in body.decode()


@about("session_expiry")
async def test_session_expiry_forgets_the_token(tmp_path):
    async with faulty(tmp_path, "{ kind = 'session_expiry', calls = 2, count = 1 }") as sim:
        token = {"X-Auth-Token": (await sim.log_in("a"))["X-Auth-Token"]}
        statuses = [(await fetch(sim, headers=token))[0] for _ in range(4)]
        assert statuses == [200, 200, 401, 401]
        assert (await sim.ask("/stats"))["a"]["live_sessions"] == 0
        token = {"X-Auth-Token": (await sim.log_in("a"))["X-Auth-Token"]}
        assert [(await fetch(sim, headers=token))[0] for _ in range(4)] == [200] * 4


@about("session_limit")
@pytest.mark.parametrize("status", [503, 400])
async def test_session_limit_refuses_log_ins_and_leaves_basic(tmp_path, status):
    async with faulty(tmp_path, f"{{ kind = 'session_limit', status = {status}, count = 1 }}") as sim:
        body = {"UserName": USER, "Password": PASSWORD}
        async with sim.client.post(sim.url("a", SESSIONS), json=body) as answer:
            assert answer.status == status
            assert "SessionLimitExceeded" in await answer.text()
        assert (await fetch(sim))[0] == 200
        await sim.log_in("a")


@about("unauthorized")
async def test_unauthorized_refuses_right_credentials_and_counts_no_refusal(tmp_path):
    async with faulty(tmp_path, "{ kind = 'unauthorized', count = 2 }") as sim:
        assert (await fetch(sim, "/redfish/v1"))[0] == 200
        async with sim.client.post(sim.url("a", SESSIONS), json={}) as answer:
            assert answer.status == 401
        assert [(await fetch(sim))[0] for _ in range(2)] == [401, 200]
        assert (await sim.ask("/stats"))["a"]["refused"] == 0


@about("reset_mid_body", "close_mid_body")
@pytest.mark.parametrize("kind", ["reset_mid_body", "close_mid_body"])
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_half_a_body_and_then_nothing(tmp_path, kind, scheme):
    table = DELL + f'scheme = "{scheme}"\n'
    async with faulty(tmp_path, f"{{ kind = '{kind}', count = 1 }}", table) as sim:
        with pytest.raises(aiohttp.ClientError):
            await fetch(sim)
        assert (await fetch(sim))[0] == 200


@about("reset_mid_body", "close_mid_body")
@pytest.mark.parametrize(
    ("kind", "error"), [("reset_mid_body", ConnectionResetError), ("close_mid_body", None)]
)
async def test_a_reset_is_rst_and_a_close_is_fin(tmp_path, kind, error):
    async with faulty(tmp_path, f"{{ kind = '{kind}' }}", DELL + 'scheme = "http"\n') as sim:
        port = sim.fleet.bmcs["a"].port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {POWER} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic()['Authorization']}\r\n\r\n".encode()
        )
        if error is None:
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            assert len(body) == length // 2
        else:
            with pytest.raises(error):
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@about("truncated_json", "html", "trailing_comma", "two_objects")
@pytest.mark.parametrize("kind", ["truncated_json", "html", "trailing_comma", "two_objects"])
async def test_bodies_that_are_no_json_with_status_200(tmp_path, kind):
    async with faulty(tmp_path, f"{{ kind = '{kind}', path = '*/Power', count = 1 }}") as sim:
        assert json.loads((await fetch(sim, "/redfish/v1/Chassis"))[2])  # another path
        status, headers, body = await fetch(sim)
        assert status == 200
        with pytest.raises(ValueError, match=r".+"):
            json.loads(body)
        assert headers["Content-Type"].startswith("text/html" if kind == "html" else "application/json")
        if kind == "two_objects":
            decoder = json.JSONDecoder()
            first, end = decoder.raw_decode(body.decode())
            assert list(first) == ["error"]
            assert consumed_w(body[end:])
        assert consumed_w((await fetch(sim))[2])


@about("tls_stall")
async def test_tls_stall_accepts_and_stays_silent_until_it_is_over(tmp_path):
    async with faulty(tmp_path, "{ kind = 'tls_stall', at_s = 0, for_s = 0.6 }") as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.fleet.bmcs["a"].port)
        writer.write(b"\x16\x03\x01")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 5) == b""  # hung up when it is over
        writer.close()
        assert (await fetch(sim))[0] == 200


@about("refuse")
async def test_refuse_drops_connections_and_sessions_and_comes_back_on_the_same_port(tmp_path):
    async with simulated(tmp_path, DELL) as sim:
        token = {"X-Auth-Token": (await sim.log_in("a"))["X-Auth-Token"]}
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.fleet.bmcs["a"].port)
        await sim.order("/fault", {"server": "a", "kind": "refuse", "for_s": 0.5})
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await fetch(sim)
        assert isinstance(caught.value.os_error, ConnectionRefusedError)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    assert (await fetch(sim, headers=token))[0] == 401
                    break
                await asyncio.sleep(0.05)
        assert (await fetch(sim))[0] == 200


@about("null", "zero")
@pytest.mark.parametrize(("kind", "value"), [("null", None), ("zero", 0)])
async def test_readings_are_hidden_and_everything_else_stays(tmp_path, kind, value):
    async with faulty(tmp_path, f"{{ kind = '{kind}' }}") as sim:
        power = json.loads((await fetch(sim))[2])
        control = power["PowerControl"][0]
        assert [control["PowerConsumedWatts"], control["PowerMetrics"]["AverageConsumedWatts"]] == [value] * 2
        assert power["PowerSupplies"][0]["PowerInputWatts"] == 900
        system = json.loads((await fetch(sim, "/redfish/v1/Systems/System.Embedded.1"))[2])
        assert system["PowerState"] == "On"


@about("null", "zero")
@pytest.mark.parametrize(("kind", "value"), [("null", None), ("zero", 0)])
async def test_meters_are_hidden_too(tmp_path, kind, value):
    async with faulty(tmp_path, f"{{ kind = '{kind}' }}", ILO) as sim:
        meter = json.loads((await fetch(sim, METER))[2])
        assert meter["Average"] == value
        if kind == "zero":
            assert {detail["Average"] for detail in meter["PowerDetail"]} == {0}


@about("stale")
@pytest.mark.parametrize(("fault", "shown_w"), [("{ kind = 'stale', at_s = 0 }", 200), ("", 400)])
async def test_a_stale_reading_stands_still(tmp_path, fault, shown_w):
    """Power rises 1 ms after the start; the reading stays as it was at the start."""
    async with faulty(tmp_path, fault, DELL.replace("0.3", "0.001").replace("0.1", "0")) as sim:
        assert (await sim.ask("/power", server="a"))["watts"] == 400
        assert consumed_w((await fetch(sim))[2]) == shown_w


@about("clock_skew")
async def test_a_skewed_clock_shows_in_date_datetime_and_records(tmp_path):
    async with faulty(tmp_path, "{ kind = 'clock_skew', skew_s = -86400 }", ILO) as sim:
        manager = (await fetch(sim, "/redfish/v1/Managers/1"))[2]
        _, headers, meter = await fetch(sim, METER)
        yesterday = time.gmtime(time.time() - 86400)
        assert headers["Date"].startswith(time.strftime("%a, %d %b %Y %H:", yesterday))
        day = time.strftime("%Y-%m-%dT%H:", yesterday)
        assert json.loads(manager)["DateTime"].startswith(day)
        assert json.loads(meter)["PowerDetail"][-1]["Time"].startswith(day[:11])


@about("redirect_slash")
async def test_redirects_lead_to_the_path_with_a_slash(tmp_path):
    async with faulty(tmp_path, "{ kind = 'redirect_slash', status = 301 }") as sim:
        status, headers, _ = await fetch(sim, allow_redirects=False)
        assert (status, headers["Location"]) == (301, f"{POWER}/")
        assert (await fetch(sim, f"{POWER}/", allow_redirects=False))[0] == 200


@about("redirect_case")
async def test_redirects_lead_to_the_path_in_lower_case(tmp_path):
    async with faulty(tmp_path, "{ kind = 'redirect_case', status = 301 }") as sim:
        status, headers, _ = await fetch(sim, allow_redirects=False)
        assert (status, headers["Location"]) == (301, POWER.lower())
        assert consumed_w((await fetch(sim, POWER.lower(), allow_redirects=False))[2]) in (200, 400)


@about("missing")
async def test_resources_can_be_missing_for_a_while(tmp_path):
    async with faulty(tmp_path, "{ kind = 'missing', path = '*/Power', count = 1 }") as sim:
        assert (await fetch(sim, "/redfish/v1/Chassis"))[0] == 200
        assert [(await fetch(sim))[0] for _ in range(2)] == [404, 200]


@about("redirect_away")
async def test_redirects_lead_to_another_host(tmp_path):
    async with faulty(tmp_path, "{ kind = 'redirect_away', host = 'elsewhere:8443' }") as sim:
        status, headers, _ = await fetch(sim, allow_redirects=False)
        assert (status, headers["Location"]) == (302, f"https://elsewhere:8443{POWER}")


async def test_old_tls_is_all_that_some_bmcs_speak(tmp_path):
    """A client of today is refused; one that allows old versions gets TLS 1.1."""
    async with simulated(tmp_path, DELL + "old_tls = true\n") as sim:
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetch(sim)
        context = ssl.create_default_context(cafile=sim.fleet.ca_file)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")
        status, _, _ = await fetch(sim, ssl=context)
        assert status == 200


@about("payload_switch")
async def test_another_payload_takes_the_place_of_the_first(tmp_path):
    (tmp_path / "new.json").write_text('{"/redfish/v1/Chassis": {"Name": "after the update"}}')
    async with simulated(tmp_path, DELL) as sim:
        await sim.order(
            "/fault", {"server": "a", "kind": "payload_switch", "payload": "new.json", "for_s": 60}
        )
        assert (await fetch(sim))[0] == 404
        assert json.loads((await fetch(sim, "/redfish/v1/Chassis"))[2])["Name"] == "after the update"


def test_times_and_counts_of_a_plan():
    plan = FaultPlan([Fault("busy", 100, 200, count=2, path="*/Power")])
    assert plan.strike(["busy"], "/a/Power", 99) is None
    assert plan.strike(["busy"], "/a/Thermal", 150) is None
    assert plan.strike(["slow"], "/a/Power", 150) is None
    assert plan.strike(["busy"], "/a/Power", 150) is not None
    assert plan.find("busy", 150) is not None
    assert plan.strike(["busy"], "/a/Power", 199) is not None
    assert plan.strike(["busy"], "/a/Power", 199) is None


def test_every_kind_of_fault_has_a_test_here():
    assert set(KINDS) == TESTED
