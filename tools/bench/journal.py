"""A journal of a million steps: how long a page of the list takes, and a start of the service."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.annotator import annotator
from bench.measure import BUILD, Figure
from energyrecorder_annotator.journal.sqlite import SqliteJournal

STEPS = 1_000_000
QUICK_STEPS = 50_000
STEPS_PER_RUN = 10
PAGE_MS = 50.0
START_S = 3.0
ROUNDS = 7
_SECOND_NS = 1_000_000_000
_T0_NS = 1_790_000_000 * _SECOND_NS
_DAYS = 90
_SPAN_NS = _DAYS * 86400 * _SECOND_NS
_RESULT = {
    "energy_j": 61234.5,
    "u95_j": 812.25,
    "quality": "resolved",
    "reason": "",
    "overlap": 0,
    "per_server": {f"node-{number}": {"energy_j": 12246.9, "gaps": []} for number in range(5)},
}
# Ids in no order, as clients draw them; ten steps of a run lie within it, runs follow each other.
_STEPS = """
INSERT INTO steps
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :steps),
named AS (SELECT i, i % :per_run AS place, i / :per_run AS run, :t0 + i * :apart AS start_ns,
    printf('%08x-5b1f-4c55-9d0b-5d7a1c7f2b', (i / :per_run + 1) * 2654435761 % 4294967296) AS id FROM n)
SELECT id || printf('%02d', place), id || '00', iif(place, id || '00', NULL), 'pod' || (run % 20),
    'scenario-' || (run % 50), iif(place, 'step ' || place, NULL), 'build-' || (i / 1000),
    iif(i % 97, 'passed', 'failed'), start_ns, start_ns + iif(place, :apart, :apart * :per_run), 1, 21600.0,
    2, i + 1, '{"ended_by":"stop","clock_error_ns":50000000}'
FROM named ORDER BY 1
"""
_PAGES = {
    "newest steps": "/v1/steps?limit=100",
    "steps of an environment": "/v1/steps?limit=100&env=pod7",
    "steps of a scenario that is not there": "/v1/steps?limit=100&scenario=nobody",
    "failed steps": "/v1/steps?limit=100&state=failed",
    "lost steps, of which there are none": "/v1/steps?limit=100&state=lost",
    "steps of a group": "/v1/steps?limit=100&group=build-3",
    "steps of an hour in the middle": f"/v1/steps?limit=100&from={_T0_NS + _SPAN_NS // 2}"
    f"&to={_T0_NS + _SPAN_NS // 2 + 3600 * _SECOND_NS}",
    "steps of a minute in the middle": f"/v1/steps?limit=100&from={_T0_NS + _SPAN_NS // 2}"
    f"&to={_T0_NS + _SPAN_NS // 2 + 60 * _SECOND_NS}",
    "newest runs": "/v1/runs?limit=100",
    "runs of an environment": "/v1/runs?limit=100&env=pod7",
}


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the time of each kind of page, and of a start."""
    steps = QUICK_STEPS if quick else STEPS
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        path = Path(folder) / "state" / "annotator.db"
        _fill(path, steps)
        peer = f"{steps:,} steps, {path.stat().st_size / 1e6:.0f} MB"
        began_s = time.perf_counter()
        with annotator(Path(folder)) as (_, port):
            yield Figure("journal: start of the service", time.perf_counter() - began_s, "s", peer, START_S)
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                for name, path_of_page in _PAGES.items():
                    took_ms, count = _page_ms(connection, path_of_page)
                    yield Figure(f"journal: {name}", took_ms, "ms", f"page of {count}; {peer}", PAGE_MS)


def _page_ms(connection: http.client.HTTPConnection, path: str) -> tuple[float, int]:
    """Return the median time of a page and how many it holds."""
    took_s = []
    count = 0
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        took_s.append(time.perf_counter() - began_s)
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status} {body}")
        count = len(body.get("steps", body.get("runs")))
    return statistics.median(took_s) * 1e3, count


def _fill(path: Path, steps: int) -> None:
    """Make a journal of ended steps with results; indices are made afterwards, which takes half the time."""
    path.parent.mkdir(mode=0o700)
    SqliteJournal(path).close()
    values = {
        "steps": steps,
        "per_run": STEPS_PER_RUN,
        "t0": _T0_NS,
        "apart": _SPAN_NS // steps,
    }
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        indices = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'steps' AND sql != ''"
        ).fetchall()
        database.execute("BEGIN")
        for name, _ in indices:
            database.execute(f"DROP INDEX {name}")
        database.execute(_STEPS, values)
        database.execute(
            "INSERT INTO results SELECT step_id, 60, end_ns, ? FROM steps", [json.dumps(_RESULT)]
        )
        database.execute("UPDATE sequence SET seq = ?", [steps])
        for _, statement in indices:
            database.execute(statement)
        database.execute("COMMIT")
