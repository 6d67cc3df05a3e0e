"""Journal, samples and results under a clock that the test turns."""

from __future__ import annotations

from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.results import Results
from energyrecorder_annotator.samples.base import PREFERENCES, Batch, Reading
from energyrecorder_annotator.samples.embedded import EmbeddedSamples
from energyrecorder_annotator.samples.freshness import Freshness
from support.journal import take
from support.steps import SECOND, start, stop

T0 = 10_000


class Bench:
    """Journal, samples and results with a clock that the test turns."""

    def __init__(self, directory):
        self.journal = SqliteJournal(directory / "journal.db")
        self.samples = EmbeddedSamples(directory / "samples.db")
        self.freshness = Freshness()
        self.now_s = float(T0)
        self.results = Results(
            self.journal,
            self.samples,
            self.freshness,
            clock=self.clock,
            prefer=PREFERENCES,
        )

    def clock(self):
        return round(self.now_s * SECOND)

    def take(self, *events):
        for event in events:
            take(self.journal, event)

    def power(self, server, from_s, to_s, watts=100.0, every_s=1.0, env="pod1"):
        """Readings of a sensor that is polled as often as it has a new value."""
        count = round((to_s - from_s) / every_s)
        readings = [
            Reading(
                env,
                server,
                "server",
                None,
                round((from_s + n * every_s) * SECOND),
                watts,
                window_s=every_s,
                refresh_s=every_s,
                clock="poll",
                source="power_control",
                side="ac",
            )
            for n in range(count)
        ]
        self.add(Batch(readings=readings))

    def undeclared(self, server, from_s, watts):
        """A reading each second of a sensor that declares nothing."""
        readings = [
            Reading("pod1", server, "server", None, (from_s + n) * SECOND, float(one), clock="poll")
            for n, one in enumerate(watts)
        ]
        self.add(Batch(readings=readings))

    def add(self, batch):
        self.samples.add(batch)
        self.freshness.add(batch)

    def step(self, began=T0 + 100, ended=T0 + 160, **more):
        self.take(start("r", began, **more), stop("r", ended))
        self.now_s = ended

    def tick_at(self, now_s):
        self.now_s = now_s
        return self.results.tick()

    def result(self, step_id="r"):
        found = self.journal.step(step_id)[1]
        return None if found is None else found.detail
