"""Requests to a BMC: log-in in all its answers, redirects, bounds, and what may never leave this process."""

from __future__ import annotations

import contextlib
import time

import pytest
from aiohttp import web

from energyrecorder.errors import BmcAuthError, BmcDataError, BmcError
from energyrecorder_execd.http import BmcHttp, HttpClients, HttpStatusError, transport
from energyrecorder_execd.http.errors import asked_wait_s
from energyrecorder_execd.readers.base import Context, Memory
from support.scripted import scripted, session_made

SESSIONS = "/redfish/v1/SessionService/Sessions"
DOCUMENTS = {"/redfish/v1/Chassis": {"Members": []}}


@contextlib.asynccontextmanager
async def client(aim, facts=None, clock=time.time_ns):
    clients = HttpClients()
    http = BmcHttp(aim, clients, {} if facts is None else facts, Context(Memory(), clock))
    try:
        yield http
    finally:
        await http.close()
        await clients.close()


def _log_in_answers(status, body=None, path=SESSIONS):
    """Answer log-ins at ``path`` with a status; elsewhere there are no sessions; Basic is always right."""

    def respond(request):
        if request.method == "POST":
            return web.json_response(body or {}, status=status if request.path == path else 404)
        return None

    return respond


def _refusal(message_id):
    return {"error": {"@Message.ExtendedInfo": [{"MessageId": message_id}]}}


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_bmc_without_sessions_is_read_by_basic(status):
    """Not found and not allowed, at both paths, say that sessions are not offered."""
    facts = {}
    async with scripted(DOCUMENTS, _log_in_answers(status)) as bmc, client(bmc.target(), facts) as http:
        await http.get("/redfish/v1/Chassis")
        await http.get("/redfish/v1/Chassis")
        posts = [path for method, path in bmc.asked if method == "POST"]
        assert posts == [SESSIONS, "/redfish/v1/Sessions"]
        assert bmc.headers[-1]["Authorization"].startswith("Basic ")
        assert facts["auth"] == "basic"


async def test_idrac8_makes_sessions_at_its_own_path():
    """405 at the standard's path leads to /redfish/v1/Sessions, which is remembered."""

    def respond(request):
        if request.method == "POST":
            return session_made() if request.path == "/redfish/v1/Sessions" else web.Response(status=405)
        return None

    facts = {}
    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target(), facts) as http:
        await http.get("/redfish/v1/Chassis")
        assert bmc.headers[-1]["X-Auth-Token"] == "t0ken"
        assert "Authorization" not in bmc.headers[-1]
        assert facts["sessions_path"] == "/redfish/v1/Sessions"
    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target(), facts) as http:
        await http.get("/redfish/v1/Chassis")
        assert bmc.asked[0] == ("POST", "/redfish/v1/Sessions")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, None),
        (403, None),
        (400, _refusal("iLO.2.14.UnauthorizedLoginAttempt")),
        (400, _refusal("Base.1.8.AuthenticationFailed")),
    ],
)
async def test_a_refused_log_in_is_one_attempt(status, body):
    """Neither another path nor Basic follows; the message names the account, not its password."""
    async with scripted(DOCUMENTS, _log_in_answers(status, body)) as bmc, client(bmc.target()) as http:
        with pytest.raises(BmcAuthError) as refusal:
            await http.get("/redfish/v1/Chassis")
        assert refusal.value.reason == "auth"
        assert "'monitor'" in str(refusal.value)
        assert "s3cret" not in str(refusal.value)
        assert bmc.asked == [("POST", SESSIONS)]


@pytest.mark.parametrize("message_id", ["Base.1.8.SessionLimitExceeded", "IDRAC.2.5.RAC0218"])
async def test_a_full_session_table_leads_to_basic(message_id):
    """Full is no refusal."""
    respond = _log_in_answers(503, _refusal(message_id))
    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target()) as http:
        await http.get("/redfish/v1/Chassis")
        assert [method for method, _ in bmc.asked] == ["POST", "GET"]


async def test_basic_that_is_refused_is_a_refused_log_in():
    """401 to Basic is reason auth, after one request with the password."""

    def respond(request):
        return web.Response(status=401 if request.method == "GET" else 405)

    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target()) as http:
        with pytest.raises(BmcAuthError) as refusal:
            await http.get("/redfish/v1/Chassis")
        assert refusal.value.reason == "auth"
        assert [method for method, _ in bmc.asked].count("GET") == 1


async def test_one_forbidden_resource_costs_one_log_in_in_all():
    """401 even with a new session is a missing privilege; it leads to no further log-in, ever."""

    def respond(request):
        if request.method == "POST":
            return session_made()
        return web.Response(status=401) if request.path == "/secret" else None

    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target()) as http:
        for _ in range(3):
            with pytest.raises(HttpStatusError) as denied:
                await http.get("/secret")
            assert denied.value.reason == "privilege"
            await http.get("/redfish/v1/Chassis")
        assert bmc.asked.count(("POST", SESSIONS)) == 2


async def test_a_session_that_only_ever_gave_401_is_made_anew_ever_more_seldom():
    """A BMC that makes sessions while it boots but honours none comes back; until then log-ins are few."""
    now_ns, booting = [0], [True]

    def respond(request):
        if request.method == "POST":
            return session_made()
        return web.Response(status=401) if booting[0] else None

    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target(), clock=lambda: now_ns[0]) as http:
        log_ins = []
        for minute in range(24 * 60):
            now_ns[0] = minute * 60 * 10**9 + 1
            with pytest.raises(HttpStatusError):
                await http.get("/redfish/v1/Chassis")
            log_ins.append(bmc.asked.count(("POST", SESSIONS)))
        assert log_ins[10] > log_ins[0] >= 2
        assert log_ins[-1] <= 16
        booting[0] = False
        now_ns[0] += 6 * 3600 * 10**9
        await http.get("/redfish/v1/Chassis")
        await http.get("/redfish/v1/Chassis")


async def test_a_session_without_a_token_is_no_endless_story():
    """201 without X-Auth-Token fails the poll; Basic is not tried with a BMC that behaves like that."""

    def respond(request):
        return web.json_response({}, status=201) if request.method == "POST" else None

    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target()) as http:
        with pytest.raises(BmcError) as failure:
            await http.get("/redfish/v1/Chassis")
        assert failure.value.reason == "protocol"
        assert bmc.asked == [("POST", SESSIONS)]


@pytest.mark.parametrize(
    "location",
    ["{base}/redfish/v1/SessionService/Sessions/7", "/redfish/v1/SessionService/Sessions/7"],
)
async def test_the_location_of_a_session_is_remembered_as_a_path(location):
    """Also where the BMC gives a whole address (iLO 4 and 5); log-out deletes it."""
    facts = {}

    def respond(request):
        if request.method == "POST":
            return session_made(location=location.format(base=f"http://127.0.0.1:{request.url.port}"))
        return None

    async with scripted(DOCUMENTS, respond) as bmc:
        async with client(bmc.target(), facts) as http:
            await http.get("/redfish/v1/Chassis")
            assert facts["session"] == "/redfish/v1/SessionService/Sessions/7"
        assert bmc.asked[-1] == ("DELETE", "/redfish/v1/SessionService/Sessions/7")


@pytest.mark.parametrize(
    ("status", "deleted_with"),
    [(204, ["old"]), (401, ["old"]), (404, ["old"]), (403, ["old", "t0ken"]), (500, ["old", "t0ken"])],
)
async def test_the_session_of_a_killed_process_is_ended_by_its_own_token(status, deleted_with):
    """Before the log-in; by the new session only where the BMC refused that."""
    facts = {"session": f"{SESSIONS}/3", "token": "old"}

    def respond(request):
        if request.method == "DELETE":
            return web.Response(status=status)
        return session_made() if request.method == "POST" else None

    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target(), facts) as http:
        await http.get("/redfish/v1/Chassis")
        sent = list(zip(bmc.asked, bmc.headers, strict=True))
        assert sent[0][0] == ("DELETE", f"{SESSIONS}/3")
        deletions = [head for asked, head in sent if asked == ("DELETE", f"{SESSIONS}/3")]
        assert [head["X-Auth-Token"] for head in deletions] == deleted_with
        assert not any("Authorization" in head for head in deletions)
        assert facts["token"] == "t0ken"


async def test_a_session_whose_token_is_not_known_is_deleted_by_the_next_one():
    """As the state file of an older release has it."""
    facts = {"session": f"{SESSIONS}/3"}

    def respond(request):
        if request.method == "DELETE":
            return web.Response(status=204)
        return session_made() if request.method == "POST" else None

    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target(), facts) as http:
        await http.get("/redfish/v1/Chassis")
        assert bmc.asked[:2] == [("POST", SESSIONS), ("DELETE", f"{SESSIONS}/3")]
        assert bmc.headers[1]["X-Auth-Token"] == "t0ken"
        assert facts["session"] == f"{SESSIONS}/1"


@pytest.mark.parametrize(
    "elsewhere",
    ["http://127.0.0.2:{port}/x", "https://127.0.0.1:{port}/x", "http://127.0.0.1:1/x", "//evil/x", ""],
)
async def test_a_redirect_elsewhere_is_not_followed(elsewhere):
    """Another host, port or scheme gets neither token nor password."""

    def respond(request):
        if request.method == "POST":
            return session_made()
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": elsewhere.format(port=request.url.port)})
        return None

    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target()) as http:
        with pytest.raises(BmcDataError) as refused:
            await http.get("/moved")
        assert refused.value.reason == "protocol"
        # Never followed from plain HTTP either: but the fleet file may say so.
        assert ("leave http:// out" in str(refused.value)) == elsewhere.startswith("https://127.0.0.1")
        assert ("give its port, 1," in str(refused.value)) == elsewhere.startswith("http://127.0.0.1:1")
        assert [path for _, path in bmc.asked] == [SESSIONS, "/moved"]


async def test_redirects_in_a_circle_end():
    """After a few."""

    def respond(request):
        if request.method == "POST":
            return session_made()
        return web.Response(status=308, headers={"Location": request.path})

    async with scripted({}, respond) as bmc, client(bmc.target()) as http:
        with pytest.raises(BmcDataError):
            await http.get("/circle")
        assert len(bmc.asked) < 10


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_without_end_is_refused(monkeypatch, chunked):
    """Whether or not its length is announced."""
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1000)

    async def drip():
        for _ in range(50):
            yield b"x" * 100

    def respond(request):
        if request.method == "POST":
            return session_made()
        return web.Response(body=drip() if chunked else b"x" * 5000)

    async with scripted({}, respond) as bmc, client(bmc.target()) as http:
        with pytest.raises(BmcDataError, match="longer than 1000 bytes"):
            await http.get("/endless")


async def test_environment_variables_change_nothing(monkeypatch):
    """Neither proxies nor CA files from the environment are used."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    respond = _log_in_answers(404)
    async with scripted(DOCUMENTS, respond) as bmc, client(bmc.target()) as http:
        assert (await http.get("/redfish/v1/Chassis")).document == {"Members": []}


async def test_percent_encoded_paths_stay_as_they_are():
    """Old iDRACs have ids such as 0x17%7C%7CFan.Embedded.1A."""
    respond = _log_in_answers(404)
    async with scripted({}, respond) as bmc, client(bmc.target()) as http:
        with pytest.raises(HttpStatusError):
            await http.get("/redfish/v1/Sensors/0x17%7C%7CFan?$skip=75")
        assert bmc.asked[-1] == ("GET", "/redfish/v1/Sensors/0x17%7C%7CFan?$skip=75")


@pytest.mark.parametrize(
    ("header", "body", "expected_s"),
    [
        ("30", "", 30.0),
        (None, "Wait for 30 seconds and retry the operation.", 30.0),
        (None, "data sources are unavailable. Retry the operation after 2 minutes.", 120.0),
        (None, "Wait for one minute, and then retry the operation.", 60.0),
        (None, "After 30 secs, resubmit the request.", 30.0),
        (None, "Retry in 30s.", 30.0),
        (None, "Retry in a few minutes.", None),
        ("5", "Wait for 30 seconds", 5.0),
        (None, "The 30 second timer ran out", None),
        (None, "wait. 30 seconds", None),
        (None, "retry in 9999 minutes", 3600.0),
        (None, "", None),
    ],
)
def test_what_a_busy_bmc_asks_for(header, body, expected_s):
    """By the header, else in the text of the message; nothing is made up."""
    assert asked_wait_s(header, body.encode(), now_s=0.0) == expected_s
