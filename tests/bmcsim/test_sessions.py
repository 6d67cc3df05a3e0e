"""Log-ins on a simulated BMC: sessions, Basic, limits, expiry, the open service root."""

from __future__ import annotations

import pytest

from energyrecorder.secret import Secret
from energyrecorder_bmcsim.power import NS_PER_S
from energyrecorder_bmcsim.redfish.sessions import SessionTable
from support.bmcsim import PASSWORD, USER, basic, simulated

DELL = '[[bmc]]\nid = "a"\nprotocol = "redfish"\npayload = "dell-r640-idrac9"\npower = { constant_w = 200 }\n'
POWER = "/redfish/v1/Chassis/System.Embedded.1/Power"
SESSIONS = "/redfish/v1/SessionService/Sessions"


async def test_log_in_read_log_out(tmp_path):
    async with simulated(tmp_path, DELL) as sim:
        headers = await sim.log_in("a")
        token = {"X-Auth-Token": headers["X-Auth-Token"]}
        assert headers["Location"] == f"{SESSIONS}/1"
        assert (await sim.get("a", POWER, headers=token))["Id"] == "Power"
        listing = await sim.get("a", SESSIONS, headers=token)
        assert listing["Members"] == [{"@odata.id": f"{SESSIONS}/1"}]
        async with sim.client.delete(sim.url("a", headers["Location"]), headers=token) as answer:
            assert answer.status == 204
        async with sim.client.get(sim.url("a", POWER), headers=token) as answer:
            assert answer.status == 401
            error = (await answer.json())["error"]
            assert error["@Message.ExtendedInfo"][0]["MessageId"].startswith("Base.")
        stats = (await sim.ask("/stats"))["a"]
        assert (stats["log_ins"], stats["live_sessions"], stats["refused"]) == (1, 0, 0)


async def test_wrong_passwords_are_refused_and_counted(tmp_path):
    async with simulated(tmp_path, DELL) as sim:
        body = {"UserName": USER, "Password": "wrong"}
        async with sim.client.post(sim.url("a", SESSIONS), json=body) as answer:
            assert answer.status == 401
        async with sim.client.get(sim.url("a", POWER), headers=basic("wrong")) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
        async with sim.client.get(sim.url("a", POWER), headers={"Authorization": "Basic !"}) as answer:
            assert answer.status == 401
        assert (await sim.ask("/stats"))["a"]["refused"] == 3


@pytest.mark.parametrize("path", ["/redfish/v1", "/redfish/v1/"])
async def test_the_service_root_is_open_and_nothing_else_is(tmp_path, path):
    async with simulated(tmp_path, DELL) as sim:
        async with sim.client.get(sim.url("a", path)) as answer:
            assert answer.status == 200
        for closed in ("/redfish/v1/Chassis", "/redfish/v1/nowhere", SESSIONS):
            async with sim.client.get(sim.url("a", closed)) as answer:
                assert answer.status == 401, closed


async def test_the_session_limit_answers_503(tmp_path):
    async with simulated(tmp_path, DELL + "session_limit = 1\n") as sim:
        await sim.log_in("a")
        body = {"UserName": USER, "Password": PASSWORD}
        async with sim.client.post(sim.url("a", SESSIONS), json=body) as answer:
            assert answer.status == 503
            assert "SessionLimitExceeded" in await answer.text()
        await sim.get("a", POWER)  # Basic still works


@pytest.mark.parametrize(("auth", "status"), [("basic", 405), ("session", 201)])
async def test_ways_to_log_in(tmp_path, auth, status):
    async with simulated(tmp_path, DELL + f'auth = "{auth}"\n') as sim:
        body = {"UserName": USER, "Password": PASSWORD}
        more = {"headers": basic()} if auth == "basic" else {}
        async with sim.client.post(sim.url("a", SESSIONS), json=body, **more) as answer:
            assert answer.status == status
        async with sim.client.get(sim.url("a", POWER), headers=basic()) as answer:
            assert answer.status == (200 if auth == "basic" else 401)


async def test_ilo_4_sessions_have_their_own_path_and_a_whole_url(tmp_path):
    table = '[[bmc]]\nid = "a"\nprotocol = "ilo4-2.10"\npower = { constant_w = 200 }\n'
    async with simulated(tmp_path, table) as sim:
        headers = await sim.log_in("a", "/rest/v1/Sessions")
        assert headers["Location"] == sim.url("a", "/rest/v1/Sessions/1")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"UserName": "x"}', b"\xff"])
async def test_a_malformed_log_in_is_400(tmp_path, body):
    async with simulated(tmp_path, DELL) as sim, sim.client.post(sim.url("a", SESSIONS), data=body) as answer:
        assert answer.status == 400


def test_a_session_ends_when_it_is_not_used():
    table = SessionTable("u", Secret("p"), limit=2, expiry_s=10)
    session = table.create(0)
    assert table.by_token(session.token, 9 * NS_PER_S) is session
    assert table.by_token(session.token, 19 * NS_PER_S) is session
    assert table.by_token(session.token, 30 * NS_PER_S) is None
    assert table.live(30 * NS_PER_S) == []
