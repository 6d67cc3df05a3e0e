"""What every verb needs: the settings, the job's state file, and delivery that takes two seconds at most."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import click

from energyrecorder.cli.state_file import JobState, OpenStep, load_state, state_path
from energyrecorder.clock import SystemClock
from energyrecorder.delivery import Delivery
from energyrecorder.environment import Inherited, inherited
from energyrecorder.errors import ConfigError
from energyrecorder.notices import Notices
from energyrecorder.schema import SERVER_GLOB
from energyrecorder.sdk_settings import SdkSettings, load, load_from_variables

DELIVERY_S = 1.6
STRICT_EXIT = 3
TTL_S = 6 * 3600
"""Silence after which a step of `energy-step start` counts as lost; nothing renews it."""

Answers = List[Optional[Dict[str, Any]]]

env_option = click.option(
    "--env", metavar="E", help="Environment; default: ENERGY_ENV, else the project's file."
)


def _globs(_context: click.Context, _option: click.Parameter, servers: Tuple[str, ...]) -> Tuple[str, ...]:
    """Refuse here what the annotator would refuse the whole run for."""
    for server in servers:
        if not SERVER_GLOB.fullmatch(server):
            raise click.BadParameter(f"{server!r} is no server id or glob, such as node-01 or 'node-*'")
    return servers


servers_option = click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="ID",
    callback=_globs,
    help="Server id or glob; default: all.",
)
strict_option = click.option("--strict", is_flag=True, help="Exit 3 when the annotator was not reached.")


class Job:
    """This call of `energy-step`.

    Args:
        env: Environment of the flag; None means as configured.
        forgiving: A mistake in the project's file is told and passed over rather than raised.

    Raises:
        ConfigError: Unless ``forgiving``: a variable or the file holds something that is not allowed.
    """

    def __init__(self, env: Optional[str] = None, *, forgiving: bool = False) -> None:
        self.notices = Notices()
        self.now = SystemClock().now
        self.settings = self._settings(forgiving=forgiving).with_env(env)
        self.state_path = state_path(os.environ, str(_cwd() or ""), os.getuid())

    def warn(self, text: str) -> None:
        """Tell a person."""
        click.echo(f"energy-step: {text}", err=True)

    def state(self) -> JobState:
        """Return what this job has open."""
        return load_state(self.state_path)

    def around(self, state: JobState) -> Optional[Inherited]:
        """Return the step that a new one lies in: the job's innermost, or the process' that started us.

        What ``ENERGY_STEP_ID`` names counts when it is not one of this job's own: then a step of the SDK or
        of `energy-step run` started us, which is further inside.
        """
        told = inherited(os.environ)
        if told is not None and not state.knows(told.step_id):
            return told
        live = [item for item in state.open if self.is_alive(item)]
        if not live:
            return told
        innermost = live[-1]
        parent = innermost.implicit or innermost
        return Inherited(innermost.run_id, parent.step_id, innermost.scenario)

    def is_alive(self, item: OpenStep) -> bool:
        """Tell whether an open step is of this boot and not yet taken for lost by the annotator."""
        now = self.now()
        return item.boot_id == now.boot_id and now.wall_ns - item.started_ns < TTL_S * 10**9

    def deliver(self, events: Sequence[Dict[str, Any]], env: Optional[str] = None) -> Answers:
        """Send events or keep them, within `DELIVERY_S` even if the network swallows everything.

        Args:
            events: In order.
            env: Environment they belong to; None means as configured.
        """
        settings = self.settings if env is None else self.settings.with_env(env)
        if settings.disabled:
            return [{} for _ in events]
        known = {} if settings.env is None else {"env": settings.env}
        written = [{**event, **known} for event in events]
        delivery = Delivery(settings, self.now, self.notices)
        answers: List[Answers] = []
        # Looking up a name has no time limit of its own, hence a thread that may be left behind.
        worker = threading.Thread(
            target=lambda: answers.append(delivery.deliver(written, timeout_s=DELIVERY_S * 0.8)), daemon=True
        )
        worker.start()
        worker.join(DELIVERY_S)
        if answers:
            return answers[0]
        folder = str(delivery.spool.folder)
        self.warn(f"no answer from {settings.url} in time; steps are kept in {folder!r}")
        delivery.spool.append(written)
        return [None] * len(written)

    def end(self, answers: Answers, *, strict: bool) -> int:
        """Return the exit code of a verb that does its best."""
        return STRICT_EXIT if strict and any(answer is None for answer in answers) else 0

    def _settings(self, *, forgiving: bool) -> SdkSettings:
        try:
            return load(os.environ, _cwd())
        except ConfigError as error:
            if not forgiving:
                raise
            self.warn(f"{error}; going on with the other environment variables alone")
            return load_from_variables()


def _cwd() -> Optional[Path]:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None


def tell_ci(variables: Dict[str, str], outputs: Dict[str, str]) -> None:
    """Hand ids on to later steps of a GitHub job.

    Args:
        variables: For their environment.
        outputs: As outputs of this step.
    """
    for name, values in (("GITHUB_ENV", variables), ("GITHUB_OUTPUT", outputs)):
        path = os.environ.get(name)
        if not path:
            continue
        # A line break in a name must not set another variable.
        lines = [f"{key}={' '.join(value.split())}\n" for key, value in values.items()]
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as error:
            sys.stderr.write(f"energy-step: {name}: {error.strerror}\n")
