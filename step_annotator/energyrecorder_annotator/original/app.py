"""The original recorder's routes with its bodies, codes and messages, as an application of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from energyrecorder_annotator.api.answers import Answer
from energyrecorder_annotator.api.bodies import Arrival
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.docs_page import add_docs
from energyrecorder_annotator.api.health import prove_writable
from energyrecorder_annotator.clocks import DEFAULT_ERROR_NS, ServerTime
from energyrecorder_annotator.journal.base import StepQuery
from energyrecorder_annotator.lifecycle import StepRefusedError
from energyrecorder_annotator.original import errors, stack
from energyrecorder_annotator.original.bodies import (
    ConsumptionBody,
    MeasurementsBody,
    ScenarioBody,
    StepBody,
    consumption_point,
    points,
)
from energyrecorder_annotator.original.errors import OriginalError
from energyrecorder_annotator.original.stack import Session
from energyrecorder_annotator.samples.base import Point
from energyrecorder_annotator.service import Service

_AT_ONCE = 1000
_MOST_NS = 2**63 - 2


def build_original_app(service: Service) -> ASGIApp:
    """Return the application; its paths are those without ``/resources``."""
    app = FastAPI(
        title="energyrecorder: original recording API",
        description="As clients of the original energyrecorder know it; new clients use /v1.",
        openapi_url="/swagger.json",
        docs_url=None,
        redoc_url=None,
        default_response_class=Answer,
    )
    app.state.service = service
    errors.install(app)
    app.get("/monitoring/ping", tags=["monitoring"])(ping)
    recorder = "/recorders/environment/{env}"
    app.get(recorder, tags=["recorders"])(get_session)
    app.post(recorder, tags=["recorders"])(start_session)
    app.delete(recorder, tags=["recorders"])(stop_session)
    app.post(f"{recorder}/step", tags=["recorders"])(set_step)
    app.post("/equipments/{equipement}/measurements", tags=["equipments"])(take_measurements)
    app.post("/servers/{server}/consumption", tags=["servers"])(take_consumption)
    add_docs(app, "/doc/", "swagger.json")
    return CORSMiddleware(app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])


async def _env(env: str, arrival: ArrivalDep, service: ServiceDep) -> str:
    """Return the environment that is meant by the path, if the caller may use it."""
    return _usable(env, arrival, service)


def _usable(name: str, arrival: Arrival, service: Service) -> str:
    env = service.recorder.env(name)
    if not arrival.caller.may_use(env):
        raise OriginalError(403, f"this token may not use environment {env!r}")
    return env


EnvDep = Annotated[str, Depends(_env)]
Id = Annotated[str, Path(min_length=1, max_length=200)]


async def ping(service: ServiceDep) -> Answer:
    """Tell that the service works: its journal can be written."""
    await prove_writable(service.journal)
    return Answer({"status": "OK"})


async def get_session(
    env: str, where: EnvDep, service: ServiceDep, time: Annotated[int | None, Query(ge=0, le=_MOST_NS)] = None
) -> Answer:
    """The running scenario and its step, now or at ``time`` (ns since the Unix epoch)."""
    found = await (_session(service, where) if time is None else _session_at(service, where, time))
    return _answer(env, found)


async def start_session(
    env: str, where: EnvDep, body: ScenarioBody, arrival: ArrivalDep, service: ServiceDep
) -> Answer:
    """A scenario begins, or goes on, with a step."""
    time, ttl_s = _time(arrival), service.config.legacy_ttl_s
    await service.recorder.take_plan(
        lambda view: stack.start(view, where, body.scenario, body.step, time=time, ttl_s=ttl_s),
        lambda _view: None,
        arrival.received_ns,
    )
    return _answer(env, Session(env, body.scenario, body.step))


async def set_step(
    env: str, where: EnvDep, body: StepBody, arrival: ArrivalDep, service: ServiceDep
) -> Answer:
    """The next step of the running scenario begins."""
    time = _time(arrival)
    found = await _refused_is_none(
        service.recorder.take_plan(
            lambda view: stack.set_step(view, where, body.step, time=time),
            lambda view: stack.session(view, where),
            arrival.received_ns,
        )
    )
    return _answer(env, found)


async def stop_session(env: str, where: EnvDep, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """The session ends, and every scenario that it nested; the answer is what ran last."""
    time = _time(arrival)
    before: list[Session | None] = []

    def plan(view: Any) -> Any:
        before.append(stack.session(view, where))
        return stack.stop(view, where, time=time)

    await _refused_is_none(service.recorder.take_plan(plan, lambda _view: None, arrival.received_ns))
    return _answer(env, before[0] if before else None)


async def take_measurements(
    equipement: Id, body: MeasurementsBody, arrival: ArrivalDep, service: ServiceDep
) -> Answer:
    """Measurements of an equipment; each is stored with its own time."""
    env = _usable(body.environment, arrival, service)
    await _refuse_unless_recording(service, env)
    _store(points(body, env, equipement, arrival.received_ns), service)
    return Answer({"status": "OK"})


async def take_consumption(
    server: Id, body: ConsumptionBody, arrival: ArrivalDep, service: ServiceDep
) -> Answer:
    """Power of a server, in watts."""
    env = _usable(body.environment, arrival, service)
    found = await _refuse_unless_recording(service, env)
    _store([consumption_point(body, env, server, arrival.received_ns)], service)
    return Answer(
        {
            "environment": body.environment,
            "scenario": stack.UNNAMED if found is None else found.scenario,
            "step": stack.UNNAMED if found is None else found.step,
            "power": body.power,
        }
    )


async def _refuse_unless_recording(service: Service, env: str) -> Session | None:
    found = await _session(service, env)
    if found is None and not service.config.always_record:
        # The original's answer; the sample is not kept, which is what its README promises of this setting.
        raise OriginalError(500, "An unhandled exception occurred.")
    return found


def _store(found: Sequence[Point], service: Service) -> None:
    if service.intake.is_full(len(found)):
        raise OriginalError(
            500, "Error while storing measurment: the sample store is behind; send it again later"
        )
    for point in found:
        service.intake.take(point)


async def _session(service: Service, env: str) -> Session | None:
    future = service.journal.submit(lambda transaction: stack.session(transaction, env))
    return await asyncio.wrap_future(future)


async def _session_at(service: Service, env: str, t_ns: int) -> Session | None:
    query = StepQuery(env=env, from_ns=t_ns, to_ns=t_ns + 1, limit=_AT_ONCE)
    pairs = await asyncio.to_thread(service.journal.list_steps, query)
    return stack.session_at(env, [step for step, _ in pairs], t_ns)


async def _refused_is_none(taking: Any) -> Any:
    try:
        return await taking
    except StepRefusedError:
        return None


def _answer(env: str, found: Session | None) -> Answer:
    if found is None:
        raise OriginalError(404, f'Can\'t find any recording session for recorder "{env}"')
    return Answer({"environment": env, "scenario": found.scenario, "step": found.step})


def _time(arrival: Arrival) -> ServerTime:
    return ServerTime(t_ns=arrival.received_ns, error_ns=DEFAULT_ERROR_NS)
