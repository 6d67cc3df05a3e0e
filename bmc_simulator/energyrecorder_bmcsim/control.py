"""The control port: what truly happened, and how to make things happen."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from energyrecorder.errors import ConfigError
from energyrecorder.settings import Setting, read_table
from energyrecorder_bmcsim.fleet import Fleet, RunningBmc
from energyrecorder_bmcsim.live import LiveBmc
from energyrecorder_bmcsim.power import NS_PER_S

_LATEST_NS = 86400 * NS_PER_S
"""How far ahead of now power may be asked for: a formula is summed up to there."""

_REBOOT = (
    Setting("server", "str", "Id, or *.", default="*"),
    Setting("off_s", "float", "Real seconds.", default=10.0, minimum=0),
    Setting("standby_w", "float", "Watts meanwhile.", default=0.0, minimum=0),
)

_LOAD = (
    Setting("server", "str", "Id, or *.", default="*"),
    Setting("extra_w", "float", "Watts above the series, while the host is on.", required=True, minimum=0),
    Setting("for_s", "float", "Real seconds.", required=True, minimum=0),
)


class _RefusedError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What is wrong and what is allowed.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def _errors_as_json(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except _RefusedError as error:
        return web.json_response({"error": str(error)}, status=error.status)
    except ConfigError as error:
        return web.json_response({"error": str(error)}, status=400)
    return response


class Control:
    """The control server of a fleet.

    Args:
        fleet: The fleet, started.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        app = web.Application(middlewares=[_errors_as_json])
        app.add_routes(
            [
                web.get("/truth", self._truth),
                web.get("/power", self._power),
                web.get("/stats", self._stats),
                web.post("/reboot", self._reboot),
                web.post("/load", self._load),
                web.post("/fault", self._fault),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1 and return the port; 0 takes any free one.

        Raises:
            OSError: The port is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    def _select(self, names: list[str]) -> list[RunningBmc]:
        bmcs = self._fleet.bmcs
        if not names:
            raise _RefusedError(400, f"missing 'server'; allowed: *, {', '.join(bmcs)}")
        if "*" in names:
            return list(bmcs.values())
        unknown = next((name for name in names if name not in bmcs), None)
        if unknown is not None:
            raise _RefusedError(404, f"server is {unknown!r}; allowed: *, {', '.join(bmcs)}")
        return [bmcs[name] for name in dict.fromkeys(names)]

    def _with_power(self, names: list[str]) -> dict[str, LiveBmc]:
        selected = self._select(names)
        found = {bmc.spec.bmc_id: bmc.live for bmc in selected if bmc.live is not None}
        if not found or ("*" not in names and len(found) < len(selected)):
            raise _RefusedError(409, "a BMC without 'power' serves captured values: it has no true power")
        return found

    async def _truth(self, request: web.Request) -> web.Response:
        names = request.query.getall("server", [])
        from_ns, to_ns = _moment(request, "from"), _moment(request, "to")
        if to_ns < from_ns:
            raise _RefusedError(
                400, "'to' is before 'from'; allowed: nanoseconds since the Unix epoch, in order"
            )
        each_j = {
            name: live.timeline.energy_j(from_ns, to_ns) for name, live in self._with_power(names).items()
        }
        energy_j = sum(each_j.values())
        duration_s = (to_ns - from_ns) / NS_PER_S
        answer: dict[str, Any] = {
            "server": names[0] if len(names) == 1 else names,
            "from": from_ns,
            "to": to_ns,
            "energy_j": energy_j,
            "mean_w": energy_j / duration_s if duration_s else None,
        }
        if len(names) > 1 or names[0] == "*":
            answer["servers"] = each_j
        return web.json_response(answer)

    async def _power(self, request: web.Request) -> web.Response:
        names = request.query.getall("server", [])
        at_ns = _moment(request, "at", default_ns=time.time_ns())
        each = {
            name: {"watts": live.timeline.watts(at_ns), "host": "on" if live.host_on(at_ns) else "off"}
            for name, live in self._with_power(names).items()
        }
        if len(names) == 1 and names[0] in each:
            return web.json_response({"server": names[0], "at": at_ns, **each[names[0]]})
        return web.json_response({"at": at_ns, "servers": each})

    async def _stats(self, _request: web.Request) -> web.Response:
        return web.json_response({name: bmc.server.stats() for name, bmc in self._fleet.bmcs.items()})

    async def _reboot(self, request: web.Request) -> web.Response:
        values = read_table(await _body(request), _REBOOT, where="POST /reboot")
        now_ns = time.time_ns()
        off_times = {
            name: live.reboot(now_ns, off_s=values["off_s"], standby_w=values["standby_w"])
            for name, live in self._with_power([values["server"]]).items()
        }
        end_ns = max(off_time.end_ns for off_time in off_times.values())
        return web.json_response({"servers": list(off_times), "from": now_ns, "to": end_ns})

    async def _load(self, request: web.Request) -> web.Response:
        values = read_table(await _body(request), _LOAD, where="POST /load")
        now_ns = time.time_ns()
        loads = {
            name: live.load(now_ns, for_s=values["for_s"], extra_w=values["extra_w"])
            for name, live in self._with_power([values["server"]]).items()
        }
        end_ns = max(load.end_ns for load in loads.values())
        return web.json_response({"servers": list(loads), "from": now_ns, "to": end_ns})

    async def _fault(self, request: web.Request) -> web.Response:
        raw = dict(await _body(request))
        selected = self._select([str(raw.pop("server", "*"))])
        now_ns = time.time_ns()
        times_ns = [bmc.server.add_fault(raw, where="POST /fault", now_ns=now_ns) for bmc in selected]
        start_ns, end_ns = times_ns[0]
        names = [bmc.spec.bmc_id for bmc in selected]
        return web.json_response({"servers": names, "from": start_ns, "to": end_ns}, status=201)


def _moment(request: web.Request, name: str, default_ns: int | None = None) -> int:
    text = request.query.get(name)
    if text is None and default_ns is not None:
        return default_ns
    latest_ns = time.time_ns() + _LATEST_NS
    if text is None or not text.isdecimal() or int(text) > latest_ns:
        raise _RefusedError(
            400, f"{name!r} is {text!r}; allowed: nanoseconds since the Unix epoch, at most a day ahead"
        )
    return int(text)


async def _body(request: web.Request) -> Mapping[str, Any]:
    try:
        parsed = json.loads(await request.read())
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise _RefusedError(400, "the body must be a JSON object")
    return parsed
