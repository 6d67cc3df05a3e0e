"""The parts of a running annotator, as requests find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from energyrecorder.clock import Clock
from energyrecorder_annotator.auth.guard import Guard
from energyrecorder_annotator.client_spools import ClientSpools
from energyrecorder_annotator.config import Config
from energyrecorder_annotator.host import PluginHost
from energyrecorder_annotator.intake import Intake
from energyrecorder_annotator.journal.base import Journal
from energyrecorder_annotator.late import LateReadings
from energyrecorder_annotator.life_watch import LifeWatch
from energyrecorder_annotator.poll_pairs import PollPairs
from energyrecorder_annotator.power_marks import PowerMarks
from energyrecorder_annotator.recording import Recorder
from energyrecorder_annotator.results import Results
from energyrecorder_annotator.samples.base import SampleStore
from energyrecorder_annotator.samples.freshness import Freshness
from energyrecorder_annotator.sinks.delivery import Delivery

if TYPE_CHECKING:
    from energyrecorder_annotator.original.mirror import SampleMirror


@dataclass(slots=True)
class Service:
    """Everything a route may use; made by `energyrecorder_annotator.serve`; SIGHUP replaces ``config``."""

    config: Config
    clock: Clock
    journal: Journal
    samples: SampleStore
    freshness: Freshness
    intake: Intake
    late: LateReadings
    power_marks: PowerMarks
    life: LifeWatch
    recorder: Recorder
    results: Results
    hosts: tuple[PluginHost, ...]
    guard: Guard
    spools: ClientSpools
    poll_pairs: PollPairs
    deliveries: tuple[Delivery, ...] = ()
    mirror: SampleMirror | None = None
