"""Looks at everything that must work together, and says what to do about what does not."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus

from energyrecorder.errors import EnergyError
from energyrecorder_annotator.clocks import least_apart_s
from energyrecorder_annotator.config import Config
from energyrecorder_annotator.doctor.finding import KEEP_TIME, MOST_OFFSET_S, Finding, compared_clock
from energyrecorder_annotator.poll_pairs import ADVICE
from energyrecorder_annotator.running_service import RunningService

STALE_S = 60.0
LONG_DAYS = 7
"""Look-back of the dashboards."""
_GAUGE = r'^energy_annotator_%s\{env="(?P<env>.*)"\} (?P<value>\S+)$'
_AGE = re.compile(_GAUGE % "last_sample_age_seconds", re.MULTILINE)
_TWICE = re.compile(_GAUGE % "servers_polled_twice", re.MULTILINE)
_DELAY = re.compile(_GAUGE % "sample_delay_seconds", re.MULTILINE)


def examine(
    config: Config | None, service: RunningService, *, grafana: str | None = None
) -> Iterator[Finding]:
    """Yield what there is to say of the service, its samples, steps and clocks, and of what ``config`` names.

    Args:
        config: The annotator's settings; None looks at the service alone.
        service: The running annotator.
        grafana: Base URL of a Grafana; None means that of ``config``.
    """
    for look in (_service, _samples, _clock, _steps):
        try:
            yield from look(service)
        except EnergyError as error:
            yield Finding("service", ok=False, text=f"{error}; is it running, and is this its URL?")
            break
    if config is None:
        told = "none to be read here, so InfluxDB is not looked at: give --config FILE"
        yield Finding("settings", ok=True, text=told)
    else:
        yield from _influxdb(config, service)
        yield from _certificate(config)
    yield from _grafana(config, grafana)


def _service(service: RunningService) -> Iterator[Finding]:
    status, text = service.ask("GET", "/readyz")
    if not _is_ours(text):
        raise EnergyError(f"what answers is no energy-annotator: HTTP {status}: {text[:200].strip()!r}")
    yield Finding("service", ok=status == HTTPStatus.OK, text=f"/readyz answers {status}: {text[:200]}")


def _is_ours(text: str) -> bool:
    """Tell whether this is an answer of ``/readyz``, or our envelope of an error."""
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and not answer.keys().isdisjoint({"away", "error"})


def _samples(service: RunningService) -> Iterator[Finding]:
    status, text = service.ask("GET", "/metrics")
    if status in {401, 403}:
        yield Finding("token", ok=False, text="refused; give one that may read with --token or ENERGY_TOKEN")
        return
    ages = _by_env(_AGE, text)
    if not ages:
        yield Finding("samples", ok=False, text="no reading within the hour; is a collector running?")
    for env, age_s in ages.items():
        told = f"newest of {env!r} is {max(0.0, age_s):.1f} s old"
        stale = age_s > STALE_S
        yield Finding("samples", ok=not stale, text=told + ("; is its collector running?" if stale else ""))
    for env, delay_s in _by_env(_DELAY, text).items():
        yield _collector_clock(env, delay_s)
    for env, servers in _by_env(_TWICE, text).items():
        if servers:
            told = f"two at once poll {servers:.0f} of the servers of {env!r}; {ADVICE}"
            yield Finding("collectors", ok=False, text=told)


def _by_env(gauge: re.Pattern[str], text: str) -> dict[str, float]:
    return {match["env"]: float(match["value"]) for match in gauge.finditer(text)}


def _collector_clock(env: str, delay_s: float) -> Finding:
    if delay_s < -MOST_OFFSET_S:
        told = f"readings of {env!r} come {-delay_s:.1f} s before their time: that clock is ahead"
        return Finding("collector clock", ok=False, text=f"{told}; {KEEP_TIME}")
    told = f"readings of {env!r} come {delay_s:.1f} s after their time"
    if delay_s > STALE_S:
        told += ": that clock is behind the service's, or they are held up on their way"
    return Finding("collector clock", ok=delay_s <= STALE_S, text=told)


def _clock(service: RunningService) -> Iterator[Finding]:
    before_ns = time.time_ns()
    status, text = service.ask("GET", "/v1/runs?limit=1")
    after_ns = time.time_ns()
    if status != HTTPStatus.OK:
        return
    offset_s = (json.loads(text)["sent_ns"] - (before_ns + after_ns) // 2) / 1e9
    offset_s = least_apart_s(offset_s, (after_ns - before_ns) / 1e9)
    yield compared_clock("service clock", f"{offset_s:+.3f} s against this machine's", offset_s)


def _steps(service: RunningService) -> Iterator[Finding]:
    """Yield a step that has been running for longer than any dashboard looks back."""
    before_ns = time.time_ns() - LONG_DAYS * 86_400 * 10**9
    query = urllib.parse.urlencode({"state": "running", "to": before_ns, "limit": 1})
    status, text = service.ask("GET", f"/v1/steps?{query}")
    found = json.loads(text)["steps"] if status == HTTPStatus.OK else []
    for step in found:
        name = step["scenario"] + (f" / {step['step']}" if step.get("step") else "")
        told = f"{name!r} of {step['env']!r} has been running for more than {LONG_DAYS} days"
        yield Finding(
            "steps",
            ok=False,
            text=f"{told}, beyond what dashboards look back: POST /v1/steps/{step['step_id']}/stop ends it",
        )


def _influxdb(config: Config, service: RunningService) -> Iterator[Finding]:
    if config.influxdb is not None:
        from energyrecorder_annotator.doctor.influx import look  # loads `requests`

        yield from look(config.influxdb, service if config.samples_kind == "embedded" else None)


def _grafana(config: Config | None, url: str | None) -> Iterator[Finding]:
    settings = None if config is None else config.grafana
    if settings is None and url is None:
        yield Finding("Grafana", ok=True, text="not looked at: give --grafana URL")
        return
    from energyrecorder_annotator.doctor.grafana import look  # loads `requests`

    yield from look(settings, url)


def _certificate(config: Config) -> Iterator[Finding]:
    if config.tls_certificate is None:
        return
    from energyrecorder_annotator.http_server import check_tls

    try:
        check_tls(config.tls_certificate, config.tls_key)
    except EnergyError as error:
        yield Finding("TLS", ok=False, text=str(error))
    else:
        yield Finding("TLS", ok=True, text=f"certificate {str(config.tls_certificate)!r} and its key fit")
