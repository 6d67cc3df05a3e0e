"""What the annotator tells Prometheus of itself, read from its parts when it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from energyrecorder_annotator.service import Service

PREFIX = "energy_annotator"


def metrics_text(service: Service, accept: str) -> tuple[bytes, str]:
    """Return all metrics and their content type, in the format that ``accept`` asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Service(service))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Service(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of this moment."""
        yield from _of_service(self._service)
        yield from _of_samples(self._service)
        yield from _of_plugins(self._service)
        yield from _of_sinks(self._service)
        yield from _of_servers(self._service)
        yield from _of_spools(self._service)


def _of_service(service: Service) -> Iterator[Metric]:
    info = GaugeMetricFamily(f"{PREFIX}_build_info", "Always 1; the version is a label.", labels=["version"])
    info.add_metric([version("energyrecorder")], 1)
    yield info
    events = CounterMetricFamily(
        f"{PREFIX}_events", "Events of steps and marks taken in or refused.", labels=["outcome"]
    )
    events.add_metric(["taken"], service.recorder.taken)
    events.add_metric(["refused"], service.recorder.refused)
    yield events
    yield GaugeMetricFamily(f"{PREFIX}_open_steps", "Steps that run.", value=service.life.open_steps)
    refused = CounterMetricFamily(
        f"{PREFIX}_requests_refused", "Requests refused at the gate.", labels=["reason"]
    )
    refused.add_metric(["token"], service.guard.refused)
    refused.add_metric(["rate"], service.guard.limited)
    yield refused


def _of_samples(service: Service) -> Iterator[Metric]:
    intake = service.intake
    yield CounterMetricFamily(f"{PREFIX}_samples_stored", "Points stored.", value=intake.stored)
    yield CounterMetricFamily(
        f"{PREFIX}_samples_dropped", "Points dropped as the store was away too long.", value=intake.dropped
    )
    yield GaugeMetricFamily(
        f"{PREFIX}_samples_waiting", "Points in memory, not stored yet.", value=intake.waiting
    )


def _of_plugins(service: Service) -> Iterator[Metric]:
    running = GaugeMetricFamily(f"{PREFIX}_plugin_running", "1 while the plugin runs.", labels=["plugin"])
    counters = {
        "restarts": CounterMetricFamily(
            f"{PREFIX}_plugin_restarts", "Times it was started again.", labels=["plugin"]
        ),
        "points": CounterMetricFamily(f"{PREFIX}_plugin_points", "Points it printed.", labels=["plugin"]),
        "bad_lines": CounterMetricFamily(
            f"{PREFIX}_plugin_bad_lines", "Lines it printed that are no points.", labels=["plugin"]
        ),
    }
    for number, host in enumerate(service.hosts):
        label = [f"{number}:{host.name}"]
        running.add_metric(label, int(host.running))
        for name, counter in counters.items():
            counter.add_metric(label, getattr(host, name))
    yield running
    yield from counters.values()


def _of_sinks(service: Service) -> Iterator[Metric]:
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for delivery in service.deliveries:
        status = delivery.status()
        gauges = {"up": (int(status.error is None), "1 while it takes what changes.")}
        gauges["backlog"] = (status.backlog, "Steps and marks that wait for it.")
        counters = {"delivered": (status.delivered, "Steps and marks delivered.")}
        counters["refused"] = (status.refused, "Steps and marks it will never take.")
        for kind, values in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
            for name, (value, told) in values.items():
                family = families.setdefault(name, kind(f"{PREFIX}_sink_{name}", told, labels=["sink"]))
                family.add_metric([status.name], value)
    yield from families.values()


def _of_servers(service: Service) -> Iterator[Metric]:
    now_ns = service.clock()
    servers = GaugeMetricFamily(f"{PREFIX}_servers", "Servers heard within the hour.", labels=["env"])
    age = GaugeMetricFamily(
        f"{PREFIX}_last_sample_age_seconds",
        "Age of an environment's newest reading; negative = the collector's clock is ahead.",
        labels=["env"],
    )
    twice = GaugeMetricFamily(
        f"{PREFIX}_servers_polled_twice", "Servers that two collectors poll at once.", labels=["env"]
    )
    for env, (count, newest_ns) in service.freshness.summary(now_ns).items():
        servers.add_metric([env], count)
        twice.add_metric([env], service.poll_pairs.count(env))
        if newest_ns:
            age.add_metric([env], (now_ns - newest_ns) / 1e9)
    yield servers
    yield age
    yield twice
    delay = GaugeMetricFamily(
        f"{PREFIX}_sample_delay_seconds",
        "Least time from a reading to its arrival in the last minutes; negative = that clock is ahead.",
        labels=["env"],
    )
    for env, delay_s in service.freshness.delays_s().items():
        delay.add_metric([env], delay_s)
    yield delay


def _of_spools(service: Service) -> Iterator[Metric]:
    size = GaugeMetricFamily(
        f"{PREFIX}_spool_bytes", "Largest spool that a client told of in the last minutes.", labels=["env"]
    )
    oldest = GaugeMetricFamily(
        f"{PREFIX}_spool_oldest_seconds", "Age of the oldest event in them when it was told.", labels=["env"]
    )
    most = service.spools.most()
    for env in {**service.freshness.summary(service.clock()), **most}:
        told = most.get(env)
        size.add_metric([env], 0 if told is None else told.size_bytes)
        oldest.add_metric([env], 0 if told is None else told.oldest_s)
    yield size
    yield oldest
