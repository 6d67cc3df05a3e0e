"""Switches a load on and off while the collector polls, and words what that says about the sensor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from energyrecorder.errors import ConfigError
from energyrecorder_analysis.calibrate import Calibration, CalibrationError, calibrate
from energyrecorder_analysis.series import PowerRow, PowerSeries
from energyrecorder_annotator.host import PluginHost
from energyrecorder_annotator.samples.base import Point, Reading

FIRST_READING_S = 120.0
"""A BMC that takes two seconds for each answer is looked around at in less."""

PLACE = "{seconds}"
"""Stands in the command of the load for how long it is to last."""

_GOLDEN = 0.618
_SHORTEST_PART = 0.8
_LONGEST_PART, _LONGEST_MORE_S = 1.5, 30.0
_LEAST_REST_PART = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Args:
        server: Whose readings count; ``ID/NODE`` where a BMC has several nodes.
        load: Shell command; `PLACE` in it becomes the seconds.
        seconds: How long each load lasts.
        loads: How often.
    """

    server: str
    load: str
    seconds: int
    loads: int

    def rests_s(self) -> list[float]:
        """Return the time without load before each one.

        They differ, so that the edges do not keep step with the renewals of the BMC.
        """
        most_s = self.seconds / _LEAST_REST_PART
        return [self.seconds + (number * _GOLDEN % 1) * most_s for number in range(self.loads)]

    @property
    def lasts_s(self) -> float:
        """How long all of it takes, seconds."""
        return sum(self.rests_s()) + self.loads * self.seconds + self.seconds / 2


async def run_plan(
    plan: Plan, collector: Sequence[str], environ: Mapping[str, str], say: Callable[[str], None]
) -> tuple[Calibration, PowerSeries]:
    """Return what was found out and the readings that it comes from.

    Args:
        plan: What is to be done.
        collector: Command that polls the server, ended when all is done.
        environ: Its environment and that of the load.
        say: Called with a line of progress.

    Raises:
        ConfigError: The collector finds fault with its fleet file or options.
        CalibrationError: No readings, a load that fails or does not last, or readings that say nothing.
    """
    rows: list[PowerRow] = []

    def take(point: Point) -> None:
        if isinstance(point, Reading) and point.is_total and point.server == plan.server:
            rows.append(_row(point))

    host = PluginHost(collector, take, environ=environ)
    running = asyncio.create_task(host.run())
    try:
        await _first_reading(host, rows, plan.server)
        loads_ns = []
        for number, rest_s in enumerate(plan.rests_s(), start=1):
            say(f"load {number} of {plan.loads} in {rest_s:.0f} s")
            await asyncio.sleep(rest_s)
            loads_ns.append(await _load(plan, environ))
        await asyncio.sleep(plan.seconds / 2)
    finally:
        host.stop()
        await running
    series = PowerSeries.from_rows(plan.server, rows)
    return calibrate(series, loads_ns), series


def _row(point: Reading) -> PowerRow:
    return PowerRow(
        point.t_ns,
        point.watts,
        point.window_s,
        point.refresh_s,
        point.quantum_w,
        point.clock,
        point.source,
        point.side,
        point.accuracy_pct,
    )


async def _first_reading(host: PluginHost, rows: Sequence[PowerRow], server: str) -> None:
    until_s = time.monotonic() + FIRST_READING_S
    while not rows:
        if host.exit_status == ConfigError.exit_code:
            raise ConfigError(f"no reading of server {server!r}; the lines above say what to correct")
        if host.restarts or time.monotonic() > until_s:
            raise CalibrationError(f"no reading of server {server!r}; the lines above say why")
        await asyncio.sleep(0.1)


async def _load(plan: Plan, environ: Mapping[str, str]) -> tuple[int, int]:
    """Run the load once and return when it was on."""
    command = plan.load.replace(PLACE, str(plan.seconds))
    began_ns = time.time_ns()
    process = await asyncio.create_subprocess_shell(
        command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        env=dict(environ),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LONGEST_PART * plan.seconds + _LONGEST_MORE_S):
            status = await process.wait()
    except TimeoutError:
        raise CalibrationError(
            f"the load has not ended: it is to last {plan.seconds} s, see {PLACE}"
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            await process.wait()
    ended_ns = time.time_ns()
    if status:
        raise CalibrationError(f"the load ended with exit status {status}: {command}")
    lasted_s = (ended_ns - began_ns) / 1e9
    if lasted_s < _SHORTEST_PART * plan.seconds:
        raise CalibrationError(f"the load lasted {lasted_s:.1f} s instead of {plan.seconds} s, see {PLACE}")
    return began_ns, ended_ns


def words(found: Calibration, series: PowerSeries) -> str:
    """Return what was found out, and the line for the fleet file."""
    return "\n".join((*_figures(found, series), "", "In the fleet file, at this server:", _entry(found), ""))


def _figures(found: Calibration, series: PowerSeries) -> list[str]:
    refresh = f"{found.refresh_s:.3g} s"
    if not found.refresh_seen:
        refresh = f"not seen: renewed for nearly every poll, so at most about {refresh}"
    declared = series.window_s[series.window_s >= 0]
    told = f"; so far taken as {float(declared[-1]):.3g} s" if declared.size else ""
    source = found.source or "an unnamed source"
    lines = [
        f"{series.server} by {source}: {found.readings} readings, {found.loads} loads",
        f"  power     {found.idle_w:.0f} W idle, {found.load_w:.0f} W loaded, noise {found.noise_w:.2g} W",
        f"  refresh   {refresh}",
        f"  window    {found.window_s:.1f} s ± {found.window_u95_s:.1f} s (95 %){told}",
    ]
    if found.follow_s:
        lines.append(
            f"  besides   the power follows with a time constant of {found.follow_s:.1f} s: the server's "
            "own, or a filter of the sensor"
        )
    return lines


def _entry(found: Calibration) -> str:
    refresh = f'refresh = "{found.refresh_s:.1f}s", ' if found.refresh_seen else ""
    return f'timing = {{ source = "{found.source}", {refresh}window = "{found.window_s:.1f}s" }}'
