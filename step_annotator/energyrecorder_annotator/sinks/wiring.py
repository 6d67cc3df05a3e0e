"""Which sinks the settings ask for, each with its thread."""

from __future__ import annotations

from energyrecorder.clock import Clock
from energyrecorder_annotator.config import Config
from energyrecorder_annotator.journal.base import Journal
from energyrecorder_annotator.samples.base import SampleStore
from energyrecorder_annotator.sinks.base import Sink
from energyrecorder_annotator.sinks.delivery import Delivery


def deliveries(
    config: Config, journal: Journal, samples: SampleStore, *, clock: Clock
) -> tuple[Delivery, ...]:
    """Return the deliveries that are switched on, not yet started.

    Args:
        config: Settings in force.
        journal: What there is to tell.
        samples: Power, for the profiles of runs.
        clock: Our wall clock.
    """
    found: list[tuple[Sink, float]] = []
    # A service without sinks does not pay for `requests`.
    if config.influxdb is not None:
        from energyrecorder_annotator.baseline import Baselines
        from energyrecorder_annotator.influx.client import InfluxClient
        from energyrecorder_annotator.sinks.influx import InfluxSink
        from energyrecorder_annotator.sinks.profile import Profiles

        influx = InfluxSink(
            InfluxClient(config.influxdb),
            journal.has_own_series,
            clock=clock,
            profiles=Profiles(journal, samples),
            baselines=Baselines(journal),
        )
        found.append((influx, config.influxdb.retry_most_s))
    if config.mirror is not None:
        from energyrecorder_annotator.influx.client import InfluxClient
        from energyrecorder_annotator.original.mirror import ScenarioMirror

        found.append((ScenarioMirror(InfluxClient(config.mirror), journal), config.mirror.retry_most_s))
    if config.grafana is not None:
        from energyrecorder_annotator.sinks.grafana import GrafanaSink

        found.append((GrafanaSink(config.grafana, clock=clock), config.grafana.retry_most_s))
    if config.webhook is not None:
        from energyrecorder_annotator.sinks.webhook import WebhookSink

        found.append((WebhookSink(config.webhook), config.webhook.retry_most_s))
    return tuple(
        Delivery(sink, journal, clock=clock, retry_most_s=retry_most_s) for sink, retry_most_s in found
    )
