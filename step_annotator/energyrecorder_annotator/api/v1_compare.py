"""Routes that say whether runs got worse, and how many runs it takes to tell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from energyrecorder_annotator.api.answers import Answer, timed
from energyrecorder_annotator.api.bodies import Name
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.errors import ApiError
from energyrecorder_annotator.journal.base import StepQuery
from energyrecorder_annotator.selectors import MOST_RUNS, parse_selector
from energyrecorder_annotator.service import Service

if TYPE_CHECKING:
    from energyrecorder_annotator.comparing import Comparing

router = APIRouter(prefix="/v1", tags=["comparison"], default_response_class=Answer)

MOST_CANDIDATES = 20


def _selectable(text: str) -> str:
    parse_selector(text)
    return text


SelectorText = Annotated[Name, AfterValidator(_selectable)]
Alpha = Annotated[float, Field(gt=0, le=0.2)]
Effect = Annotated[float, Field(gt=0, le=10)]
Power = Annotated[float, Field(ge=0.5, le=0.94)]
Documents = Annotated[list[Literal["md", "junit"]], Field(max_length=2)]


class Question(BaseModel):
    """What counts as a change, and which runs are looked at."""

    min_effect: Effect = 0.05
    alpha: Alpha = 0.05
    power: Power = 0.8
    steps: bool = True
    env: Name | None = None


class CompareQuery(Question):
    """Candidates, each against the same baseline."""

    baseline: SelectorText
    candidate: Annotated[list[SelectorText], Field(min_length=1, max_length=MOST_CANDIDATES)]
    scenario: Name | None = None
    documents: Documents = []


class GateBody(Question):
    """What is judged, against what, and what fails."""

    model_config = ConfigDict(extra="forbid")

    candidate: SelectorText
    baseline: SelectorText | None = None
    scenario: Name | None = None
    budget_j: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    fail_on: list[Literal["regression", "inconclusive", "not-comparable"]] = ["regression"]
    documents: Documents = []


class PlanQuery(Question):
    """Which runs to learn from: the last of a scenario that passed."""

    scenario: Name
    last: Annotated[int, Field(ge=3, le=MOST_RUNS)] = 50


@router.post("/gate")
async def gate(body: GateBody, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """A verdict on the candidate: against a baseline, a budget, or both. Nothing is changed by it."""
    if body.baseline is None and body.budget_j is None:
        raise ApiError(422, "invalid_request", "baseline: needed unless there is a budget_j")
    answer = await asyncio.to_thread(_compared, body, arrival, service)
    return Answer(timed(answer, arrival.received_ns, service.clock))


@router.get("/compare")
async def compare(
    query: Annotated[CompareQuery, Query()], arrival: ArrivalDep, service: ServiceDep
) -> Answer:
    """Each candidate against the same baseline."""
    shared = query.model_dump(exclude={"candidate"})
    bodies = [GateBody(candidate=one, **shared) for one in query.candidate]
    found = [await asyncio.to_thread(_compared, body, arrival, service) for body in bodies]
    return Answer(timed({"comparisons": found}, arrival.received_ns, service.clock))


@router.get("/plan")
async def plan(query: Annotated[PlanQuery, Query()], arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """How many runs it takes to see a change of ``min_effect``."""
    found = await asyncio.to_thread(_planned, query, arrival, service)
    body = {"scenario": query.scenario, "env": query.env, **found}
    return Answer(timed(body, arrival.received_ns, service.clock))


def _comparing(arrival: ArrivalDep, service: Service) -> Comparing:
    from energyrecorder_annotator.comparing import Comparing  # loads numpy: only who asks pays

    return Comparing(service.journal, envs=arrival.caller.envs, now_ns=service.clock())


def _compared(body: GateBody, arrival: ArrivalDep, service: Service) -> dict[str, Any]:
    from energyrecorder_analysis.compare.judge import Rules  # loads numpy
    from energyrecorder_annotator.comparing import Task, UnknownRunError  # loads numpy

    task = Task(
        candidate=parse_selector(body.candidate),
        baseline=None if body.baseline is None else parse_selector(body.baseline),
        rules=Rules(alpha=body.alpha, min_effect=body.min_effect, power=body.power),
        with_steps=body.steps,
        budget_j=body.budget_j,
        fail_on=tuple(body.fail_on),
        documents=tuple(body.documents),
        scenario=body.scenario,
        env=body.env,
    )
    try:
        return _comparing(arrival, service).compare(task)
    except UnknownRunError as error:
        raise ApiError(404, "unknown_run", f"no run {str(error)!r}") from None


def _planned(query: PlanQuery, arrival: ArrivalDep, service: Service) -> dict[str, Any]:
    from energyrecorder_analysis.compare.judge import Rules  # loads numpy

    runs = StepQuery(
        env=query.env,
        scenario=query.scenario,
        state="passed",
        roots=True,
        limit=query.last,
        envs=arrival.caller.envs,
    )
    rules = Rules(alpha=query.alpha, min_effect=query.min_effect, power=query.power)
    return _comparing(arrival, service).plan(runs, rules, with_steps=query.steps)
