"""The original's measurements beside ours, for readers of a database that the original recorder filled.

``RunningScenarios`` has the sessions of the original API, ``SensorMeasurement`` every sample that comes by
us, tagged with the session it was taken in. Names, tags and units are the original's, its defects are not:
times are those of the samples, names are escaped, and ``n/s`` stands where nothing runs, only there.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from energyrecorder.errors import EnergyError
from energyrecorder.line_protocol import format_line
from energyrecorder_annotator.influx.client import InfluxAwayError, InfluxClient
from energyrecorder_annotator.influx.writer import CHUNK, LineWriter
from energyrecorder_annotator.journal.base import Journal, Mark, StepQuery
from energyrecorder_annotator.lifecycle import Step
from energyrecorder_annotator.lifecycle.model import is_legacy
from energyrecorder_annotator.original.stack import UNNAMED, Session, session_at
from energyrecorder_annotator.samples.base import Batch, Reading, SensorReading
from energyrecorder_annotator.sinks.backoff import pause_s
from energyrecorder_annotator.sinks.base import Answer, Item, SinkAwayError
from energyrecorder_annotator.sinks.wording import tag_name

RUNNING_SCENARIOS = "RunningScenarios"
SENSOR_MEASUREMENT = "SensorMeasurement"
WRITE_EVERY_S = 1.0
MOST_PAUSE_S = 60.0
MOST_WAITING = 200_000
"""Samples kept in memory while the database is away; the oldest beyond that are left out of it."""
_MOST_PAGES = 20

_log = logging.getLogger(__name__)

Sample = Reading | SensorReading


class ScenarioMirror:
    """`energyrecorder_annotator.sinks.base.Sink` of sessions into ``RunningScenarios``.

    Args:
        client: Where to.
        journal: Knows the other steps of a run.
    """

    name = "original"
    batch = 200
    with_history = False
    touch_every_s: float | None = None

    def __init__(self, client: InfluxClient, journal: Journal) -> None:
        self._client = client
        self._journal = journal
        self._writer = LineWriter(lambda: client, RUNNING_SCENARIOS)

    def deliver(self, items: Sequence[Item]) -> list[Answer]:
        """See `Sink`."""
        lines: list[str] = []
        for item in items:
            if is_legacy(item.step.step_id) and item.step.started:
                run = [step for step, _ in self._journal.run_steps(item.step.run_id)]
                lines += scenario_lines(item.step, run)
        try:
            self._writer.write(lines)
        except InfluxAwayError as error:
            raise SinkAwayError(str(error), retry_after_s=error.retry_after_s) from None
        except EnergyError as error:
            raise SinkAwayError(str(error)) from None
        return [Answer() for _ in items]

    def deliver_marks(self, marks: Sequence[Mark]) -> list[Answer]:
        """Take no notice: the original knew none."""
        return [Answer() for _ in marks]

    def touch(self, items: Sequence[Item], now_ns: int) -> None:
        """Do nothing: the original did not either."""

    def has(self, item: Item | None) -> bool:
        """See `Sink`: what was lost with the database stays lost, as it did."""
        del item
        return True

    def close(self) -> None:
        """See `Sink`."""
        self._client.close()


def scenario_lines(step: Step, run: Sequence[Step]) -> list[str]:
    """Return what the original would have written when a step began and when it ended.

    At its start the session that runs then is started. At its end the session of before is not any more, and
    the one that goes on, if any, is started again: the newest point of an environment tells what runs.

    Args:
        step: A step of a session.
        run: Every step of its run.
    """
    lines = [_scenario_line(step.env, session_at(step.env, run, step.start_ns), 1.0, step.start_ns)]
    if step.end_ns is not None and step.end_ns > step.start_ns:
        before = session_at(step.env, run, step.end_ns - 1)
        lines.append(_scenario_line(step.env, before, 0.0, step.end_ns - 1))
        lines.append(_scenario_line(step.env, session_at(step.env, run, step.end_ns), 1.0, step.end_ns))
    return [line for line in lines if line is not None]


def _scenario_line(env: str, session: Session | None, started: float, t_ns: int) -> str | None:
    if session is None:
        return None
    tags = {"environment": tag_name(env), **_session_tags(session)}
    return format_line(RUNNING_SCENARIOS, tags, {"started": started}, t_ns)


class SampleMirror:
    """Writes the samples that come by us into ``SensorMeasurement``, in a thread of its own.

    While the database is away it keeps a bounded number of them.

    Args:
        client: Where to.
        journal: Knows which session ran when.
    """

    def __init__(self, client: InfluxClient, journal: Journal) -> None:
        self._client = client
        self._journal = journal
        self._writer = LineWriter(lambda: client, SENSOR_MEASUREMENT)
        self._lock = threading.Lock()
        self._waiting: deque[Sample] = deque()
        self._failures = 0
        self._dropped = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sample-mirror", daemon=True)

    def take(self, batch: Batch) -> None:
        """Take in a batch that is stored."""
        with self._lock:
            self._waiting.extend(one for one in batch.readings if _sensor_of(one) is not None)
            self._waiting.extend(batch.sensors)
            self._drop_oldest()

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what can be written at once, then end."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end, so long at most."""
        self._thread.join(timeout_s)

    def write(self) -> float:
        """Write what waits and return how long to wait before the next try."""
        while samples := self._next():
            try:
                self._write(samples)
            except EnergyError as error:
                with self._lock:
                    self._waiting.extendleft(reversed(samples))
                    self._drop_oldest()
                if not self._failures:
                    _log.warning("%s; samples for %s wait", error, SENSOR_MEASUREMENT)
                self._failures += 1
                return pause_s(self._failures, most_s=MOST_PAUSE_S)
        if self._failures:
            _log.info("%s is written again; %d samples were left out", SENSOR_MEASUREMENT, self._dropped)
            self._failures = 0
        return WRITE_EVERY_S

    def _run(self) -> None:
        while not self._stopping.wait(self.write()):
            pass
        if not self._failures:
            self.write()
        self._client.close()

    def _next(self) -> list[Sample]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(CHUNK, len(self._waiting)))]

    def _drop_oldest(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._dropped += 1

    def _write(self, samples: Sequence[Sample]) -> None:
        by_env: dict[str, list[Sample]] = {}
        for sample in samples:
            by_env.setdefault(sample.env, []).append(sample)
        lines: list[str] = []
        for env, own in by_env.items():
            lines += sample_lines(own, self._sessions(env, own))
        self._writer.write(lines)

    def _sessions(self, env: str, samples: Sequence[Sample]) -> Callable[[int], Session | None]:
        times = [sample.t_ns for sample in samples]
        query = StepQuery(env=env, from_ns=min(times), to_ns=max(times) + 1, limit=1000)
        steps = [step for step in _pages(self._journal, query) if is_legacy(step.step_id)]
        known: dict[int, Session | None] = {}

        def at(t_ns: int) -> Session | None:
            if t_ns not in known:
                known[t_ns] = session_at(env, steps, t_ns) if steps else None
            return known[t_ns]

        return at


def _pages(journal: Journal, query: StepQuery) -> Iterator[Step]:
    for _ in range(_MOST_PAGES):
        found = journal.list_steps(query)
        yield from (step for step, _ in found)
        if len(found) < query.limit:
            return
        last = found[-1][0]
        query = replace(query, after=(last.start_ns, last.step_id))


def sample_lines(samples: Sequence[Sample], session: Callable[[int], Session | None]) -> Iterator[str]:
    """Yield samples as the original wrote them.

    Args:
        samples: Of one environment.
        session: Tells what ran at a time.
    """
    for sample in samples:
        named = _sensor_of(sample)
        if named is None:
            continue
        sensor, unit, value = named
        tags = {
            "equipement": sample.server,
            "environment": tag_name(sample.env),
            **_session_tags(session(sample.t_ns)),
            "sensor": tag_name(sensor),
            "unit": tag_name(unit),
            **{("dc" if name == "site" else name): text for name, text in sample.place},
        }
        line = format_line(SENSOR_MEASUREMENT, tags, {"value": value}, sample.t_ns)
        if line is not None:
            yield line


def _sensor_of(sample: Sample) -> tuple[str, str, float] | None:
    """Return sensor, unit and value; None for what the original had no name for."""
    if isinstance(sample, SensorReading):
        return sample.sensor, sample.unit, sample.value
    if sample.watts is None:
        return None
    if sample.is_total or sample.part == "legacy":
        return "power", "W", sample.watts
    return (sample.part or "", "W", sample.watts) if sample.protocol == "legacy" else None


def _session_tags(session: Session | None) -> dict[str, str]:
    scenario, step = ("", "") if session is None else (session.scenario, session.step)
    return {"scenario": tag_name(scenario or UNNAMED), "step": tag_name(step or UNNAMED)}
