"""The running annotator: opens its stores, runs its tasks and plugins, serves, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import uvicorn

from energyrecorder.clock import Clock, wall_ns
from energyrecorder.errors import ConfigError
from energyrecorder_annotator.app import build_app
from energyrecorder_annotator.config import Config
from energyrecorder_annotator.host import PluginHost
from energyrecorder_annotator.intake import Intake
from energyrecorder_annotator.journal.base import Journal, Mark
from energyrecorder_annotator.journal.sqlite import SqliteJournal
from energyrecorder_annotator.life_watch import LifeWatch
from energyrecorder_annotator.recording import Recorder
from energyrecorder_annotator.results import Results
from energyrecorder_annotator.samples.base import BmcPoll, SampleStore
from energyrecorder_annotator.samples.embedded import EmbeddedSamples
from energyrecorder_annotator.samples.freshness import HOUR_NS, Freshness
from energyrecorder_annotator.service import Service

GRACE_S = 3
"""Requests that are still being answered get this long when the service ends."""
FORGET_EVERY_S = 3600.0
_MARKS = uuid.UUID("0d0c3f43-51c3-4d5c-a4a1-93f6b2e7a0d8")

_log = logging.getLogger(__name__)


def serve(config: Config, state: Path) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: Settings in force.
        state: State directory, locked by the caller.

    Raises:
        ConfigError: The address cannot be bound or a store cannot be opened.
    """
    listener = _bind(config.host, config.port)
    journal = SqliteJournal(config.store or state / "annotator.db")
    try:
        samples = EmbeddedSamples(state / "samples.db")
        try:
            with asyncio.Runner(loop_factory=_event_loop) as runner:
                runner.run(_serve(_assemble(config, state, journal, samples), listener))
        finally:
            samples.close()
    finally:
        journal.close()
        listener.close()


def _event_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415  # only the service needs it

    return uvloop.new_event_loop()


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host!r} port {port}: {error.strerror}; choose another --port"
        ) from None
    return listener


def _assemble(config: Config, state: Path, journal: Journal, samples: SampleStore) -> Service:
    clock: Clock = wall_ns
    freshness = Freshness(samples.last_seen(clock() - HOUR_NS))
    intake = Intake(samples, freshness, lambda polls: _mark_switched(journal, polls))
    life = LifeWatch(journal, clock)
    environ = {**os.environ, "ENERGY_STATE_DIR": str(state)}
    return Service(
        config=config,
        clock=clock,
        journal=journal,
        samples=samples,
        freshness=freshness,
        intake=intake,
        life=life,
        recorder=Recorder(journal, life),
        results=Results(journal, samples, freshness, clock=clock, prefer=config.prefer),
        hosts=tuple(
            PluginHost(command, intake.take, environ=environ, interval_s=config.interval_s)
            for command in config.commands
        ),
    )


def _mark_switched(journal: Journal, polls: Sequence[BmcPoll]) -> None:
    marks = [
        Mark(
            mark_id=str(uuid.uuid5(_MARKS, f"{poll.env}\0{poll.server}\0{poll.t_ns}")),
            env=poll.env,
            kind="power",
            t_ns=poll.t_ns,
            title=f"{poll.server}: power {poll.host}",
            server=poll.server,
        )
        for poll in polls
    ]
    journal.submit(lambda transaction: [transaction.add_mark(mark) for mark in marks])


async def _serve(service: Service, listener: socket.socket) -> None:
    async with _tasks(service):
        server = _Server(
            uvicorn.Config(
                build_app(service),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                http="httptools",
                timeout_graceful_shutdown=GRACE_S,
            ),
            listener,
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        # uvicorn raises the signal again when it has ended, to which the exit status would be due.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        await server.serve(sockets=[listener])
        _log.info("stopping")


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        host, port = listener.getsockname()[:2]
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _log.info("listening on %s", self._url)


@contextlib.asynccontextmanager
async def _tasks(service: Service) -> AsyncIterator[None]:
    """Run plugins and periodic work around the server; end plugins first, so that their last lines count."""
    plugins = [asyncio.create_task(host.run()) for host in service.hosts]
    intake = asyncio.create_task(service.intake.run())
    others = [
        asyncio.create_task(work) for work in (service.life.run(), service.results.run(), _forget(service))
    ]
    try:
        yield
    finally:
        for host in service.hosts:
            host.stop()
        await asyncio.gather(*plugins, return_exceptions=True)
        for task in (*others, intake):
            task.cancel()
        await asyncio.gather(*others, intake, return_exceptions=True)
        await service.life.write()


async def _forget(service: Service) -> None:
    while True:
        before_ns = service.clock() - int(service.config.retention_s * 1e9)
        forgotten = await asyncio.to_thread(service.samples.forget, before_ns)
        if forgotten:
            _log.info("%d readings older than the retention are deleted", forgotten)
        await asyncio.sleep(FORGET_EVERY_S)
