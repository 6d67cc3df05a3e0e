"""The HTTP server of one simulated BMC: who is asking, what for, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from energyrecorder_bmcsim.faults import Fault, FaultPlan, read_fault, with_payload
from energyrecorder_bmcsim.listener import Listener
from energyrecorder_bmcsim.live import LiveBmc
from energyrecorder_bmcsim.payload import normal_path
from energyrecorder_bmcsim.power import NS_PER_S
from energyrecorder_bmcsim.redfish.answer import BODY_FAULTS, SENDING_FAULTS, Answer, send
from energyrecorder_bmcsim.redfish.messages import error_body
from energyrecorder_bmcsim.redfish.resources import Resources
from energyrecorder_bmcsim.redfish.sessions import Session, SessionTable

_OPEN_PATHS = ("/redfish", "/redfish/v1", "/rest/v1", "/redfish/v1/odata", "/redfish/v1/$metadata")
"""What a client may read without logging in (DSP0266, section on authentication)."""

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Redfish"'}


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How a BMC's HTTP server behaves.

    Args:
        port: Port on 127.0.0.1; 0 means any free one.
        context: TLS settings; None means plain HTTP.
        auth: ``session+basic``, ``session`` or ``basic``.
        latency_s: Time that the BMC takes to answer, seconds.
        base: Folder that names of payloads start from, for faults that are added later.
    """

    port: int = 0
    context: ssl.SSLContext | None = None
    auth: str = "session+basic"
    latency_s: float = 0.0
    base: Path = Path()


class HttpBmc:
    """A BMC that speaks Redfish or iLO REST.

    Args:
        settings: How the server behaves.
        resources: What it serves.
        sessions: Who may read it.
        faults: What goes wrong.
        live: Live side; None for a BMC that only serves what was captured.
    """

    def __init__(
        self,
        settings: HttpSettings,
        resources: Resources,
        sessions: SessionTable,
        faults: FaultPlan,
        live: LiveBmc | None,
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._sessions = sessions
        self._faults = faults
        self._live = live
        self._requests = 0
        self._sessions_path = _sessions_path(resources)
        self._server: web.Server | None = None
        self._listener: Listener | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    async def start(self) -> int:
        """Listen and return the port.

        Raises:
            OSError: The port is taken.
        """
        self._server = web.Server(self._handle)
        self._listener = Listener(
            self._server,
            context=self._settings.context,
            stalled=lambda: self._faults.find("tls_stall", time.time_ns()) is not None,
        )
        port = self._listener.open(self._settings.port)
        for fault in self._faults.all():
            self._arm(fault)
        return port

    async def close(self) -> None:
        """Close the port and all connections."""
        for timer in self._timers:
            timer.cancel()
        if self._listener is not None:
            self._listener.close()
        if self._server is not None:
            await self._server.shutdown(timeout=0.2)

    def stats(self) -> dict[str, int]:
        """See `energyrecorder_bmcsim.fleet.Server`."""
        counted = self._sessions.stats
        return {
            "requests": self._requests,
            "log_ins": counted.log_ins,
            "basic_requests": counted.basic_requests,
            "live_sessions": len(self._sessions.live(time.time_ns())),
            "most_sessions": counted.most_sessions,
            "refused": counted.refused,
        }

    def add_fault(self, raw: Mapping[str, Any], *, where: str, now_ns: int) -> tuple[int, int]:
        """See `energyrecorder_bmcsim.fleet.Server`."""
        fault = read_fault({"at_s": 0, **raw}, where=where, now_ns=now_ns, speed=1.0)
        fault = with_payload(fault, base=self._settings.base, where=f"{where}: key 'payload'")
        self._faults.add(fault)
        self._arm(fault)
        return fault.start_ns, fault.end_ns

    def _arm(self, fault: Fault) -> None:
        """Set the timers of a fault that concerns the port."""
        if self._listener is None:
            return
        if fault.kind == "refuse":
            self._at(fault.start_ns, self._go_down)
            self._at(fault.end_ns, self._listener.resume)
        elif fault.kind == "tls_stall":
            self._at(fault.end_ns, self._listener.hang_up)

    def _at(self, at_ns: int, action: Callable[[], None]) -> None:
        delay_s = max(0.0, (at_ns - time.time_ns()) / NS_PER_S)
        # Beyond a year it is "never"; epoll could not wait for it anyway.
        if delay_s < 365 * 86400:
            self._timers.add(asyncio.get_running_loop().call_later(delay_s, action))

    def _go_down(self) -> None:
        """Restart as a BMC does: connections and sessions are lost, the port refuses."""
        self._sessions.drop_all()
        if self._listener is not None:
            self._listener.refuse()
        if self._server is not None:
            for connection in list(self._server.connections):
                connection.force_close()
                if connection.transport is not None:
                    connection.transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._requests += 1
        path = normal_path(request.rel_url.raw_path)
        now_ns = time.time_ns()
        slow = self._faults.strike(("slow",), path, now_ns)
        # A reading is taken half-way through the time that the BMC needs to answer.
        half_s = self._settings.latency_s / 2
        if slow is not None or half_s:
            await asyncio.sleep(half_s + (slow.options["delay_s"] if slow else 0.0))
        now_ns = time.time_ns()
        clock_ns = self._faults.clock_ns(now_ns)
        answer, sending_fault = await self._answer(request, path, now_ns)
        if half_s:
            await asyncio.sleep(half_s)
        return await send(request, answer, clock_ns=clock_ns, fault=sending_fault)

    async def _answer(self, request: web.BaseRequest, path: str, now_ns: int) -> tuple[Answer, Fault | None]:
        early = self._refused_early(request, path, now_ns)
        if early is not None:
            return early, None
        if path.startswith(self._sessions_path) and "session" in self._settings.auth:
            return await self._about_sessions(request, path, now_ns), None
        # Without sessions nobody may POST, whoever asks: "not allowed" says so, 401 would be a refusal.
        allowed = request.method != "POST" or "session" in self._settings.auth
        if allowed and path not in _OPEN_PATHS and not self._authorised(request, path, now_ns):
            return _unauthorized(), None
        if request.method not in ("GET", "HEAD"):
            return Answer(405, error_body("OperationNotAllowed"), {"Allow": "GET, HEAD"}), None
        return self._resource(path, now_ns)

    def _refused_early(self, request: web.BaseRequest, path: str, now_ns: int) -> Answer | None:
        busy = self._faults.strike(("busy",), path, now_ns)
        if busy is not None:
            return _busy(busy)
        if path not in _OPEN_PATHS and self._faults.strike(("unauthorized",), path, now_ns):
            return _unauthorized()
        return self._redirected(request, path, now_ns)

    def _redirected(self, request: web.BaseRequest, path: str, now_ns: int) -> Answer | None:
        """Return the answer that sends the client elsewhere; None: it is right here."""
        raw_path = request.rel_url.raw_path
        forms = {"redirect_slash": raw_path.rstrip("/") + "/", "redirect_case": raw_path.lower()}
        for kind, form in forms.items():
            if request.method not in ("GET", "HEAD") or form == raw_path:
                continue
            redirect = self._faults.strike((kind,), path, now_ns)
            if redirect is not None:
                return Answer(redirect.options["status"], b"", {"Location": form})
        away = self._faults.strike(("redirect_away",), path, now_ns)
        if away is None:
            return None
        scheme = "http" if self._settings.context is None else "https"
        return Answer(302, b"", {"Location": f"{scheme}://{away.options['host']}{raw_path}"})

    def _authorised(self, request: web.BaseRequest, path: str, now_ns: int) -> bool:
        token = request.headers.get("X-Auth-Token")
        if token is not None and "session" in self._settings.auth:
            session = self._sessions.by_token(token, now_ns)
            return session is not None and not self._expires(session, path, now_ns)
        header = request.headers.get("Authorization")
        if header is None or "basic" not in self._settings.auth:
            return False
        return self._sessions.accepts_basic(header)

    def _expires(self, session: Session, path: str, now_ns: int) -> bool:
        fault = self._faults.find("session_expiry", now_ns)
        if fault is None or session.calls <= fault.options["calls"]:
            return False
        if not fault.strikes(path, now_ns):
            return False
        self._sessions.drop(session)
        return True

    async def _about_sessions(self, request: web.BaseRequest, path: str, now_ns: int) -> Answer:
        if path == self._sessions_path and request.method == "POST":
            return self._log_in(await request.read(), request, now_ns)
        if not self._authorised(request, path, now_ns):
            return _unauthorized()
        if path == self._sessions_path:
            members = [{"@odata.id": f"{path}/{s.session_id}"} for s in self._sessions.live(now_ns)]
            return _json(200, {"@odata.id": path, "Members": members, "Members@odata.count": len(members)})
        session = self._sessions.by_id(path.removeprefix(f"{self._sessions_path}/"), now_ns)
        if session is None:
            return Answer(404, error_body("ResourceMissingAtURI"))
        if request.method == "DELETE":
            self._sessions.drop(session)
            return Answer(204)
        return _json(200, _session_body(path, session))

    def _log_in(self, body: bytes, request: web.BaseRequest, now_ns: int) -> Answer:
        try:
            given = json.loads(body)
            user, password = given["UserName"], given["Password"]
        except (ValueError, TypeError, KeyError):
            return Answer(400, error_body("MalformedJSON"))
        if not self._sessions.accepts(user, password):
            return _unauthorized()
        limited = self._faults.strike(("session_limit",), self._sessions_path, now_ns)
        if limited is not None or self._sessions.full(now_ns):
            status = 503 if limited is None else limited.options["status"]
            return Answer(status, error_body("SessionLimitExceeded"))
        session = self._sessions.create(now_ns)
        location = f"{self._sessions_path}/{session.session_id}"
        headers = {"X-Auth-Token": session.token, "Location": location}
        if self._resources.payload.absolute_location:
            scheme = "http" if self._settings.context is None else "https"
            headers["Location"] = f"{scheme}://{request.host}{location}"
        return _json(201, _session_body(location, session), headers)

    def _resource(self, path: str, now_ns: int) -> tuple[Answer, Fault | None]:
        if self._faults.find("redirect_case", now_ns) is not None:
            path = self._resources.spelled(path)
        if self._faults.strike(("missing",), path, now_ns):
            return Answer(404, error_body("ResourceMissingAtURI")), None
        switched = self._faults.find("payload_switch", now_ns)
        if switched is not None:
            body = switched.options["payload"].bodies.get(path)
        else:
            body = self._resources.body(path, self._live.view(now_ns) if self._live else None)
        if body is None:
            return Answer(404, error_body("ResourceMissingAtURI")), None
        fault = self._faults.strike((*BODY_FAULTS, *SENDING_FAULTS), path, now_ns)
        if fault is not None and fault.kind in BODY_FAULTS:
            return BODY_FAULTS[fault.kind](body, fault), None
        return Answer(200, body), fault


def _busy(fault: Fault) -> Answer:
    wait_s = fault.options["retry_after_s"]
    if fault.options["said_in"] == "text":
        return Answer(503, error_body("SYS518", wait_s=wait_s))
    return Answer(503, error_body("ServiceTemporarilyUnavailable"), {"Retry-After": str(wait_s)})


def _unauthorized() -> Answer:
    return Answer(401, error_body("NoValidSession"), _CHALLENGE)


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), headers)


def _session_body(path: str, session: Session) -> dict[str, str]:
    kind = "#Session.v1_3_0.Session"
    return {"@odata.id": path, "@odata.type": kind, "Id": session.session_id, "Name": "User Session"}


def _sessions_path(resources: Resources) -> str:
    """Return where sessions are made: what the service root links to, else the path of the standard."""
    for root in ("/redfish/v1", "/rest/v1"):
        tree = resources.payload.tree(root)
        if not isinstance(tree, dict):
            continue
        links = tree.get("Links") or tree.get("links") or {}
        sessions = links.get("Sessions", {}) if isinstance(links, dict) else {}
        target = sessions.get("@odata.id") or sessions.get("href")
        if isinstance(target, str):
            return normal_path(target)
        if root == "/rest/v1":
            return "/rest/v1/Sessions"
    return "/redfish/v1/SessionService/Sessions"
