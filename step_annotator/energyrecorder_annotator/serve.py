"""The running annotator: opens its stores, runs its tasks and plugins, serves, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from energyrecorder.clock import Clock, wall_ns
from energyrecorder_annotator.app import build_app
from energyrecorder_annotator.auth.guard import Guard
from energyrecorder_annotator.auth.tokens import FILE_NAME
from energyrecorder_annotator.client_spools import ClientSpools
from energyrecorder_annotator.config import Config
from energyrecorder_annotator.host import PluginHost
from energyrecorder_annotator.http_server import Server, bind, check_tls
from energyrecorder_annotator.intake import Intake
from energyrecorder_annotator.journal.base import Journal
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.late import LateReadings
from energyrecorder_annotator.life_watch import LifeWatch
from energyrecorder_annotator.poll_pairs import PollPairs
from energyrecorder_annotator.power_marks import PowerMarks
from energyrecorder_annotator.recording import Recorder
from energyrecorder_annotator.results import Results
from energyrecorder_annotator.samples.base import LastSeen, SampleStore, SampleStoreError
from energyrecorder_annotator.samples.embedded import EmbeddedSamples
from energyrecorder_annotator.samples.freshness import HOUR_NS, Freshness
from energyrecorder_annotator.service import Service
from energyrecorder_annotator.sinks.delivery import Delivery
from energyrecorder_annotator.sinks.wiring import deliveries
from energyrecorder_annotator.threads import DaemonThreads, End

if TYPE_CHECKING:
    from energyrecorder_annotator.original.mirror import SampleMirror

DELIVERY_GRACE_S = 2.5
"""Sinks get this long to take what waits; what they did not take is delivered after the next start."""
LAST_FLUSH_S = 2.0
"""Points in memory get this long to be stored."""
FORGET_EVERY_S = 3600.0
SWITCH_S = 0.001
COLLECT_AFTER = (10_000, 20, 20)
"""New objects before a collection of the young, and how many of those before one of the older."""

_log = logging.getLogger(__name__)


Reload = Callable[[Service], None]


def serve(config: Config, state: Path, reload: Reload) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: Settings in force.
        state: State directory, locked by the caller.
        reload: What SIGHUP does.

    Raises:
        ConfigError: The address cannot be bound or a store cannot be opened.
    """
    check_tls(config.tls_certificate, config.tls_key)
    listener = bind(config.host, config.port)
    journal = SqliteJournal(config.store or state / "annotator.db")
    try:
        samples = _open_samples(config, state)
        try:
            _hold_no_call_up()
            with asyncio.Runner(loop_factory=_event_loop) as runner:
                runner.run(_serve(_assemble(config, state, journal, samples), listener, reload))
        finally:
            samples.close()
    finally:
        journal.close()
        listener.close()


def _hold_no_call_up() -> None:
    """Let threads take turns more often, and the garbage collector look at what is new only.

    A journal's thread asks for the interpreter after each statement and would wait 5 ms for it; a collection
    of all that imports have left takes 20 ms on a quiet machine, and collections made up a tenth of the CPU.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _open_samples(config: Config, state: Path) -> SampleStore:
    if config.samples_kind == "embedded" or config.influxdb is None:
        return EmbeddedSamples(state / "samples.db")
    from energyrecorder_annotator.samples.influx import InfluxSamples  # loads `requests`

    return InfluxSamples(config.influxdb)


def _event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    loop = uvloop.new_event_loop()
    loop.set_default_executor(DaemonThreads())
    return loop


def _assemble(config: Config, state: Path, journal: Journal, samples: SampleStore) -> Service:
    clock: Clock = wall_ns
    freshness = Freshness(_last_seen(samples, clock))
    late = LateReadings(journal, freshness, clock=clock)
    power_marks = PowerMarks(journal)
    poll_pairs = PollPairs(clock)
    mirror = _mirror(config, journal)
    intake = Intake(
        samples,
        freshness,
        power_marks.take,
        on_stored=[late.take, poll_pairs.take, *([] if mirror is None else [mirror.take])],
        clock=clock,
    )
    life = LifeWatch(journal, clock)
    environ = {**os.environ, "ENERGY_STATE_DIR": str(state)}
    return Service(
        config=config,
        clock=clock,
        journal=journal,
        samples=samples,
        freshness=freshness,
        intake=intake,
        late=late,
        power_marks=power_marks,
        mirror=mirror,
        life=life,
        recorder=Recorder(journal, life, aliases=config.env_aliases, most_open=config.open_steps),
        results=Results(journal, samples, freshness, clock=clock, prefer=config.prefer),
        hosts=tuple(
            PluginHost(
                command,
                intake.take,
                environ=environ,
                interval_s=config.interval_s,
                keep_lines=samples.keeps_lines,
            )
            for command in config.commands
        ),
        deliveries=deliveries(config, journal, samples, clock=clock),
        guard=Guard(config.token, state / FILE_NAME, requests_per_s=config.requests_per_s),
        spools=ClientSpools(clock),
        poll_pairs=poll_pairs,
    )


def _mirror(config: Config, journal: Journal) -> SampleMirror | None:
    if config.mirror is None:
        return None
    from energyrecorder_annotator.influx.client import InfluxClient  # loads `requests`
    from energyrecorder_annotator.original.mirror import SampleMirror  # loads `requests`

    return SampleMirror(InfluxClient(config.mirror), journal)


def _last_seen(samples: SampleStore, clock: Clock) -> list[LastSeen]:
    try:
        return samples.last_seen(clock() - HOUR_NS)
    except SampleStoreError as error:
        _log.warning("%s; what is newest is not known yet", error)
        return []


async def _watch(service: Service) -> None:
    """Follow readings that do not come by us; nothing to do when they do."""
    if service.config.samples_kind == "embedded":
        return
    from energyrecorder_annotator.samples.influx import InfluxSamples  # loads `requests`
    from energyrecorder_annotator.samples.influx_watch import InfluxWatch

    if isinstance(service.samples, InfluxSamples):
        watch = InfluxWatch(
            service.samples,
            service.freshness,
            service.power_marks.take,
            on_newest=service.late.take_newest,
            clock=service.clock,
        )
        await watch.run()


async def _serve(service: Service, listener: socket.socket, reload: Reload) -> None:
    config = service.config
    end = End()

    def on_stop() -> None:
        end.begin()
        _stop_hosts(service)

    server = Server(
        build_app(service),
        listener,
        certificate=config.tls_certificate,
        key=config.tls_key,
        on_stop=on_stop,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload, service)
    async with _tasks(service, end):
        await server.run_until_stopped()


def _stop_hosts(service: Service) -> None:
    for host in service.hosts:
        host.stop()


@contextlib.asynccontextmanager
async def _tasks(service: Service, end: End) -> AsyncIterator[None]:
    """Run plugins and periodic work around the server; end plugins first, so that their last lines count."""
    plugins = [asyncio.create_task(host.run()) for host in service.hosts]
    intake = asyncio.create_task(service.intake.run())
    for writer in _writers(service):
        writer.start()
    others = [
        asyncio.create_task(work)
        for work in (
            service.life.run(),
            service.results.run(),
            service.late.run(),
            _forget(service),
            _watch(service),
        )
    ]
    try:
        yield
    finally:
        _stop_hosts(service)
        await asyncio.gather(*plugins, return_exceptions=True)
        for task in (*others, intake):
            task.cancel()
        await asyncio.wait([*others, intake], timeout=end.left_s(most=LAST_FLUSH_S))
        if service.intake.waiting:
            _log.error("%d points are lost: their store does not take them", service.intake.waiting)
        await service.life.write()
        await _end_writers(service, end)


def _writers(service: Service) -> list[Delivery | SampleMirror]:
    """Return what writes to others in a thread of its own."""
    return [*service.deliveries, *([] if service.mirror is None else [service.mirror])]


async def _end_writers(service: Service, end: End) -> None:
    for writer in _writers(service):
        writer.stop()
    by_s = time.monotonic() + end.left_s(most=DELIVERY_GRACE_S)
    for writer in _writers(service):
        await asyncio.to_thread(writer.join, max(0.0, by_s - time.monotonic()))


async def _forget(service: Service) -> None:
    while True:
        before_ns = service.clock() - int(service.config.retention_s * 1e9)
        forgotten = await asyncio.to_thread(service.samples.forget, before_ns)
        if forgotten:
            _log.info("%d readings older than the retention are deleted", forgotten)
        await asyncio.sleep(FORGET_EVERY_S)
