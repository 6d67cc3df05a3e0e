"""The InfluxDB sink: points of steps, results, profiles and marks, written to 1.x, 2.x or 3.x."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from energyrecorder.clock import Clock
from energyrecorder.line_protocol import tag_text
from energyrecorder.schema import ENERGY_STEP_SERVERS, ENERGY_STEPS
from energyrecorder_annotator.baseline import Baselines
from energyrecorder_annotator.influx.client import (
    InfluxAwayError,
    InfluxClient,
    InfluxRefusedError,
    NoDatabaseError,
)
from energyrecorder_annotator.influx.influxql import identifier, tag_is
from energyrecorder_annotator.journal.base import Mark
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.sinks.base import Answer, Item, SinkAwayError, SinkEmptyError
from energyrecorder_annotator.sinks.points import Point, Shape, mark_point, step_points
from energyrecorder_annotator.sinks.profile import Profiles
from energyrecorder_annotator.sinks.wording import OTHER, tag_name

OwnSeries = Callable[[str, str, str], bool]
"""Whether a step name (environment, scenario, name) keeps a series of its own."""

_log = logging.getLogger(__name__)


class InfluxSink:
    """`energyrecorder_annotator.sinks.base.Sink` into InfluxDB.

    Args:
        client: Where to.
        own_series: See `OwnSeries`.
        clock: Our wall clock.
        profiles: Writes ``energy_run_profile``; None leaves it out.
        baselines: Knows what earlier runs took; None leaves that out.
    """

    name = "influxdb"
    batch = 500
    with_history = True
    touch_every_s: float | None = 10.0

    def __init__(
        self,
        client: InfluxClient,
        own_series: OwnSeries,
        *,
        clock: Clock,
        profiles: Profiles | None,
        baselines: Baselines | None = None,
    ) -> None:
        self._client = client
        self._own_series = own_series
        self._clock = clock
        self._profiles = profiles
        self._baselines = baselines
        self._warned: set[tuple[str, str]] = set()

    def deliver(self, items: Sequence[Item]) -> list[Answer]:
        """See `Sink`."""
        now_ns = self._clock()
        answers = [Answer() for _ in items]
        pending: list[tuple[int, list[Point]]] = []
        with _translated():
            for number, item in enumerate(items):
                # A step known from its stop only has no start yet to stand at.
                if item.step.started:
                    points = self._points(item, now_ns)
                    shape = Shape.of(points, 0)
                    self._clear(item, shape)
                    answers[number] = Answer(memo=shape.memo())
                    pending.append((number, points))
            for number, reason in self._write(pending):
                answers[number] = Answer(refused=reason)
            for number, item in enumerate(items):
                if item.step.started and answers[number].refused is None:
                    answers[number] = self._with_profile(item, answers[number])
            if self._profiles is not None:
                self._profiles.prune(self._client)
        return answers

    def deliver_marks(self, marks: Sequence[Mark]) -> list[Answer]:
        """See `Sink`."""
        answers = [Answer() for _ in marks]
        with _translated():
            for number, reason in self._write([(n, [mark_point(mark)]) for n, mark in enumerate(marks)]):
                answers[number] = Answer(refused=reason)
        return answers

    def touch(self, items: Sequence[Item], now_ns: int) -> None:
        """See `Sink`."""
        running = [(n, self._points(item, now_ns)) for n, item in enumerate(items) if item.step.started]
        with _translated():
            self._write(running)

    def has(self, item: Item | None) -> bool:
        """See `Sink`."""
        shape = None if item is None else Shape.from_memo(item.memo)
        if item is None or shape is None:
            with _translated():
                self._client.clock_offset_s()
            return True
        where = f"{_series_is(item.step, shape.step)} AND time = {shape.start_ns}"
        query = f'SELECT "step_id" FROM {identifier(ENERGY_STEPS)} WHERE {where}'
        try:
            with _translated():
                series = self._client.query(query)[0]
        except SinkEmptyError:
            # 2.x says so too when nobody has mapped the bucket for InfluxQL: that is no loss.
            if self._client.settings.bucket is None:
                raise
            return True
        return any(row[1] == item.step.step_id for one in series for row in one.rows)

    def close(self) -> None:
        """See `Sink`."""
        self._client.close()

    def _points(self, item: Item, now_ns: int) -> list[Point]:
        step, result = item.step, item.result
        first, *others = step_points(step, result, name=self._name(step), now_ns=now_ns)
        if self._baselines is not None:
            first = replace(first, fields={**first.fields, **self._baselines.of(step, result)})
        return [first, *others]

    def _name(self, step: Step) -> str | None:
        if step.step is None:
            return None
        if self._own_series(step.env, step.scenario, step.step):
            return tag_name(step.step)
        if (step.env, step.scenario) not in self._warned:
            self._warned.add((step.env, step.scenario))
            _log.warning(
                "scenario %r in %r has too many new step names in a day: InfluxDB gets further ones as %r",
                step.scenario,
                step.env,
                OTHER,
            )
        return OTHER

    def _clear(self, item: Item, new: Shape) -> None:
        """Delete what writing the new points would leave of the old ones."""
        old = Shape.from_memo(item.memo)
        if old is None or old.is_outlived_by(new):
            return
        tags = {"env": tag_text(tag_name(item.step.env)), "scenario": tag_text(tag_name(item.step.scenario))}
        if old.step is not None:
            tags["step"] = tag_text(old.step)
        self._client.delete(
            ENERGY_STEPS, {**tags, "level": "scenario" if old.step is None else "step"}, old.start_ns
        )
        for server in old.servers:
            self._client.delete(ENERGY_STEP_SERVERS, {**tags, "server": server}, old.start_ns)

    def _with_profile(self, item: Item, answer: Answer) -> Answer:
        old, new = Shape.from_memo(item.memo), Shape.from_memo(answer.memo)
        if self._profiles is None or new is None or item.result is None:
            return answer
        computed_ns = int(item.result.detail["computed_ns"])
        if old is None or old.profile != computed_ns:
            self._profiles.write(item.step, item.result, self._client)
        done = Shape(new.start_ns, new.step, new.fields, new.servers, computed_ns)
        return Answer(memo=done.memo())

    def _write(self, pending: Sequence[tuple[int, list[Point]]]) -> list[tuple[int, str]]:
        """Write the points of items; return number and reason of those that are refused."""
        if not pending:
            return []
        lines = [line for _, points in pending for point in points if (line := point.line()) is not None]
        try:
            self._client.write("\n".join(lines))
        except InfluxRefusedError as refusal:
            if len(pending) == 1:
                return [(pending[0][0], str(refusal))]
            # A partial write names one of the points only: halves are tried until the culprits are alone.
            half = len(pending) // 2
            return self._write(pending[:half]) + self._write(pending[half:])
        except NoDatabaseError as error:
            _log.warning("%s; creating it and telling it everything again", error)
            self._client.create_database()
            if self._client.settings.bucket is not None:
                raise SinkAwayError(str(error)) from None
            raise SinkEmptyError(str(error)) from None
        return []


def _series_is(step: Step, name: str | None) -> str:
    terms = {"env": tag_name(step.env), "scenario": tag_name(step.scenario), "step": name}
    return " AND ".join(tag_is(key, value) for key, value in terms.items())


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except InfluxAwayError as error:
        raise SinkAwayError(str(error), retry_after_s=error.retry_after_s) from None
    except NoDatabaseError as error:
        raise SinkEmptyError(str(error)) from None
    except InfluxRefusedError as error:
        # A refused query or deletion: nothing a later try would not meet again, but no reason to lose a step.
        raise SinkAwayError(str(error)) from None
