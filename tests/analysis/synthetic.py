"""Simulated servers and BMC sensors whose true energy is known: the yardstick of the accuracy tests.

A server idles at 200 W for 200 s, runs step A (length T, level U(230, 400) W), then step B (60 s, level
U(210, 400) W), then idles for 200 s. It follows with a time constant of 2 s; on top lie AR(1) noise (time
constant 5 s, 8 % of the dynamic power plus 2 W) and bursts (mean 8 s, +-20 % of the dynamic power). A sensor
publishes the mean of its window (or the present value) every refresh period at an unknown phase, rounded to
1 W. Polls come at a period with jitter, take U(0.2, 1.5) s, and 1 % are lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energyrecorder_analysis.series import PowerRow

GRID_S = 0.1
BEFORE_S = 200.0
STEP_B_S = 60.0
START_NS = 1_760_000_000_000_000_000
"""Absolute time of the start of each simulated trace."""


@dataclass(frozen=True)
class Case:
    """One way of reading a server; names A..K as in the literature of this project."""

    window_s: float = 10.0
    refresh_s: float = 10.0
    poll_s: float = 10.0
    bmc_clock: bool = False
    loss: float = 0.01
    clock_sd_s: float = 0.0
    gap_s: float = 0.0
    declared: bool = True


CASES = {
    "B": Case(),
    "C": Case(poll_s=2.0),
    "D": Case(bmc_clock=True),
    "E": Case(window_s=0.0, refresh_s=1.0),
    "F": Case(window_s=0.0, refresh_s=1.0, poll_s=2.0),
    "G": Case(clock_sd_s=1.0),
    "H": Case(loss=0.10),
    "I": Case(gap_s=60.0),
    "J": Case(window_s=30.0, refresh_s=30.0),
    "K": Case(window_s=60.0, refresh_s=60.0),
}


@dataclass(frozen=True)
class Traces:
    """True power of many seeds on one grid; ``energy_j[:, k]`` is the energy before grid point k."""

    watts: np.ndarray
    energy_j: np.ndarray
    step_s: float

    def energy(self, seeds, at_s):
        """Return the true energy before each ``at_s`` of the given seeds."""
        position = np.clip(np.asarray(at_s) / GRID_S, 0, self.watts.shape[1])
        whole = np.minimum(position.astype(np.int64), self.watts.shape[1] - 1)
        return self.energy_j[seeds, whole] + (position - whole) * GRID_S * self.watts[seeds, whole]


@dataclass(frozen=True)
class Reading:
    """What one seed of a case gave: rows as stored, step A as believed, and its true energy."""

    rows: list[PowerRow]
    start_ns: int
    end_ns: int
    true_j: float


def traces(step_s: float, seeds: int, seed: int = 1) -> Traces:
    """Return ``seeds`` random servers that run one step of ``step_s`` seconds."""
    random = np.random.default_rng(seed)
    length = round((BEFORE_S + step_s + STEP_B_S + 200.0) / GRID_S)
    edges = [round(edge / GRID_S) for edge in (BEFORE_S, BEFORE_S + step_s, BEFORE_S + step_s + STEP_B_S)]
    level = np.zeros((seeds, length))
    level[:, edges[0] : edges[1]] = random.uniform(30, 200, (seeds, 1))
    level[:, edges[1] : edges[2]] = random.uniform(10, 200, (seeds, 1))
    flips = random.random((seeds, length)) < GRID_S / 8.0
    signs = np.where((np.cumsum(flips, axis=1) + random.integers(0, 2, (seeds, 1))) % 2 == 0, 1.0, -1.0)
    target = 200.0 + level * (1 + 0.2 * signs)
    sd = 0.08 * level + 2.0
    noise = random.standard_normal((seeds, length), dtype=np.float32)
    watts = np.empty_like(target)
    follow, keep = 1 - np.exp(-GRID_S / 2.0), np.exp(-GRID_S / 5.0)
    mean, wander = target[:, 0].copy(), noise[:, 0].copy()
    for k in range(length):
        mean += follow * (target[:, k] - mean)
        wander = keep * wander + np.sqrt(1 - keep**2) * noise[:, k]
        watts[:, k] = mean + sd[:, k] * wander
    np.maximum(watts, 1.0, out=watts)
    energy_j = np.concatenate((np.zeros((seeds, 1)), np.cumsum(watts, axis=1) * GRID_S), axis=1)
    return Traces(watts, energy_j, step_s)


def read(case: Case, truth: Traces, seed: int = 2) -> list[Reading]:
    """Return what a collector would have stored of each seed of ``truth`` in ``case``."""
    random = np.random.default_rng(seed)
    return [_read_one(case, truth, number, random) for number in range(truth.watts.shape[0])]


def _read_one(case: Case, truth: Traces, number: int, random: np.random.Generator) -> Reading:
    span_s = truth.watts.shape[1] * GRID_S
    phase_s = random.uniform(0, case.refresh_s)
    published_s = np.arange(phase_s, span_s, case.refresh_s)
    if case.window_s:
        until_j = truth.energy(number, published_s)
        published_w = (until_j - truth.energy(number, published_s - case.window_s)) / np.minimum(
            case.window_s, np.maximum(published_s, GRID_S)
        )
    else:
        published_w = truth.watts[
            number, np.minimum(published_s / GRID_S, truth.watts.shape[1] - 1).astype(int)
        ]
    published_w = np.round(published_w)
    if case.bmc_clock:
        stamp_s, watts = published_s, published_w
    else:
        stamp_s, watts = _poll(case, published_s, published_w, span_s, random)
    kept = random.random(stamp_s.size) >= case.loss
    if case.gap_s:
        gap_from_s = random.uniform(BEFORE_S - case.gap_s, BEFORE_S + truth.step_s)
        kept &= (stamp_s < gap_from_s) | (stamp_s > gap_from_s + case.gap_s)
    clock = "bmc" if case.bmc_clock else "poll"
    window_s, refresh_s = (case.window_s, case.refresh_s) if case.declared else (None, None)
    rows = [
        PowerRow(START_NS + round(stamp * 1e9), float(value), window_s, refresh_s, 1.0, clock)
        for stamp, value in zip(stamp_s[kept], watts[kept], strict=True)
    ]
    start_s, end_s = BEFORE_S, BEFORE_S + truth.step_s
    shift_s = random.normal(0, case.clock_sd_s) if case.clock_sd_s else 0.0
    return Reading(
        rows=rows,
        start_ns=START_NS + round((start_s + shift_s) * 1e9),
        end_ns=START_NS + round((end_s + shift_s) * 1e9),
        true_j=float(truth.energy(number, end_s) - truth.energy(number, start_s)),
    )


def _poll(case, published_s, published_w, span_s, random):
    """Return stamps (middle of the request) and values of polls on a jittered grid."""
    jitter_s = min(0.5, case.poll_s / 10)
    asked_s = np.arange(random.uniform(case.refresh_s, case.refresh_s + case.poll_s), span_s - 3, case.poll_s)
    asked_s = asked_s + random.uniform(-jitter_s, jitter_s, asked_s.size)
    latency_s = random.uniform(0.2, 1.5, asked_s.size)
    seen_s = asked_s + latency_s * random.random(asked_s.size)
    newest = np.searchsorted(published_s, seen_s, side="right") - 1
    valid = newest >= 0
    return (asked_s + latency_s / 2)[valid], published_w[newest[valid]]
